"""Response models and error responses that all APIs of MetaHuman SDK share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from emulator.vendors.metahuman.errors import MetaHumanEntry
from emulator.web.openapi import narrowed
from emulator.world.error_catalogue import VendorError
from emulator.world.operation import Answer


class Body(BaseModel):
    """Base class of response models. The members of a response are in the order of the fields."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Detail(BaseModel):
    """An error response in FastAPI's format."""

    detail: Any = Field(description="Description of the error: a string, or a list of the invalid fields.")


class Code(Body):
    """The number and the message of an error."""

    code: int = Field(description="Number of the error.")
    message: str = Field(description="Text of the error.")


class Failure(Body):
    """An error response."""

    error: Code = Field(description="Number and text of the error.")


REFUSED_FORM = {
    400: Answer("`detail`, in FastAPI's format: the body cannot be parsed.", Detail),
    422: Answer("`detail`, in FastAPI's format: a field is missing or has a wrong type.", Detail),
}
"""FastAPI's responses to a body that is not a form, and to missing or wrong fields."""


def render_error(error: VendorError) -> Response:
    """Return the response for an error."""
    code = cast("MetaHumanEntry", error.entry).code
    if code is None:
        return PlainTextResponse(error.text, error.entry.status)
    failure = Failure(error=Code(code=code, message=error.text))
    return JSONResponse(failure.model_dump(), error.entry.status)


def error_schema(entry: MetaHumanEntry) -> tuple[str, dict[str, Any]]:
    """Return the media type and the JSON schema of the response for an error."""
    if entry.code is None:
        return "text/plain", {"type": "string"}
    error = narrowed(Code, code=entry.code, message=entry.text)
    closed = {"type": "object", "properties": {"error": error}, "required": ["error"]}
    return "application/json", {**closed, "additionalProperties": False}


def missing_field(name: str) -> dict[str, Any]:
    """Return the description of a missing field, in the format of FastAPI with Pydantic 1."""
    return wrong_field(name, "field required", "value_error.missing")


def wrong_field(name: str, message: str, kind: str) -> dict[str, Any]:
    """Return the description of a wrong field, in the format of FastAPI with Pydantic 1."""
    return {"loc": ["body", name], "msg": message, "type": kind}


def render_invalid(fields: Sequence[Mapping[str, Any]]) -> Response:
    """Return FastAPI's response to a request with missing or wrong fields."""
    return JSONResponse({"detail": list(fields)}, 422)
