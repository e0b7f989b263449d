"""Request and response models of hair reconstruction."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from emulator.vendors.metahuman.photo import PhotoFields


class HairFields(PhotoFields):
    """The fields of a request."""

    mode: Literal["card", "volume"] = Field(
        default="card",
        description="`card`: strips with a texture of strands, 15,000 to 25,000 vertices. `volume`: a closed "
        "surface of one colour, 10,000 to 20,000 vertices.",
    )
    hair_color: Annotated[str, Field(pattern="^(#?[0-9A-Fa-f]{6})?$")] = Field(
        default="",
        description="Colour of the hair: red, green and blue in hexadecimal, with or without a `#`. By "
        "default, the colour is estimated from the photo.",
    )


def parse_color(text: str) -> tuple[int, int, int]:
    """Return the red, green and blue (0 to 255) of a colour in hexadecimal.

    Raises
    ------
    ValueError
        If the text is not six hexadecimal digits, with or without a ``#`` before them.
    """
    if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", text):
        raise ValueError(f"{text!r} is not a colour")
    red, green, blue = bytes.fromhex(text[-6:])
    return red, green, blue
