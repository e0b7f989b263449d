"""Response models and error responses that all operations of Perfect Corp share."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Generic, Literal, TypeVar, cast

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from emulator.vendors.perfectcorp.errors import Layer, PerfectCorpEntry
from emulator.web.openapi import narrowed
from emulator.world.error_catalogue import VendorError

Content = TypeVar("Content")


class Member(BaseModel):
    """Base class of response models. The members of a response are in the order of the fields."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


class Done(Member):
    """A successful response without content."""

    status: Literal[200] = Field(default=200, description="HTTP status of the response.")


class Data(Done, Generic[Content]):
    """A successful response with its content in `data`."""

    data: Content = Field(description="Content of the response.")


class Result(Done, Generic[Content]):
    """A successful response with its content in `result`."""

    result: Content = Field(description="Content of the response.")


class Refusal(Member):
    """An error response."""

    status: int = Field(description="HTTP status of the response.")
    error: str = Field(description="Text of the error.")


def render(answer: Done) -> Response:
    """Return a successful response."""
    return Response(answer.model_dump_json(), media_type="application/json")


def render_unchecked(answer: Mapping[str, Any]) -> Response:
    """Return a successful response. It must have the form of a model, but validating it would take long."""
    return Response(to_json(answer), media_type="application/json")


def render_error(error: VendorError, request_id: str = "") -> Response:
    """Return the response for an error: JSON from the API, XML from the object store."""
    entry = cast("PerfectCorpEntry", error.entry)
    if entry.layer is Layer.STORE:
        elements = {
            "Code": entry.code,
            "Message": error.text,
            **_filled(entry.details, error),
            "RequestId": request_id,
            "HostId": "emulated",
        }
        inner = "".join(f"<{name}>{escape(text, quote=False)}</{name}>" for name, text in elements.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
        headers = _filled(entry.headers, error)
        return Response(body, entry.status, headers=headers, media_type="application/xml")
    refusal = Refusal(status=entry.status, error=error.text)
    codes = dict.fromkeys(entry.code_members, entry.code)
    return JSONResponse({**refusal.model_dump(), **codes}, entry.status)


def _filled(templates: Mapping[str, str], error: VendorError) -> dict[str, str]:
    return {name: template.format(**error.places) for name, template in templates.items()}


def error_schema(entry: PerfectCorpEntry) -> tuple[str, dict[str, Any]]:
    """Return the media type and the JSON schema of the response for an error."""
    if entry.layer is Layer.STORE:
        return "application/xml", {"type": "string"}
    schema = narrowed(Refusal, status=entry.status, error=entry.text)
    codes = {name: {"const": entry.code, "description": "Name of the error."} for name in entry.code_members}
    properties = {**schema["properties"], **codes}
    return "application/json", {**schema, "properties": properties, "required": list(properties)}
