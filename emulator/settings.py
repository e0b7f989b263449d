"""The settings of the emulator, read from environment variables."""

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
    """The setting with the vendors' packages. It can be read even if another setting is invalid."""

    model_config = SettingsConfigDict(env_prefix="FACE_EMULATOR_", frozen=True)

    vendor_packages: tuple[str, ...] = Field(
        default=("emulator.vendors",),
        description="Python packages of the vendors, as a JSON list. Each is a vendor or contains vendors. "
        "Add one to emulate your own vendor.",
    )


class Settings(VendorPackages):
    """Settings of the emulator. Each has an environment variable ``FACE_EMULATOR_<NAME>``.

    ``vendors`` contains the settings of each vendor:
    ``FACE_EMULATOR_VENDORS__METAHUMAN__TEXTURE_SIZE=512``.
    """

    model_config = SettingsConfigDict(
        env_prefix="FACE_EMULATOR_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    seed: int = Field(default=0, description="Seed of ids and signatures. The same seed gives the same ids.")
    clock: Literal["system"] | datetime = Field(
        default="system",
        description="`system`, or the ISO 8601 time at which the clock is frozen. A time without a zone "
        "is UTC.",
    )
    credentials: Mapping[str, CredentialState] = Field(
        default_factory=dict,
        description="Credentials and their states, as a JSON object. A state is `valid`, `revoked`, "
        "`expired`, `restricted`, `no_balance` or `other_region`. A credential of Face++ is the `api_key` or "
        "`api_key:api_secret`.",
    )
    strict: bool = Field(
        default=False,
        description="Whether credentials without a state are refused. If not, every non-empty credential "
        "without a state is valid.",
    )
    workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 4),
        ge=1,
        description="Number of worker processes. The default is one per processor, at most 4.",
    )
    data_dir: Path | None = Field(
        default=None,
        description="Folder that stores all state. If not set, the state is deleted when the emulator stops.",
    )
    progression: Progression = Field(
        default=REAL,
        description='When tasks appear finished, as a JSON object such as `{"mode": "manual"}`. Modes: '
        "`real`, `immediate`, `after_polls` (with `polls`), `after_seconds` (with `seconds`) and `manual`.",
    )
    in_band_faults: bool = Field(
        default=True,
        description="Whether clients can request faults with the header `X-Emulator-Fault` or a credential "
        "that begins with `fault-`.",
    )
    scenarios: tuple[str, ...] = Field(
        default=(),
        description="Scenarios to load at startup, as a JSON list: names of built-in scenarios, or paths.",
    )
    init_dir: Path | None = Field(
        default=None,
        description="Folder of scenario files to load and scripts to run (`.sh`, `.py`) before the emulator "
        "is ready, in the order of their names. If one fails, the emulator stops.",
    )
    control: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether the control API is served. `auto` serves it only if the emulator listens on "
        "loopback addresses only. Health and readiness are always served.",
    )
    control_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Separate port for the control API, on 127.0.0.1. `0` selects a free port. "
        "If not set, the control API shares the port of the vendors.",
    )
    origins: tuple[str, ...] = Field(
        default=(),
        description="Origins of web pages that may read every response (CORS) and call an emulator in a "
        'private network, as a JSON list such as `["https://app.example"]`; `*` for all. Pages of this '
        "machine may too.",
    )
    proxy_others: bool = Field(
        default=False,
        description="Whether the forward proxy opens tunnels to hosts that the emulator does not serve. "
        "If not, it refuses them, and the journal has the reason.",
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest pause in a request body, in real seconds. After it, the request is refused.",
    )
    journal_calls: int = Field(
        default=1000, ge=0, description="Largest number of calls in the journal. `0` disables the journal."
    )
    journal_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=0,
        description="Approximate limit of the journal's memory, in bytes.",
    )
    vendors: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict,
        description="JSON object with the settings of each vendor, by vendor and name. Each of these "
        "settings also has its own variable.",
    )
