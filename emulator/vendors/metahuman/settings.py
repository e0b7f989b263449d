"""What can be set of MetaHuman SDK."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import VendorSettings


class MetaHumanSettings(VendorSettings):
    """Settings of MetaHuman SDK; ``FACE_EMULATOR_VENDORS__METAHUMAN__<NAME>``."""

    # The GLB constructor takes a texture only below 2 MB: 768 pixels stay below that whatever they show.
    texture_size: int = Field(
        default=768,
        ge=64,
        le=2048,
        description="Pixels on a side of the texture; fewer where its PNG would not have less than 2 MB.",
    )
    gender: Literal["female", "male"] | None = Field(
        default=None, description="The gender that every photo is answered with; guessed, if not set."
    )
    image_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="A photo of so many bytes or more is too large."
    )


SettingsDep = Annotated[MetaHumanSettings, Depends(settings_of)]
