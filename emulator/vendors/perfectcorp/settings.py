"""What can be set of Perfect Corp."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import Field

from emulator.web.vendor import VendorSettings


class PerfectCorpSettings(VendorSettings):
    """Settings of Perfect Corp; ``FACE_EMULATOR_VENDORS__PERFECTCORP__<NAME>``."""

    file_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="A picture of so many bytes or more is too large."
    )
    longest_side: int = Field(default=4096, ge=1, description="Pixels that a side of a picture may have.")
    face_fraction: float = Field(
        default=1 / 20, gt=0, lt=1, description="A face must fill more than this of width and height."
    )
    face_angle_deg: float = Field(
        default=30.0, gt=0, le=90, description="Yaw, pitch and roll of the head must be below this."
    )
    download_timeout_s: float = Field(default=5.0, gt=0, description="For `src_file_url`.")
    url_seconds: int = Field(
        default=7200, ge=1, description="Life of a presigned upload or result URL, by the clock."
    )


def _settings_of(request: Request) -> PerfectCorpSettings:
    settings: PerfectCorpSettings = request.app.state.settings
    return settings


SettingsDep = Annotated[PerfectCorpSettings, Depends(_settings_of)]
