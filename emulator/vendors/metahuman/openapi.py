"""MetaHuman SDK's face reconstruction as it is emulated, in OpenAPI."""

from __future__ import annotations

from emulator.vendors.metahuman.errors import ERRORS, MetaHumanEntry
from emulator.web.openapi import (
    FILLED,
    NUMBER,
    STRING,
    Json,
    array,
    closed,
    content,
    document,
    form,
    responses,
)

COLOR = {"type": "string", "pattern": "^#[0-9a-f]{6}$"}
DETAIL = {"type": "object", "properties": {"detail": {}}, "required": ["detail"]}


def describe() -> Json:
    """Return the OpenAPI document."""
    paths: Json = {
        "/auth/token": {"post": _token()},
        "/face_recon/run_pipeline": {"post": _run_pipeline()},
        "/static/{name}": {"get": _static("static")},
        "/face_recon/static/{name}": {"get": _static("prefixedStatic")},
    }
    return document("MetaHuman SDK face reconstruction", paths, components={})


def _token() -> Json:
    fields: Json = {"mail": FILLED, "name": STRING, "comment": STRING}
    token = closed({"token": {"type": "string", "format": "uuid"}})
    success: Json = {"description": "A token.", "content": content(closed({"result": token}))}
    return {
        "operationId": "token",
        "summary": "Register, and get a token",
        "requestBody": form(fields, required=["mail"]),
        "responses": {**responses(success, [], _schema), **_fastapis_own()},
    }


def _run_pipeline() -> Json:
    result = closed(
        {
            "face": closed(
                {
                    "textureUrl": {"type": "string", "pattern": "^/static/.+\\.png$"},
                    "blendShapes": array(NUMBER, minItems=80, maxItems=80),
                    "blinkCorrectionCoeff": NUMBER,
                }
            ),
            "hair": closed(
                {
                    "color": COLOR,
                    "type": {"type": "string", "pattern": "^(long|short|ponytail)_(straight|wavy)$"},
                }
            ),
            "skin": closed({"color": COLOR}),
            "accessories": array(STRING),
            "gender": {"type": "string", "enum": ["Female", "Male"]},
        }
    )
    success: Json = {"description": "The head.", "content": content(closed({"result": result}))}
    photo: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
    described = responses(success, ERRORS, _schema)
    described["422"]["content"]["application/json"]["schema"]["anyOf"].append(DETAIL)
    return {
        "operationId": "runPipeline",
        "summary": "Get texture and parameters of a head from a photo",
        "requestBody": form(
            {"token": FILLED, "image_bytes": photo}, required=["token", "image_bytes"], multipart_only=True
        ),
        "responses": {**_fastapis_own(), **described},
    }


def _static(operation_id: str) -> Json:
    name: Json = {"name": "name", "in": "path", "required": True, "schema": FILLED}
    return {
        "operationId": operation_id,
        "summary": "Download a texture",
        "parameters": [name],
        "responses": {
            "200": {"description": "The texture.", "content": content(STRING, "image/png")},
            "404": {"description": "There is no such texture.", "content": content(DETAIL)},
        },
    }


def _fastapis_own() -> Json:
    """Return what FastAPI answers to a body that is no form, or lacks a field."""
    return {
        str(status): {"description": text, "content": content(DETAIL)}
        for status, text in ((400, "The body cannot be parsed."), (422, "A field is missing."))
    }


def _schema(entry: MetaHumanEntry) -> tuple[str, Json]:
    if entry.code is None:
        return "text/plain", STRING
    error: Json = {"code": {"const": entry.code}, "message": {"const": entry.text}}
    return "application/json", closed({"error": closed(error)})
