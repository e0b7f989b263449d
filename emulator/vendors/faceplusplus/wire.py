"""Response models and error responses that all APIs of Face++ share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from emulator.vendors.faceplusplus.errors import FacePlusPlusEntry, Layer
from emulator.web.openapi import narrowed
from emulator.world.error_catalogue import VendorError

Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
RequestId = Annotated[str, Field(json_schema_extra={"pattern": "^[0-9]+,[0-9a-f-]{36}$"})]
Milliseconds = Annotated[int, Field(ge=0)]

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
"""Header that lets web pages of all origins read responses. The vendor's browser SDK needs it."""

_PROXY_PAGE = (
    '<html>\r\n<head><title>{0}</title></head>\r\n<body bgcolor="white">\r\n'
    "<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class Body(BaseModel):
    """Base class of response models. The members of a response are in the order of the fields."""

    model_config = ConfigDict(extra="forbid")


class GatewayError(Body):
    """The body of an error that the gateway returns, before the request reaches an operation."""

    error_message: str = Field(
        description="Name of the error. With some errors, a colon and the name of a field or a reason follow."
    )


class ApiError(Body):
    """The body of an error that an operation returns."""

    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    error_message: str = Field(
        description="Name of the error. With some errors, a colon and the name of a field or a reason follow."
    )
    request_id: RequestId = Field(description="Id of the request: Unix time in seconds, a comma and a UUID.")


def render_error(error: VendorError, *, request_id: str, time_used_ms: int) -> Response:
    """Return the response for an error. Its format depends on the layer: proxy, gateway or API."""
    match cast("FacePlusPlusEntry", error.entry).layer:
        case Layer.PROXY:
            return Response(_PROXY_PAGE.format(error.text), error.entry.status, ANY_ORIGIN, "text/html")
        case Layer.GATEWAY:
            said = GatewayError(error_message=error.text).model_dump()
            return render(error.entry.status, said, separators=(",", ":"))
        case _:
            body = ApiError(time_used=time_used_ms, error_message=error.text, request_id=request_id)
            return render(error.entry.status, body.model_dump())


def error_schema(entry: FacePlusPlusEntry) -> tuple[str, dict[str, Any]]:
    """Return the media type and the JSON schema of the response for an error."""
    if entry.layer is Layer.PROXY:
        return "text/html", {"type": "string"}
    model = GatewayError if entry.layer is Layer.GATEWAY else ApiError
    return "application/json", narrowed(model, error_message=entry.text)


def render(status: int, body: Mapping[str, Any], separators: tuple[str, str] = (", ", ": ")) -> Response:
    """Return a JSON response. ``separators`` is passed to ``json.dumps``."""
    return Response(json.dumps(body, separators=separators), status, ANY_ORIGIN, "application/json")
