"""Response models and error responses that all operations of Example Faces share."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from emulator.web.openapi import narrowed
from emulator.world.error_catalogue import CatalogueEntry, VendorError


class Body(BaseModel):
    """Base class of response models. The members of a response are in the order of the fields."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Problem(Body):
    """An error response."""

    problem: str = Field(description="Name of the error.")
    hint: str = Field(description="Text of the error.")


def render_error(error: VendorError) -> Response:
    """Return the response for an error."""
    problem = Problem(problem=error.entry.name, hint=error.text)
    return JSONResponse(problem.model_dump(), error.entry.status)


def error_schema(entry: CatalogueEntry) -> tuple[str, dict[str, Any]]:
    """Return the media type and the JSON schema of the response for an error."""
    return "application/json", narrowed(Problem, problem=entry.name, hint=entry.text)
