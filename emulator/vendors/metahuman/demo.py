"""Part of ``face-emulator demo``: reconstruct a face with MetaHuman SDK."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from emulator.web.demonstration import Step, checked


def demonstrate(client: httpx.Client, photo: bytes, folder: Path, step: Step) -> None:
    """Call the face reconstruction with a photo, and write its response and its texture into ``folder``."""
    with step("face_recon") as made:
        files = {"image_bytes": ("photo.jpg", photo, "image/jpeg")}
        answer = checked(client.post("/face_recon/run_pipeline", data={"token": "demo"}, files=files))
        (folder / "metahuman.json").write_text(json.dumps(answer, indent=2) + "\n")
        made("metahuman.json")
    with step("texture") as made:
        texture = client.get(answer["result"]["face"]["textureUrl"]).raise_for_status()
        (folder / "texture.png").write_bytes(texture.content)
        made("texture.png")
