"""How a command ends that cannot do what it was asked."""

from __future__ import annotations

import typer


class CallFailed(Exception):
    """The emulator cannot do what it was asked; the message says why."""


def failed(*reasons: str, code: int = 1) -> typer.Exit:
    """Return how a command ends, after telling the user why."""
    for reason in reasons:
        typer.echo(f"face-emulator: {reason}", err=True)
    return typer.Exit(code)


def stopped(error: Exception, code: int = 1) -> typer.Exit:
    """Return how a command ends after an error; wrong settings are told by their variables."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if not isinstance(error, ValidationError | SettingsError):
        return failed(str(error), code=code)
    from emulator.settings import VendorPackages
    from emulator.variables import refusals
    from emulator.web.vendor import discover_vendors

    try:
        vendors = discover_vendors(VendorPackages().vendor_packages)
    except (ValidationError, SettingsError):  # that setting itself is wrong
        vendors = ()
    return failed(*refusals(error, vendors), code=code)
