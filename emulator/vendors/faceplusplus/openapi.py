"""Face++ as it is emulated, in OpenAPI."""

from __future__ import annotations

from emulator.vendors.faceplusplus.errors import ERRORS, FacePlusPlusEntry, Layer
from emulator.web.openapi import (
    MILLISECONDS,
    STRING,
    Json,
    array,
    closed,
    content,
    document,
    form,
    pattern_of,
    responses,
)

BASE64 = {"type": "string", "contentEncoding": "base64"}
REQUEST_ID = {"type": "string", "pattern": "^[0-9]+,[0-9a-f-]{36}$"}


def describe() -> Json:
    """Return the OpenAPI document."""
    images: Json = {}
    for number in (1, 2, 3):
        images[f"image_file_{number}"] = {"type": "string", "contentMediaType": "image/jpeg"}
        images[f"image_base64_{number}"] = BASE64
        images[f"image_url_{number}"] = STRING
    flags = {name: {"type": "integer", "enum": [0, 1], "default": 0} for name in ("texture", "mtl")}
    credentials = {
        "api_key": {"type": "string", "minLength": 1},
        "api_secret": {"type": "string", "minLength": 1},
    }
    matrix = {"type": "array", "items": {"type": "number"}, "minItems": 16, "maxItems": 16}
    success = closed(
        {
            "request_id": REQUEST_ID,
            "mtl_file": BASE64,
            "obj_file": BASE64,
            "texture_img": BASE64,
            "time_used": MILLISECONDS,
            "transfer_matrix": array(matrix, minItems=1, maxItems=3),
        },
        optional=["mtl_file", "texture_img"],
    )
    operation = {
        "operationId": "threeDFace",
        "summary": "Reconstruct a head from one to three photos",
        "requestBody": form({**credentials, **images, **flags}, required=["api_key", "api_secret"]),
        "responses": responses({"description": "The head.", "content": content(success)}, ERRORS, _schema),
    }
    return document("Face++ 3D Face", {"/facepp/v1/3dface": {"post": operation}}, components={})


def _schema(entry: FacePlusPlusEntry) -> tuple[str, Json]:
    match entry.layer:
        case Layer.PROXY:
            return "text/html", STRING
        case Layer.GATEWAY:
            message: Json = {"type": "string", "pattern": pattern_of(entry.text)}
            return "application/json", closed({"error_message": message})
        case _:
            members: Json = {
                "time_used": MILLISECONDS,
                "error_message": {"type": "string", "pattern": pattern_of(entry.text)},
                "request_id": REQUEST_ID,
            }
            return "application/json", closed(members)
