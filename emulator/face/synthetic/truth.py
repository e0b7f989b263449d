"""The ground truth of a synthetic picture as JSON-serialisable data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from emulator.face.synthetic.color import HAIR_COLORS, SKIN_TONES
from emulator.face.synthetic.render import SyntheticFace


def ground_truth(faces: Sequence[SyntheticFace]) -> dict[str, object]:
    """Return the ground truth of a picture: its size, its light, and its faces in the given order.

    Each face has ``seed``, ``identity_coefficients`` (80), ``pose_deg``, ``expression``, ``landmarks``
    (468 points in pixels: x right, y down, z away from the camera), ``box`` (left, top, width,
    height, in pixels), ``camera`` (pixels per centimetre, rotation, and the position of the model's
    origin in pixels), and ``attributes``.
    """
    if not faces:
        return {"faces": []}
    frame = faces[0].spec
    return {
        "width": frame.width,
        "height": frame.height,
        "light": frame.light or "soft",
        "background": frame.background or "studio",
        "blur": frame.blur,
        "faces": [_face(face) for face in faces],
    }


def _face(face: SyntheticFace) -> dict[str, object]:
    person = face.person
    return {
        "seed": face.spec.seed,
        "box": [round(side, 2) for side in (face.box.left, face.box.top, face.box.width, face.box.height)],
        "pose_deg": {"yaw": face.pose.yaw, "pitch": face.pose.pitch, "roll": face.pose.roll},
        "expression": asdict(face.spec.expression),
        "attributes": {
            "gender": person.gender,
            "skin_tone": person.skin_tone,
            "skin_color": f"#{SKIN_TONES[person.skin_tone - 1]}",
            "hair_type": person.hair_type,
            "hair_color": person.hair_color,
            "hair_color_rgb": f"#{HAIR_COLORS[person.hair_color]}",
            "glasses": person.glasses,
            "covered_mouth": face.spec.covered_mouth,
        },
        "camera": {
            "pixels_per_cm": round(face.camera.scale, 6),
            "rotation": np.round(face.camera.rotation, 9).tolist(),
            "origin": np.round(face.camera.translation, 3).tolist(),
        },
        "identity_coefficients": [round(float(number), 6) for number in face.identity_coefficients],
        "landmarks": np.round(face.landmarks, 2).tolist(),
    }
