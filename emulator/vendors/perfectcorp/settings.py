"""What can be set of Perfect Corp."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Json

from emulator.web.call import settings_of
from emulator.web.vendor import LIFETIME, VendorSettings
from emulator.webhooks.delivery import Timestamps

VENDOR = "perfectcorp"

STANDARD_GAPS_S = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""The schedule that Standard Webhooks suggests: at once, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h."""


WebhookTask = Literal["face-reshape", "face-reshape/pre-process"]
Gap = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Gaps = Annotated[tuple[Gap, ...], Field(min_length=1)]


def _number(value: object) -> object:
    """Return the number that a text is, as it comes from the environment; a literal takes no text for one."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class WebhookEndpoint(BaseModel):
    """An endpoint that is there from the start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    secret: str
    credential: str = ""
    timestamps: Timestamps = "machine"


class PerfectCorpSettings(VendorSettings):
    """Settings of Perfect Corp; ``FACE_EMULATOR_VENDORS__PERFECTCORP__<NAME>``."""

    file_bytes: int = Field(
        default=10 * 1024 * 1024, ge=1, description="A picture of so many bytes or more is too large."
    )
    video_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1, description="A video of so many bytes or more is not registered."
    )
    longest_side: int = Field(default=4096, ge=1, description="Pixels that a side of a picture may have.")
    face_fraction: float = Field(
        default=1 / 20, gt=0, lt=1, description="A face must fill more than this of width and height."
    )
    face_angle_deg: float = Field(
        default=30.0, gt=0, le=90, description="Yaw, pitch and roll of the head must be below this."
    )
    download_timeout_s: float = Field(default=5.0, gt=0, description="For `src_file_url`.")
    url_seconds: Annotated[int, LIFETIME] = Field(
        default=7200, ge=1, description="Life of a presigned upload or result URL, by the clock."
    )
    file_days: Annotated[float, LIFETIME] = Field(
        default=30.0, gt=0, description="Life of a file, by the clock."
    )
    task_days: Annotated[float, LIFETIME] = Field(
        default=30.0, gt=0, description="How long a task can be asked for, by the clock; the schema says 1."
    )
    task_timeout_s: Annotated[float | None, LIFETIME] = Field(
        default=None, gt=0, description="A task that runs for longer is answered with TaskTimeout."
    )
    unpolled_expiry_s: Annotated[float | None, LIFETIME] = Field(
        default=None,
        gt=0,
        description="A running task that nobody polls for so long is lost; v1 had 10.",
    )
    engine_codes: Literal["schema", "page"] = Field(
        default="schema",
        description="Codes of failed tasks: of the OpenAPI `schema`, or of the table on the `page`.",
    )
    missing_upload_status: Annotated[Literal[404, 500], BeforeValidator(_number)] = Field(
        default=500, description="For a task whose file was never uploaded; the guide names both."
    )
    units: int = Field(default=1000, ge=0, description="Units that a key begins with.")
    units_days: Annotated[float, LIFETIME] = Field(
        default=365.0, gt=0, description="Life of these units, by the clock."
    )
    reshape_units: int = Field(default=1, ge=0, description="What a face-reshape costs.")
    pre_process_units: int = Field(default=0, ge=0, description="What a pre-process costs.")
    polls_per_second: int = Field(
        default=5, ge=1, description="Polls within a second of which a key is not warned in the journal."
    )
    rate_limit: bool = Field(
        default=False,
        description="Whether a key and an IP may make 5 calls a second and 250 in 300 s, no more.",
    )
    # From the environment these three arrive as the text of a JSON list.
    webhook_endpoints: tuple[WebhookEndpoint, ...] | Json[tuple[WebhookEndpoint, ...]] = Field(
        default=(),
        description="Where webhooks go from the start, as a JSON list of objects: `url`, `secret`, for the "
        "tasks of one key alone `credential`, and for a receiver whose time follows the clock "
        '`"timestamps": "clock"`.',
    )
    webhook_tasks: tuple[WebhookTask, ...] | Json[tuple[WebhookTask, ...]] = Field(
        default=("face-reshape", "face-reshape/pre-process"),
        description="The kinds of task that are announced, as a JSON list.",
    )
    webhook_gaps_s: Gaps | Json[Gaps] = Field(
        default=STANDARD_GAPS_S,
        description="Seconds before each attempt, by the clock, since the one before it, as a JSON list: "
        "as many as there are attempts.",
    )
    webhook_timeout_s: float = Field(
        default=15.0, gt=0, description="How long an attempt may take, in real time."
    )


SettingsDep = Annotated[PerfectCorpSettings, Depends(settings_of)]
