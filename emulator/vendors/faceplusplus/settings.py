"""Settings of Face++."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import VendorSettings


class FacePlusPlusSettings(VendorSettings):
    """Settings of Face++, from ``FACE_EMULATOR_VENDORS__FACEPLUSPLUS__<NAME>``."""

    texture_size: int = Field(default=1024, ge=64, le=4096, description="Width of `tex.jpg`, in pixels.")
    shortest_side: int = Field(default=200, ge=1, description="Shortest allowed side of a photo, in pixels.")
    longest_side: int = Field(default=4096, ge=1, description="Longest allowed side of a photo, in pixels.")
    image_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Largest photo, in bytes.")
    body_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Largest request body, in bytes.")
    absent_members: Literal["absent", "null", "empty"] = Field(
        default="absent",
        description="Form of `texture_img` and `mtl_file` in the response if they were not requested.",
    )
    qps: int | None = Field(
        default=None, ge=1, description="Calls per second that a key can make. No limit by default."
    )
    download_timeout_s: float = Field(
        default=5.0, gt=0, description="Seconds to wait for the download of `image_url_N`."
    )


SettingsDep = Annotated[FacePlusPlusSettings, Depends(settings_of)]
