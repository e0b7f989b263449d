"""The settings of the emulator, read from environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from emulator.backends.descriptors import open_files
from emulator.tasks.progression import REAL, Progression
from emulator.world.credentials import CredentialState


def _none_if_empty(value: object) -> object:
    """Return None for an empty text. Compose sets variables without a value to an empty text."""
    return None if value == "" else value


def _none_if_null(value: object) -> object:
    """Return None for the text ``null``, which is how a variable switches a setting off."""
    return None if value == "null" else value


class VendorPackages(BaseSettings):
    """The setting ``vendor_packages``. It has its own class, so that it is readable if others are invalid."""

    model_config = SettingsConfigDict(env_prefix="FACE_EMULATOR_", frozen=True)

    vendor_packages: tuple[str, ...] = Field(
        default=("emulator.vendors",),
        description="Python packages of the vendors, as a JSON list. Each is the package of a vendor, or "
        "contains such packages. Add a package to emulate your own vendor.",
    )


class Settings(VendorPackages):
    """Settings of the emulator. Each is read from the environment variable ``FACE_EMULATOR_<NAME>``.

    ``vendors`` has the settings of each vendor. A vendor's setting is read from a variable such as
    ``FACE_EMULATOR_VENDORS__METAHUMAN__TEXTURE_SIZE``.
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
        description="Clock of the emulator at startup: `system` for the time of the machine, or an ISO 8601 "
        "time to freeze the clock at. A time without a zone is UTC.",
    )
    credentials: Mapping[str, CredentialState] = Field(
        default_factory=dict,
        description="States of credentials, as a JSON object by credential. A state is `valid` or "
        "the reason why the credential is refused: `revoked`, `expired`, `restricted` (not for this API), "
        "`no_balance` or `other_region` (valid only on another host). A credential of Face++ is the "
        "`api_key` or `api_key:api_secret`.",
    )
    strict: bool = Field(
        default=False,
        description="Whether credentials without a state (see the setting `credentials`) are refused. If "
        "false, they are valid. Empty credentials are always refused.",
    )
    workers: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, 4),
        ge=1,
        description="Number of worker processes. The default is one per processor, at most 4. While only one "
        "of several worker processes is busy, it uses a second processor.",
    )
    work_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Longest time for the work on one picture or model, in real seconds. If it takes longer, "
        "the worker process is killed and replaced, and the work is tried once more. If that also takes too "
        "long, the call or task fails as for a picture that cannot be decoded.",
    )
    stop_seconds: float = Field(
        default=5.0,
        ge=0,
        description="Longest time that the emulator waits for calls in progress after a signal to stop, in "
        "real seconds. Then it closes their connections. `face-emulator worker` waits the same time for the "
        "tasks that it has begun. A second signal ends the process at once.",
    )
    data_dir: Path | None = Field(
        default=None,
        description="Folder that stores all state, except for what `FACE_EMULATOR_DATABASE_URL` and "
        "`FACE_EMULATOR_BLOBS_URL` store elsewhere. If neither this folder nor a database is set, the state "
        "is deleted when the emulator stops.",
    )
    database_url: Annotated[SecretStr | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        description="PostgreSQL database for everything but blobs, instead of a file in the data folder: "
        "`postgresql://user:password@host:5432/database`. Any number of emulators can share a database. If "
        "their settings are the same, they behave as one emulator. The setting requires "
        '`FACE_EMULATOR_BLOBS_URL` and `pip install "face-api-emulator[scale]"`.',
    )
    blobs_url: Annotated[str | None, BeforeValidator(_none_if_empty)] = Field(
        default=None,
        description="Object store for pictures, models and results, instead of a folder in the data folder: "
        "`s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or `file:///folder` for a "
        "folder that machines share. The usual environment variables of each store apply, such as "
        "`AWS_ENDPOINT_URL`, `AWS_REGION` and `AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, or "
        '`AZURE_STORAGE_ACCOUNT_NAME`. The setting requires `pip install "face-api-emulator[scale]"`.',
    )
    progression: Progression = Field(
        default=REAL,
        description="When a task appears finished, as a JSON object such as "
        '`{"mode": "after_polls", "polls": 3}`. The mode is `real` (when its work is done), `immediate` '
        "(before the response to the call that creates it), `after_polls` (after a number of `polls`), "
        "`after_seconds` (after a number of `seconds`) or `manual` (when you end the task).",
    )
    in_band_faults: bool = Field(
        default=True,
        description="Whether clients can request faults with the header `X-Emulator-Fault` or a credential "
        "that begins with `fault-`.",
    )
    scenarios: tuple[str, ...] = Field(
        default=(),
        description="Scenarios to load at startup, as a JSON list of names of built-in scenarios and paths "
        "of files.",
    )
    init_dir: Path | None = Field(
        default=None,
        description="Folder with init hooks: scenario files to load and scripts (`.sh`, `.py`) to run before "
        "the emulator is ready, in the order of their names. If a hook fails, the emulator stops.",
    )
    control: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Whether the control API (`/_emulator`) is served. `auto`: only if every address that "
        "the emulator listens on is a loopback address. `on`: always. `off`: never. `/_emulator/health` and "
        "`/_emulator/ready` are always served.",
    )
    control_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Separate port for the control API, on 127.0.0.1. `0` selects a free port. "
        "Without this setting, the control API and the vendors' APIs have the same port.",
    )
    control_token: str | None = Field(
        default=None,
        min_length=8,
        description="Token that the control API and the console require. Programs send it as "
        "`Authorization: Bearer <token>`; the Python client and the commands read it from this variable. "
        "If not set, the control API requires no token. But if other machines can reach the console, the "
        "console requires a token that is generated at each start, and is part of the printed link.",
    )
    control_hosts: tuple[str, ...] = Field(
        default=(),
        description="Additional host names that requests to the control API may have in `Host`, as a JSON "
        'list such as `["emulator.ci.example", "*.svc.cluster.local"]`. `*` allows all names. IP addresses, '
        "names without a dot, such as a service name in Compose, and names that end with `.localhost` or "
        "`.internal` are always allowed. All other names are refused, because a web page can make its own "
        "host name resolve to this machine (DNS rebinding).",
    )
    origins: tuple[str, ...] = Field(
        default=(),
        description="Origins of web pages that may call the APIs of Face++ and Perfect Corp and read every "
        'response (CORS, and access to private networks), as a JSON list such as `["https://app.example"]`. '
        "`*` allows all origins. Loopback origins, such as `http://localhost:3000`, need no entry. If the "
        "real API allows all origins for a path, the emulator does, too. MetaHuman SDK allows no origin, so "
        "no page can read its responses.",
    )
    proxy_others: bool = Field(
        default=False,
        description="Whether the emulator's forward proxy passes on requests for hosts that the emulator "
        "does not serve, both through `CONNECT` tunnels and as plain `http`. If false, the proxy refuses "
        "these requests. The journal records them in both cases.",
    )
    connections: int = Field(
        default_factory=lambda: open_files() * 3 // 8,
        ge=1,
        description="Largest number of open connections from clients. If a client opens one more, the "
        "connection that has been idle the longest is closed. If none is idle, the new connection gets the "
        "status 503. The default is 3/8 of the number of files that the process can open, at most 3072.",
    )
    head_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Longest time to wait for all headers of a request, in real seconds. After that, the "
        "request gets the status 408. A new connection that sends nothing in this time is closed.",
    )
    downloads: int = Field(
        default_factory=lambda: open_files() // 4,
        ge=1,
        description="Largest number of concurrent downloads of pictures from URLs that clients send. One "
        "credential can use at most three quarters of them, and waiting credentials take turns. Half this "
        "number is also the limit for webhooks that are sent at the same time. The default is a quarter of "
        "the number of files that the process can open, at most 2048.",
    )
    outgoing_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts from which the emulator may download pictures, and to which it may send webhooks, "
        'as a JSON list of names and IP addresses such as `["*.example.com", "127.0.0.1"]`. If empty, all '
        "hosts are allowed, including those with loopback and private addresses. Link-local addresses and "
        "the metadata services of clouds are never allowed.",
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Longest pause in a request body, in real seconds. The whole body may take this time "
        "plus one second for every 500 bytes. A slower request is refused.",
    )
    body_memory_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1,
        description="Largest total size of the request bodies in memory, in bytes. The first 64 KiB of each "
        "body do not count. If only one body is in memory, it may exceed the limit. Any other request "
        "above the limit gets the vendor's own 5xx error or, in the control API, the status 503.",
    )
    journal_calls: int = Field(
        default=1000, ge=0, description="Largest number of calls in the journal. `0` disables the journal."
    )
    journal_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=0,
        description="Approximate limit for the memory of recorded calls, in bytes. The oldest calls are "
        "deleted first. Calls that you list or show are also cached. The cache can take as much "
        "memory again.",
    )
    retention_days: Annotated[float | None, BeforeValidator(_none_if_null)] = Field(
        default=365.0,
        gt=0,
        description="Age in days at which finished tasks, their pictures, uploaded files, ended deliveries "
        "of webhooks and recorded calls are deleted, by the clock of their credential. If it is "
        "`null`, they are kept.",
    )
    vendors: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict,
        description="Settings of the vendors, as a JSON object with an object of settings for each vendor. "
        "Each of these settings also has its own variable.",
    )
