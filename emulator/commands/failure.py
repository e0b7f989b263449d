"""Error messages and exit codes of failed commands."""

from __future__ import annotations

import click
from click.exceptions import Exit

from face_api_emulator.installed import has_server


class CallFailed(Exception):
    """The command cannot run with these arguments; the message says why."""


def failed(*reasons: str, code: int = 1) -> Exit:
    """Print the reasons to stderr, and return the exception to raise."""
    for reason in reasons:
        click.echo(f"face-emulator: {reason}", err=True)
    return Exit(code)


def require_server(what: str, code: int = 1) -> None:
    """Stop the command if this environment has only the client, and not the emulator."""
    if not has_server():
        raise failed(
            f"{what} needs the emulator, but only its client is installed here; install "
            "`face-api-emulator[server]` on Python 3.11 or 3.12, or run "
            "`uvx --python 3.12 --from 'face-api-emulator[server]' face-emulator`",
            code=code,
        )


def stopped(error: Exception, code: int = 1) -> Exit:
    """Print an error to stderr, and return the exception to raise.

    If a setting is invalid, the message names the environment variable of the setting.
    """
    if not has_server():
        # Only the emulator reads settings, and pydantic is one of its dependencies.
        return failed(str(error), code=code)
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if not isinstance(error, ValidationError | SettingsError):
        return failed(str(error), code=code)
    from emulator.settings import VendorPackages
    from emulator.variables import refusals
    from emulator.web.vendor import discover_vendors

    try:
        vendors = discover_vendors(VendorPackages().vendor_packages)
    except (ValidationError, SettingsError):  # the setting with the packages is itself invalid
        vendors = ()
    return failed(*refusals(error, vendors), code=code)
