"""What MetaHuman SDK's answers look like on the wire."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

import numpy as np
from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse

from emulator.face.attributes import Attributes
from emulator.pipelines.reconstruct import HeadDescription
from emulator.web.catalogue import VendorError

STATIC = "/static"
"""The folder that ``textureUrl`` names; also served below ``/face_recon``."""


def texture_name(file_name: str | None, number: bytes) -> str:
    """Return the name of the texture file: the upload's stem, and a number that makes it unique."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", PurePath(file_name or "").stem)[:64].strip("_")
    return f"{stem or 'input_image'}_{number.hex()}_texture.png"


def render_token(token: str) -> Response:
    """Return the answer to a registration."""
    return JSONResponse({"result": {"token": token}})


def render_success(head: HeadDescription, name: str) -> Response:
    """Return the documented answer; coefficients are float32, widened, as in the vendor's sample."""
    attributes = head.attributes
    result: dict[str, Any] = {
        "face": {
            "textureUrl": f"{STATIC}/{name}",
            "blendShapes": [float(np.float32(number)) for number in head.identity_coefficients],
            "blinkCorrectionCoeff": float(np.float32(attributes.blink_correction)),
        },
        "hair": {
            "color": _hex(attributes.hair_color),
            "type": f"{attributes.hair_length}_{attributes.hair_texture}",
        },
        "skin": {"color": _hex(attributes.skin_color)},
        "accessories": _accessories(attributes),
        "gender": attributes.gender.capitalize(),
    }
    return JSONResponse({"result": result})


def render_error(error: VendorError) -> Response:
    """Return the answer to a request that failed."""
    if error.entry.extra is None:
        return PlainTextResponse(error.text, error.entry.status)
    return JSONResponse(
        {"error": {"code": error.entry.extra["code"], "message": error.text}}, error.entry.status
    )


def _accessories(attributes: Attributes) -> list[str]:
    return ["glasses"] if attributes.glasses else []


def _hex(color: Any) -> str:
    return "#" + bytes(int(channel) for channel in color).hex()
