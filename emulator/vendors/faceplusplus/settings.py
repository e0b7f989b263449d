"""What can be set of Face++."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import VendorSettings


class FacePlusPlusSettings(VendorSettings):
    """Settings of Face++; ``FACE_EMULATOR_VENDORS__FACEPLUSPLUS__<NAME>``."""

    texture_size: int = Field(default=1024, ge=64, le=4096, description="Pixels on a side of tex.jpg.")
    shortest_side: int = Field(default=200, ge=1, description="Pixels that a side of a photo must have.")
    longest_side: int = Field(default=4096, ge=1, description="Pixels that a side of a photo may have.")
    image_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Bytes that one photo may have.")
    body_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Bytes that a whole request may have.")
    absent_members: Literal["absent", "null", "empty"] = Field(
        default="absent",
        description="How `texture_img` and `mtl_file` come back when nobody asked for them.",
    )
    qps: int | None = Field(
        default=None, ge=1, description="Calls within a second that a key may make; any number, if not set."
    )
    download_timeout_s: float = Field(default=5.0, gt=0, description="For `image_url_N`.")


SettingsDep = Annotated[FacePlusPlusSettings, Depends(settings_of)]
