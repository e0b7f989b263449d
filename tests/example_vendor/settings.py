"""Settings of Example Faces."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import Field

from emulator.web.call import settings_of
from emulator.web.vendor import LIFETIME, VendorSettings


class ExampleSettings(VendorSettings):
    """Settings of Example Faces. Their variables are ``FACE_EMULATOR_VENDORS__EXAMPLE_VENDOR__<NAME>``."""

    picture_bytes: int = Field(default=1024 * 1024, ge=1, description="Largest picture, in bytes.")
    most_faces: int = Field(default=3, ge=1, description="Largest number of faces that can be counted.")
    crop_units: int = Field(default=2, ge=0, description="Units that a crop costs.")
    crop_days: Annotated[float, LIFETIME] = Field(
        default=1.0, gt=0, description="Days until a crop expires, by the emulator's clock."
    )


SettingsDep = Annotated[ExampleSettings, Depends(settings_of)]
