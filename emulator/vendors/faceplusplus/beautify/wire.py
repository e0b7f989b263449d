"""Request and response models of Beautify."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import Field

from emulator.vendors.faceplusplus.beautify.filters import FILTERS
from emulator.vendors.faceplusplus.wire import (
    Blob,
    Body,
    Milliseconds,
    PhotoFields,
    RequestId,
    render_compact,
)

HIGHEST = 100
"""The highest strength of all parameters. The lowest is 0."""

Strength = Annotated[int, Field(ge=0, le=HIGHEST)]


class BeautifyV1Fields(PhotoFields):
    """The documented fields of a request to version 1."""

    whitening: Strength = Field(
        default=100, description="How much to brighten the skin, or the whole photo if it has no face."
    )
    smoothing: Strength = Field(
        default=100, description="How much to smooth the skin, and to make its colour even."
    )


class BeautifyV2Fields(PhotoFields):
    """The documented fields of a request to version 2."""

    whitening: Strength = Field(
        default=50, description="How much to brighten the skin, or the whole photo if it has no face."
    )
    smoothing: Strength = Field(
        default=50, description="How much to smooth the skin, and to make its colour even."
    )
    thinface: Strength = Field(default=50, description="How much narrower to make the cheeks and the jaws.")
    shrink_face: Strength = Field(default=50, description="How much smaller to make the faces.")
    enlarge_eye: Strength = Field(default=50, description="How much larger to make the eyes.")
    remove_eyebrow: Strength = Field(
        default=50,
        description="How much to replace the eyebrows with skin. Eyebrows behind glasses are kept.",
    )
    filter_type: str = Field(
        default="",
        description="Name of a colour filter for the whole photo. No filter by default.",
        json_schema_extra={"enum": list(FILTERS)},
    )


class BeautifyResult(Body):
    """A successful response."""

    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")
    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    result: Blob = Field(description="The changed photo, a JPEG of the same size in pixels, in base64.")


def render_success(picture: bytes, *, request_id: str, time_used_ms: int) -> Response:
    """Return a successful response: compact JSON with a line end, like the newest logged responses."""
    result = BeautifyResult(request_id=request_id, time_used=time_used_ms, result=picture)
    return render_compact(result.model_dump())
