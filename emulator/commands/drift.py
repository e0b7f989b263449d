"""``face-emulator drift``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.failure import stopped


def drift(
    *,
    vendor: Annotated[str, typer.Option(help="Name of the vendor, such as faceplusplus.")],
    base_url: Annotated[
        str,
        typer.Option(
            help="URL of the real service, such as https://api.example.com. Required, except for --list."
        ),
    ] = "",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="FACE_DRIFT_KEY",
            help="Key in the vendor's form: `api_key:api_secret`, a token or a bearer key.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a sample to send; repeatable; omit it to send all.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the samples, and send nothing.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Folder to write the real responses to, as new golden samples.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="Folder to read the samples from; omit it for the built-in samples.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File to write the differences to, as JSON.")] = None,
    pace: Annotated[
        float | None,
        typer.Option(
            help="Seconds between calls; by default 1.25, or 0 for a service on this machine.", min=0
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a response.", min=0.001)] = 30.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before calls that may be billed.")] = False,
) -> None:
    """Send sample requests to a real service and to the emulator, and compare the responses.

    The samples, called golden samples, are stored requests with their responses. The vendor may bill the
    calls to your key. The command starts its own emulator. It prints the differences and how to correct them.
    The exit code is 0 without differences, 1 with differences, and 2 if the comparison fails.
    """
    from rich.console import Console

    from emulator.drift.command import DriftFailed, DriftOptions, list_samples, run_drift

    options = DriftOptions(vendor, base_url, key, tuple(only or ()), golden, record, json, pace, timeout)
    console = Console()
    try:
        if list_:
            list_samples(options, console)
            return
        differs = run_drift(
            options, console, lambda: yes or (sys.stdin.isatty() and typer.confirm("Send them?"))
        )
    except (DriftFailed, ValueError, OSError) as error:
        raise stopped(error, 2) from error
    if differs:
        raise typer.Exit(1)
