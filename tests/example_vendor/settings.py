"""What can be set of Example Faces."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import LIFETIME, VendorSettings


class ExampleSettings(VendorSettings):
    """Settings of Example Faces; ``FACE_EMULATOR_VENDORS__EXAMPLE_VENDOR__<NAME>``."""

    picture_bytes: int = Field(default=1024 * 1024, ge=1, description="Bytes that a picture may have.")
    most_faces: int = Field(default=3, ge=1, description="More faces than these are a crowd.")
    crop_units: int = Field(default=2, ge=0, description="Units that a crop takes.")
    crop_days: Annotated[float, LIFETIME] = Field(
        default=1.0, gt=0, description="How long a crop can be asked for, by the clock."
    )


SettingsDep = Annotated[ExampleSettings, Depends(settings_of)]
