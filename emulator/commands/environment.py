"""The environment variables with which a process reaches the emulator: ``face-emulator env``."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.commands.connection import BASE_URL, Url, connected
from emulator.commands.failure import CallFailed, failed

if TYPE_CHECKING:
    from emulator.control.world import Health
    from emulator.web.vendor import Vendor

CREDENTIAL = "face-emulator"
"""Credential of a process that has none."""


class Format(StrEnum):
    """How ``env`` writes the variables."""

    SHELL = "shell"
    DOTENV = "dotenv"
    JSON = "json"
    GITHUB = "github"


def env(
    format_: Annotated[
        Format,
        typer.Option("--format", help="`shell`: to evaluate; `github`: lines for the file in $GITHUB_ENV."),
    ] = Format.SHELL,
    url: Url = BASE_URL,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The same as `--format json`.")] = False,
) -> None:
    """Print the environment variables with which clients reach the running emulator.

    Use it as `eval "$(face-emulator env)"`. If the emulator serves TLS (`serve --tls`), unmodified clients
    of the vendors reach it too: the variables select it as proxy, and make clients trust its certificates.
    """
    from emulator.settings import VendorPackages
    from emulator.web.vendor import discover_vendors

    with connected(url) as client:
        health = client.health()
    vendors = discover_vendors(VendorPackages().vendor_packages)
    try:
        variables = variables_of(health, url, vendors, os.environ)
    except CallFailed as error:
        raise failed(str(error)) from error
    typer.echo(written(variables, Format.JSON if as_json else format_), nl=False)


def variables_of(
    health: Health,
    url: str,
    vendors: Sequence[Vendor],
    parent: Mapping[str, str],
    *,
    control_url: str | None = None,
    has_proxy: bool = True,
) -> dict[str, str]:
    """Return the variables for an emulator at ``url``. They override those of ``parent``.

    ``FACE_EMULATOR_URL`` is ``control_url``, by default ``url``. Each vendor has a ``<VENDOR>_URL`` and one
    variable for each part of its credential. With TLS, there are also those of trust, and those of the
    proxy if ``has_proxy``.

    Raises
    ------
    CallFailed
        If the certificates are not on this machine.
    """
    variables = {"FACE_EMULATOR_URL": control_url or url}
    for vendor in vendors:
        if vendor.name in health.vendors:
            name = vendor.name.upper()
            variables[f"{name}_URL"] = url
            variables |= {f"{name}_{part.upper()}": CREDENTIAL for part in vendor.credential}
    if health.tls is not None:
        from emulator.tls.trust import environment, trust_files

        files = trust_files(Path(health.tls.folder))
        if not files.bundle.is_file():
            raise CallFailed(
                f"the certificates are in {files.bundle.parent} on the emulator's machine, not here; copy "
                "that folder, or share it as a volume"
            )
        variables |= environment(files, health.tls.names, url if has_proxy else None, parent)
    return variables


def written(variables: Mapping[str, str], format_: Format) -> str:
    """Return the variables in a format."""
    if format_ is Format.JSON:
        return json.dumps(variables, indent=1) + "\n"
    quote = shlex.quote if format_ is Format.SHELL else _dotenv_quoted if format_ is Format.DOTENV else str
    export = "export " if format_ is Format.SHELL else ""
    return "".join(f"{export}{name}={quote(value)}\n" for name, value in variables.items())


def _dotenv_quoted(value: str) -> str:
    """Quote a value so that the common readers of dotenv files take it literally."""
    if not any(character in value for character in " '\"#$\\"):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
