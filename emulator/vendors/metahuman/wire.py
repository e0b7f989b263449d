"""What MetaHuman SDK's answers look like on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse

from emulator.face.appearance import Attributes
from emulator.pipelines.options import HeadDescription
from emulator.vendors.metahuman.errors import ERRORS
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
    code = ERRORS[error.entry.name].code
    if code is None:
        return PlainTextResponse(error.text, error.entry.status)
    return JSONResponse({"error": {"code": code, "message": error.text}}, error.entry.status)


def invalid_fields(token: object, upload: object) -> list[dict[str, Any]]:
    """Return what is wrong with the fields of a request whose types are not right."""
    found = []
    if token is None or token == "":
        found.append(missing_field("token"))
    elif not isinstance(token, str):
        found.append(_wrong_field("token", "str type expected", "type_error.str"))
    if upload is None:
        found.append(missing_field("image_bytes"))
    elif isinstance(upload, str):
        message = "Expected UploadFile, received: <class 'str'>"
        found.append(_wrong_field("image_bytes", message, "value_error"))
    return found


def missing_field(name: str) -> dict[str, Any]:
    """Return what FastAPI said of a missing field in the days of the service."""
    return _wrong_field(name, "field required", "value_error.missing")


def render_invalid(fields: Sequence[Mapping[str, Any]]) -> Response:
    """Return FastAPI's own answer to a request whose fields are not right."""
    return JSONResponse({"detail": list(fields)}, 422)


def _wrong_field(name: str, message: str, kind: str) -> dict[str, Any]:
    return {"loc": ["body", name], "msg": message, "type": kind}


def _accessories(attributes: Attributes) -> list[str]:
    return ["glasses"] if attributes.glasses else []


def _hex(color: Any) -> str:
    return "#" + bytes(int(channel) for channel in color).hex()
