"""Request and response models of Beautify."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from emulator.vendors.faceplusplus.beautify.filters import FILTERS
from emulator.vendors.faceplusplus.wire import Base64, Body, Milliseconds, RequestId, render_compact

HIGHEST = 100
"""The highest strength of all parameters. The lowest is 0."""

Image = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
Strength = Annotated[int, Field(ge=0, le=HIGHEST)]


class _Photo(BaseModel):
    """The fields that both versions have: the credential and the photo."""

    api_key: Annotated[str, Field(min_length=1)] = Field(description="API key of the caller.")
    api_secret: Annotated[str, Field(min_length=1)] = Field(
        description="API secret that belongs to `api_key`."
    )
    image_file: Image = Field(
        default="", description="Photo: a JPEG or PNG, at most 2 MiB, sides of 48 to 4096 pixels."
    )
    image_base64: Base64 = Field(
        default="", description="Photo as base64 text. Ignored if `image_file` is sent."
    )
    image_url: str = Field(
        default="", description="URL of the photo. Ignored if `image_file` or `image_base64` is sent."
    )


class BeautifyV1Fields(_Photo):
    """The documented fields of a request to version 1."""

    whitening: Strength = Field(
        default=100, description="How much to brighten the skin; all colours if the photo shows no face."
    )
    smoothing: Strength = Field(
        default=100, description="How much to smooth the skin of the faces and to even its colour."
    )


class BeautifyV2Fields(_Photo):
    """The documented fields of a request to version 2."""

    whitening: Strength = Field(
        default=50, description="How much to brighten the skin; all colours if the photo shows no face."
    )
    smoothing: Strength = Field(
        default=50, description="How much to smooth the skin of the faces and to even its colour."
    )
    thinface: Strength = Field(default=50, description="How much narrower to make cheeks and jaws.")
    shrink_face: Strength = Field(
        default=50, description="How much smaller to make the outlines of the faces."
    )
    enlarge_eye: Strength = Field(default=50, description="How much larger to make the eyes.")
    remove_eyebrow: Strength = Field(
        default=50, description="How much to replace the eyebrows with skin. With glasses, they stay."
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
    result: Base64 = Field(description="The changed photo, a JPEG of the same size in pixels, in base64.")


def render_success(picture: bytes, *, request_id: str, time_used_ms: int) -> Response:
    """Return a successful response: compact JSON with a line end, like the newest logged responses."""
    result = BeautifyResult(
        request_id=request_id, time_used=time_used_ms, result=base64.b64encode(picture).decode("ascii")
    )
    return render_compact(result.model_dump())
