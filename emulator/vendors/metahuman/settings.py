"""Settings of MetaHuman SDK."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import VendorSettings


class MetaHumanSettings(VendorSettings):
    """Settings of MetaHuman SDK. Their variables are ``FACE_EMULATOR_VENDORS__METAHUMAN__<NAME>``."""

    # The vendor's GLB constructor only accepts textures below 2 MB. A PNG of 768 pixels is always smaller.
    texture_size: int = Field(
        default=768,
        ge=64,
        le=2048,
        description="Width of the square texture, in pixels. The emulator makes the texture smaller if the "
        "PNG would be 2 MB or larger.",
    )
    gender: Literal["female", "male"] | None = Field(
        default=None, description="Gender in all responses. By default, it is estimated from the photo."
    )
    image_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="Photos must be smaller than this, in bytes."
    )
    model_response: Literal["glb", "url"] = Field(
        default="glb",
        description="Response of `run_hair_pipeline` and `assemble`: the GLB file, or JSON with its path.",
    )
    head_uv_bytes: int = Field(
        default=2 * 1024 * 1024,
        ge=1,
        description="Textures for the GLB constructor must be smaller than this, in bytes.",
    )
    custom_model_bytes: int = Field(
        default=50 * 1024 * 1024, ge=1, description="Each custom model must be smaller than this, in bytes."
    )
    model_bytes: int = Field(
        default=50 * 1024 * 1024,
        ge=1,
        description="Models of a schema must be smaller than this, in bytes. The vendor documents no limit.",
    )
    assemble_bytes: int = Field(
        default=200 * 1024 * 1024,
        ge=1,
        description="Maximum size of a request body for `assemble`, in bytes, including all custom models. "
        "The vendor documents no limit.",
    )


SettingsDep = Annotated[MetaHumanSettings, Depends(settings_of)]
