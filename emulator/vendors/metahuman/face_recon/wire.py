"""Response models of face reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import Field

from emulator.pipelines.options import HeadDescription
from emulator.vendors.metahuman.static.operations import FOLDER
from emulator.vendors.metahuman.wire import Body

if TYPE_CHECKING:
    from emulator.face.appearance import Attributes

Color = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]


class Face(Body):
    """The texture and the shape of a face."""

    textureUrl: Annotated[str, Field(pattern="^/static/.+\\.png$")] = Field(  # noqa: N815 - as the vendor spells it
        description="Path of the texture, a PNG of less than 2 MB. Append the path to the base URL."
    )
    blendShapes: Annotated[list[float], Field(min_length=80, max_length=80)] = Field(  # noqa: N815 - likewise
        description="Coefficients that describe the shape of the head. They are all 0 for an average head. "
        "The first 16 are in standard deviations."
    )
    blinkCorrectionCoeff: float = Field(  # noqa: N815 - likewise
        description="Opening of the eyes, 0.9 to 1.1: below 1 for narrow eyes, above 1 for wide open eyes."
    )


class Hair(Body):
    """The attributes of the hair."""

    color: Color = Field(description="Colour of the hair: `#` and red, green and blue in hexadecimal.")
    type: Annotated[str, Field(pattern="^(long|short|ponytail)_(straight|wavy)$")] = Field(
        description="Length and texture of the hair, such as `long_straight`."
    )


class Skin(Body):
    """The attributes of the skin."""

    color: Color = Field(description="Colour of the skin: `#` and red, green and blue in hexadecimal.")


class Head(Body):
    """A head. The members are in the order of the vendor's sample."""

    face: Face = Field(description="Texture and shape of the face.")
    hair: Hair = Field(description="Attributes of the hair.")
    skin: Skin = Field(description="Attributes of the skin.")
    accessories: list[str] = Field(description='Accessories on the head: `["glasses"]`, or an empty list.')
    gender: Literal["Female", "Male"] = Field(
        description="Gender, estimated from the photo or set with the setting `gender`."
    )


class RunPipelineResult(Body):
    """A successful response."""

    result: Head = Field(description="Texture and parameters of the head.")


def render_success(head: HeadDescription, name: str) -> Response:
    """Return a successful response. Its numbers have float32 precision, as in the vendor's sample."""
    import numpy as np  # noqa: PLC0415 - the server starts without numpy

    attributes = head.attributes
    found = Head(
        face=Face(
            textureUrl=f"{FOLDER}/{name}",
            blendShapes=[float(np.float32(number)) for number in head.numbers],
            blinkCorrectionCoeff=float(np.float32(attributes.blink_correction)),
        ),
        hair=Hair(
            color=_hex(attributes.hair_color), type=f"{attributes.hair_length}_{attributes.hair_texture}"
        ),
        skin=Skin(color=_hex(attributes.skin_color)),
        accessories=_accessories(attributes),
        gender="Female" if attributes.gender == "female" else "Male",
    )
    return JSONResponse(RunPipelineResult(result=found).model_dump())


def _accessories(attributes: Attributes) -> list[str]:
    return ["glasses"] if attributes.glasses else []


def _hex(color: Any) -> str:
    return "#" + bytes(int(channel) for channel in color).hex()
