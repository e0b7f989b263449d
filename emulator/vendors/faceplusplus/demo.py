"""Part of ``face-emulator demo``: reconstruct a head with Face++."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx

from emulator.web.demonstration import Step, checked


def demonstrate(client: httpx.Client, photo: bytes, folder: Path, step: Step) -> None:
    """Call 3D Face with a photo, and write the resulting files into ``folder``."""
    with step("3dface") as made:
        answer = checked(
            client.post(
                "/facepp/v1/3dface",
                data={"api_key": "demo", "api_secret": "demo", "texture": "1", "mtl": "1"},
                files={"image_file_1": ("photo.jpg", photo, "image/jpeg")},
            )
        )
        for name, member in (("face.obj", "obj_file"), ("face.mtl", "mtl_file"), ("tex.jpg", "texture_img")):
            (folder / name).write_bytes(base64.b64decode(answer[member]))
            made(name)
