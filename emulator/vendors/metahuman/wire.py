"""What answers of MetaHuman SDK look like on the wire, whatever the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict

from emulator.vendors.metahuman.errors import MetaHumanEntry
from emulator.web.openapi import narrowed
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import Answer


class Body(BaseModel):
    """The base of answers, with the members in the order in which they are sent."""

    model_config = ConfigDict(extra="forbid")


class Detail(BaseModel):
    """What FastAPI says of a request that it refuses."""

    detail: Any


class Code(Body):
    """An error's number, and its message."""

    code: int
    message: str


class Failure(Body):
    """The answer to a request that failed."""

    error: Code


REFUSED_FORM = {
    400: Answer("The body cannot be parsed.", Detail),
    422: Answer("A field is missing.", Detail),
}
"""What FastAPI answers to a body that is no form, or lacks a field."""


def render_error(error: VendorError) -> Response:
    """Return the answer to a request that failed."""
    code = cast("MetaHumanEntry", error.entry).code
    if code is None:
        return PlainTextResponse(error.text, error.entry.status)
    failure = Failure(error=Code(code=code, message=error.text))
    return JSONResponse(failure.model_dump(), error.entry.status)


def error_schema(entry: MetaHumanEntry) -> tuple[str, dict[str, Any]]:
    """Return the media type and the schema of what ``render_error`` writes."""
    if entry.code is None:
        return "text/plain", {"type": "string"}
    error = narrowed(Code, code=entry.code, message=entry.text)
    closed = {"type": "object", "properties": {"error": error}, "required": ["error"]}
    return "application/json", {**closed, "additionalProperties": False}


def missing_field(name: str) -> dict[str, Any]:
    """Return what FastAPI said of a missing field in the days of the service."""
    return wrong_field(name, "field required", "value_error.missing")


def wrong_field(name: str, message: str, kind: str) -> dict[str, Any]:
    """Return what FastAPI said of a wrong field in the days of the service."""
    return {"loc": ["body", name], "msg": message, "type": kind}


def render_invalid(fields: Sequence[Mapping[str, Any]]) -> Response:
    """Return FastAPI's own answer to a request whose fields are not right."""
    return JSONResponse({"detail": list(fields)}, 422)
