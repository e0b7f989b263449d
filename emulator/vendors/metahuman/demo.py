"""Part of ``face-emulator demo``: reconstruct a face with MetaHuman SDK, and assemble a head."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np

from emulator.face.avatar import avatar
from emulator.face.glb import Part
from emulator.face.portrait import portrait
from emulator.face.pose import Pose, rotation_matrix
from emulator.face.types import Image, Matrix
from emulator.pipelines.encoding import encode_png
from emulator.web.demonstration import Step, checked

TOKEN = {"token": "demo"}


def demonstrate(client: httpx.Client, photo: bytes, folder: Path, step: Step) -> None:
    """Reconstruct the face in a photo and assemble its head, and write the results into ``folder``."""
    with step("face_recon") as made:
        files = {"image_bytes": ("photo.jpg", photo, "image/jpeg")}
        answer = checked(client.post("/face_recon/run_pipeline", data=TOKEN, files=files))
        (folder / "metahuman.json").write_text(json.dumps(answer, indent=2) + "\n")
        made("metahuman.json")
    with step("texture") as made:
        texture = client.get(answer["result"]["face"]["textureUrl"]).raise_for_status()
        (folder / "texture.png").write_bytes(texture.content)
        made("texture.png")
    with step("glb_const") as made:
        schema = {"schema": ("schema.json", b"{}")}
        checked(client.put("/glb_const/schema", data=TOKEN, files=schema))
        files = {
            "head_uv": ("texture.png", texture.content, "image/png"),
            "head_config": ("head.json", json.dumps(answer).encode(), "application/json"),
            "models_congig": ("models.json", b"{}", "application/json"),
        }
        assembled = client.post("/glb_const/assemble", data={**TOKEN, "add_facs": "true"}, files=files)
        (folder / "head.glb").write_bytes(assembled.raise_for_status().content)
        made("head.glb")
    with step("picture of the head") as made:
        numbers = np.array(answer["result"]["face"]["blendShapes"])
        parts = avatar(numbers, texture.content, has_face_units=True)
        (folder / "head.png").write_bytes(encode_png(_picture(parts)))
        made("head.png")


def _picture(parts: Sequence[Part]) -> Image:
    """Return a head from the front, from the side, with an open mouth and with a smile."""
    front, side = np.eye(3), rotation_matrix(Pose(40.0, 0.0, 0.0))
    smile = {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6}
    views: list[tuple[Matrix, Mapping[str, float]]] = [
        (front, {}), (side, {}), (front, {"jawOpen": 0.4}), (front, smile),
    ]  # fmt: skip
    return np.concatenate(
        [portrait(parts, rotation, 320, weights=weights) for rotation, weights in views], axis=1
    )
