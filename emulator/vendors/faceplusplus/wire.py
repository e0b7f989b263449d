"""Response models and error responses that all APIs of Face++ share."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from emulator.vendors.faceplusplus.errors import FacePlusPlusEntry, Layer
from emulator.web.digests import md5_of
from emulator.web.openapi import narrowed
from emulator.web.responses import BlobResponse
from emulator.world.error_catalogue import VendorError

if TYPE_CHECKING:
    from emulator.face.pose import Pose

Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
Blob = Annotated[bytes, WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
"""Bytes that a response has as base64."""

RequestId = Annotated[str, Field(json_schema_extra={"pattern": "^[0-9]+,[0-9a-f-]{36}$"})]
Milliseconds = Annotated[int, Field(ge=0)]
Upload = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
Flag = Annotated[int, Field(json_schema_extra={"enum": [0, 1], "default": 0})]
ImageId = Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9+/]{22}==$"})]

Score = Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100})]
"""A number from 0 to 100. Responses always write it with three decimals."""

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
"""Header that lets web pages of all origins read responses. The vendor's browser SDK needs it."""

COMPACT = json.JSONEncoder(separators=(",", ":"))
"""Writes JSON without spaces. It cannot write a Decimal."""

_PROXY_PAGE = (
    '<html>\r\n<head><title>{0}</title></head>\r\n<body bgcolor="white">\r\n'
    "<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


class KeyFields(BaseModel):
    """The fields that every request has."""

    model_config = ConfigDict(defer_build=True)

    api_key: Annotated[str, Field(min_length=1)] = Field(description="API key of the caller.")
    api_secret: Annotated[str, Field(min_length=1)] = Field(
        description="API secret that belongs to `api_key`."
    )


class PhotoFields(KeyFields):
    """The fields of a request with one photo."""

    image_file: Upload = Field(
        default="", description="Photo: a JPEG or PNG of at most 2 MiB, sides of 48 to 4096 pixels."
    )
    image_base64: Base64 = Field(
        default="", description="Photo as base64 text. Ignored if `image_file` is sent."
    )
    image_url: str = Field(
        default="", description="URL of the photo. Ignored if `image_file` or `image_base64` is sent."
    )


class Body(BaseModel):
    """Base class of response models. The members of a response are in the order of the fields."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Rectangle(Body):
    """The box of a face. It is a square, unless it is clipped at the border of the photo."""

    top: int = Field(description="Y coordinate of the top edge, in pixels.")
    left: int = Field(description="X coordinate of the left edge, in pixels.")
    width: int = Field(ge=1, description="Width in pixels.")
    height: int = Field(ge=1, description="Height in pixels.")


class Point(Body):
    """A point in the photo."""

    x: int = Field(description="X coordinate in pixels, from the left edge of the photo.")
    y: int = Field(description="Y coordinate in pixels, from the top edge of the photo.")


class HeadPose(Body):
    """The orientation of a head, in degrees."""

    pitch_angle: float = Field(description="Positive if the head looks up.")
    roll_angle: float = Field(
        description="Positive if the top of the head is turned to the right of the photo."
    )
    yaw_angle: float = Field(description="Positive if the nose points to the right of the photo.")


class GatewayError(Body):
    """The body of an error that the gateway returns, before the request reaches an operation."""

    error_message: str = Field(
        description="Name of the error. For some errors, a colon and the name of a field or a reason follow."
    )


class ApiError(Body):
    """The body of an error that an operation returns."""

    time_used: Milliseconds = Field(description="Time that the request took, in milliseconds.")
    error_message: str = Field(
        description="Name of the error. For some errors, a colon and the name of a field or a reason follow."
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


def render_spaced(body: Mapping[str, Any]) -> Response:
    """Return a successful JSON response with spaces, as the older APIs write it. Bytes become base64."""
    return BlobResponse(_members(body, json.dumps), comma=", ", colon=": ", headers=ANY_ORIGIN)


def render_compact(body: Mapping[str, Any]) -> Response:
    """Return a successful JSON response without spaces and with a line end, as the newer APIs write it.

    Bytes become base64.
    """
    return BlobResponse(_members(body, compact_json), end="\n", headers=ANY_ORIGIN)


def _members(body: Mapping[str, Any], write: Callable[[Any], str]) -> dict[str, str | bytes]:
    return {name: value if isinstance(value, bytes) else write(value) for name, value in body.items()}


def compact_json(value: Any) -> str:
    """Return ``value`` as JSON without spaces. A Decimal keeps all its decimals."""
    if isinstance(value, Decimal):
        return str(value)
    try:
        return COMPACT.encode(value)
    except TypeError:  # a Decimal is inside
        if isinstance(value, Mapping):
            members = (f"{COMPACT.encode(name)}:{compact_json(member)}" for name, member in value.items())
            return "{" + ",".join(members) + "}"
        return "[" + ",".join(map(compact_json, value)) + "]"


def score(value: float) -> Decimal:
    """Return a `Score`: ``value``, limited to 0 to 100 and rounded to three decimals."""
    return Decimal(min(max(value, 0.0), 100.0)).quantize(Decimal("0.001"))


def shares(weights: Mapping[str, float]) -> dict[str, Decimal]:
    """Return scores that are proportional to ``weights`` and add up to exactly 100.

    The largest score absorbs the rounding errors of the others.
    """
    total = sum(weights.values())
    found = {name: score(100.0 * weight / total) for name, weight in weights.items()}
    found[max(weights, key=weights.__getitem__)] += Decimal(100) - sum(found.values(), Decimal(0))
    return found


async def image_id(photo: bytes) -> str:
    """Return an `ImageId`."""
    return base64.b64encode((await md5_of(photo)).digest()).decode()


def head_pose(pose: Pose) -> HeadPose:
    """Return the angles of a head. They have float32 precision, as in logged responses."""
    import numpy as np  # noqa: PLC0415 - the server starts without numpy

    pitch, roll, yaw = (float(str(np.float32(angle))) for angle in (pose.pitch, pose.roll, pose.yaw))
    return HeadPose(pitch_angle=pitch, roll_angle=roll, yaw_angle=yaw)
