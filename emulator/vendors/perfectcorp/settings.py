"""Settings of Perfect Corp."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

from emulator.web.call import settings_of
from emulator.web.vendor import LIFETIME, VendorSettings
from emulator.webhooks.delivery import Timestamps

VENDOR = "perfectcorp"

HOSTS = ("yce-api-01.makeupar.com", "yce-api-01.perfectcorp.com")
"""Host names of the API."""

STANDARD_GAPS_S = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds to wait before each attempt of a delivery, from Standard Webhooks: 0 s, 5 s, 5 min, ... 24 h."""


WebhookTask = Literal["face-reshape", "face-reshape/pre-process"]
Gap = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Gaps = Annotated[tuple[Gap, ...], Field(min_length=1)]


def _number(value: object) -> object:
    """Convert a string of digits to an int, because environment variables are strings."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class WebhookEndpoint(BaseModel):
    """A webhook endpoint that is registered at startup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    secret: str
    credential: str = ""
    timestamps: Timestamps = "machine"


class PerfectCorpSettings(VendorSettings):
    """Settings of Perfect Corp. Their variables are ``FACE_EMULATOR_VENDORS__PERFECTCORP__<NAME>``."""

    file_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="Pictures must be smaller than this, in bytes."
    )
    video_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1, description="Videos must be smaller than this, in bytes."
    )
    most_files: int = Field(
        default=100,
        ge=1,
        description="Maximum number of files in one registration. The vendor documents no limit.",
    )
    upload_pause_s: float = Field(
        default=20.0,
        gt=0,
        description="Longest pause in an upload, in real seconds. An upload with a longer pause is refused.",
    )
    longest_side: int = Field(default=4096, ge=1, description="Longest allowed side of a picture, in pixels.")
    face_fraction: float = Field(
        default=1 / 20,
        gt=0,
        lt=1,
        description="A face must fill more than this fraction of the picture's width and height.",
    )
    face_angle_deg: float = Field(
        default=30.0,
        gt=0,
        le=90,
        description="Yaw, pitch and roll of a face must be smaller than this, in degrees.",
    )
    download_timeout_s: float = Field(
        default=5.0, gt=0, description="Seconds to wait for the download of `src_file_url`."
    )
    url_seconds: Annotated[int, LIFETIME] = Field(
        default=7200, ge=1, description="Seconds until a presigned URL expires, by the emulator's clock."
    )
    file_days: Annotated[float, LIFETIME] = Field(
        default=30.0, gt=0, description="Days until a file expires, by the emulator's clock."
    )
    task_days: Annotated[float, LIFETIME] = Field(
        default=30.0,
        gt=0,
        description="Days until a task expires, by the emulator's clock. The vendor's retention page says "
        "30 days, but its OpenAPI says 1 day.",
    )
    task_timeout_s: Annotated[float | None, LIFETIME] = Field(
        default=None,
        gt=0,
        description="Longest time that a task can take, in seconds by the emulator's clock. Polls of a task "
        "that takes longer return `TaskTimeout`. No limit by default.",
    )
    unpolled_expiry_s: Annotated[float | None, LIFETIME] = Field(
        default=None,
        gt=0,
        description="Seconds without a poll, by the emulator's clock, after which a running task is lost and "
        "polls return `InvalidTaskId`. Off by default. The vendor's v1 used 10 seconds.",
    )
    engine_codes: Literal["schema", "page"] = Field(
        default="schema",
        description="Error codes of failed tasks: `schema` for the lower-case codes in the vendor's OpenAPI, "
        "`page` for the upper-case codes on its reference page.",
    )
    missing_upload_status: Annotated[Literal[404, 500], BeforeValidator(_number)] = Field(
        default=500,
        description="Status of the error if a client creates a task for a file that was never uploaded. The "
        "vendor's guide names both values.",
    )
    units: int = Field(default=1000, ge=0, description="Units (prepaid credits) that a new key gets.")
    units_days: Annotated[float, LIFETIME] = Field(
        default=365.0, gt=0, description="Days until the units of a new key expire, by the emulator's clock."
    )
    reshape_units: int = Field(default=1, ge=0, description="Units that a face-reshape task costs.")
    pre_process_units: int = Field(default=0, ge=0, description="Units that a pre-process task costs.")
    polls_per_second: int = Field(
        default=5,
        ge=1,
        description="If a key polls more often than this per second, the journal has a warning.",
    )
    rate_limit: bool = Field(
        default=False,
        description="Whether each key and each IP address is limited to 5 calls per second and 250 calls "
        "per 300 seconds.",
    )
    # In environment variables, the next three settings are JSON strings.
    webhook_endpoints: tuple[WebhookEndpoint, ...] | Json[tuple[WebhookEndpoint, ...]] = Field(
        default=(),
        description="Webhook endpoints, as a JSON list of objects with `url` and `secret`. `credential` "
        'limits an endpoint to the tasks of one key. With `"timestamps": "clock"`, the messages have the '
        "time of the emulator's clock instead of the machine's.",
    )
    webhook_tasks: tuple[WebhookTask, ...] | Json[tuple[WebhookTask, ...]] = Field(
        default=("face-reshape", "face-reshape/pre-process"),
        description="JSON list of the features whose tasks send webhooks.",
    )
    webhook_gaps_s: Gaps | Json[Gaps] = Field(
        default=STANDARD_GAPS_S,
        description="JSON list with one number for each attempt of a delivery: the seconds to wait before "
        "this attempt, by the emulator's clock. The first number has no effect.",
    )
    webhook_timeout_s: float = Field(
        default=15.0, gt=0, description="Real seconds to wait for an endpoint's response."
    )


SettingsDep = Annotated[PerfectCorpSettings, Depends(settings_of)]
