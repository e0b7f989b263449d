"""Settings of Face++."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import VendorSettings


class FacePlusPlusSettings(VendorSettings):
    """Settings of Face++. Their variables are ``FACE_EMULATOR_VENDORS__FACEPLUSPLUS__<NAME>``."""

    texture_size: int = Field(default=1024, ge=64, le=4096, description="Width of `tex.jpg`, in pixels.")
    shortest_side: int = Field(default=200, ge=1, description="Shortest allowed side of a photo, in pixels.")
    longest_side: int = Field(default=4096, ge=1, description="Longest allowed side of a photo, in pixels.")
    image_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Largest photo, in bytes.")
    body_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Largest request body, in bytes.")
    absent_members: Literal["absent", "null", "empty"] = Field(
        default="absent",
        description="What `texture_img` and `mtl_file` are in a response if the client did not request them: "
        "missing (`absent`), `null`, or an empty text (`empty`).",
    )
    qps: int | None = Field(
        default=None,
        ge=1,
        description="Largest number of calls per second with one key. No limit by default.",
    )
    download_timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="Seconds to wait for the download of a photo from a URL.",
    )
    beautify_body_bytes: int = Field(
        default=5 * 512 * 1024,
        ge=1,
        description="Largest request body of Beautify, in bytes.",
    )


SettingsDep = Annotated[FacePlusPlusSettings, Depends(settings_of)]
