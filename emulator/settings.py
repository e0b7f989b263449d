"""Everything that can be set from outside, in one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from emulator.tasks.progression import REAL, Progression
from emulator.world.credentials import CredentialState


class VendorPackages(BaseSettings):
    """Where vendors are looked for: known even where another setting is wrong."""

    model_config = SettingsConfigDict(env_prefix="FACE_EMULATOR_", frozen=True)

    vendor_packages: tuple[str, ...] = Field(
        default=("emulator.vendors",),
        description="Python packages that are vendors, or hold some, as a JSON list: add one to emulate a "
        "vendor of your own.",
    )


class Settings(VendorPackages):
    """Settings of the emulator; each is also an environment variable ``FACE_EMULATOR_<NAME>``.

    A vendor's own settings stand under ``vendors``: ``FACE_EMULATOR_VENDORS__METAHUMAN__TEXTURE_SIZE=512``.
    """

    model_config = SettingsConfigDict(
        env_prefix="FACE_EMULATOR_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    seed: int = Field(default=0, description="Ids and signatures derive from it: same seed, same ids.")
    clock: Literal["system"] | datetime = Field(
        default="system", description="`system`, or an ISO 8601 moment at which the clock stands still."
    )
    credentials: Mapping[str, CredentialState] = Field(
        default_factory=dict,
        description="Listed credentials and what they are, as a JSON object: `valid`, `revoked`, `expired`, "
        "`restricted`, `no_balance` or `other_region`. For Face++ either the `api_key` or "
        "`api_key:api_secret`.",
    )
    strict: bool = Field(
        default=False, description="Whether only listed credentials are good; if not, all that are not empty."
    )
    workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 4),
        ge=1,
        description="Worker processes that compute pictures; one for each processor, at most 4, if not set.",
    )
    data_dir: Path | None = Field(
        default=None, description="Where records and pictures are kept; if not set, they go with the process."
    )
    progression: Progression = Field(
        default=REAL,
        description='When tasks are over, as clients see it, as a JSON object: `{"mode": "real"}`, '
        "`immediate`, `after_polls` with `polls`, `after_seconds` with `seconds` by the clock, or `manual`.",
    )
    in_band_faults: bool = Field(
        default=True,
        description="Whether the header `X-Emulator-Fault` and credentials that begin with `fault-` work.",
    )
    scenarios: tuple[str, ...] = Field(
        default=(),
        description="Scenarios to load at the start, as a JSON list: shipped ones by name, own ones by path.",
    )
    init_dir: Path | None = Field(
        default=None,
        description="A folder of scenario files and scripts (`.sh`, `.py`) that run in the order of "
        "their names before the emulator is ready; the first that fails stops it.",
    )
    control: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether `/_emulator` is served, beside health and readiness; `auto`: if the emulator "
        "listens on a loopback address.",
    )
    control_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Serve it on a port of its own, on 127.0.0.1, and not beside the vendors.",
    )
    journal_calls: int = Field(
        default=1000, ge=0, description="How many of the last calls the journal keeps; with 0 it keeps none."
    )
    journal_bytes: int = Field(
        default=16 * 1024 * 1024, ge=0, description="How many bytes these calls may take in memory, roughly."
    )
    vendors: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict, description="Settings of the vendors, by vendor and name."
    )
