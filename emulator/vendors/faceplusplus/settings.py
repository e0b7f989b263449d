"""Settings of Face++."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import LIFETIME, VendorSettings


class FacePlusPlusSettings(VendorSettings):
    """Settings of Face++. Their variables are ``FACE_EMULATOR_VENDORS__FACEPLUSPLUS__<NAME>``."""

    texture_size: int = Field(default=1024, ge=64, le=4096, description="Width of `tex.jpg`, in pixels.")
    shortest_side: int = Field(default=200, ge=1, description="Shortest allowed side of a photo, in pixels.")
    longest_side: int = Field(default=4096, ge=1, description="Longest allowed side of a photo, in pixels.")
    image_bytes: int = Field(default=2 * 1024 * 1024, ge=1, description="Maximum size of a photo, in bytes.")
    body_bytes: int = Field(
        default=2 * 1024 * 1024, ge=1, description="Maximum size of a request body, in bytes."
    )
    absent_members: Literal["absent", "null", "empty"] = Field(
        default="absent",
        description="How a response represents `texture_img` and `mtl_file` if the client did not request "
        "them: missing (`absent`), `null`, or an empty string (`empty`).",
    )
    qps: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of calls per second for each key. No limit by default.",
    )
    download_timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="Seconds to wait for the download of a photo from a URL.",
    )
    key_kind: Literal["standard", "free"] = Field(
        default="standard",
        description="Whether all keys are standard or free keys. A `free` key cannot use the fields "
        "`calculate_all` and `face_rectangle` of `detect`.",
    )
    shortest_detect_side: int = Field(
        default=48, ge=1, description="Shortest allowed side of a photo for `detect`, in pixels."
    )
    face_token_hours: Annotated[float, LIFETIME] = Field(
        default=72.0, gt=0, description="Hours until a face token expires, by the emulator's clock."
    )
    shortest_dense_side: int = Field(
        default=100, ge=1, description="Shortest allowed side of a photo for `thousandlandmark`, in pixels."
    )
    shortest_dense_face: int = Field(
        default=100, ge=1, description="Shortest side of a face that `thousandlandmark` can find, in pixels."
    )
    shortest_features_side: int = Field(
        default=48, ge=1, description="Shortest allowed side of a photo for `facialfeatures`, in pixels."
    )
    beautify_body_bytes: int = Field(
        default=5 * 512 * 1024,
        ge=1,
        description="Maximum size of a request body for Beautify, in bytes.",
    )


SettingsDep = Annotated[FacePlusPlusSettings, Depends(settings_of)]
