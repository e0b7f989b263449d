"""``face-emulator drift``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.exceptions import Exit

from emulator.commands.failure import require_server, stopped


@click.command()
@click.option("--vendor", required=True, help="Name of the vendor, such as faceplusplus.")
@click.option(
    "--base-url",
    default="",
    show_default=False,
    help="URL of the real service, such as https://api.example.com. Required, except with --list.",
)
@click.option(
    "--key",
    envvar="FACE_DRIFT_KEY",
    show_envvar=True,
    help="Key in the vendor's form: `api_key:api_secret`, a token or a bearer key.",
)
@click.option(
    "--only",
    multiple=True,
    help="Name of a sample to send; repeat the option for several, omit it to send all.",
)
@click.option("--list", "list_", is_flag=True, help="List the samples, and send nothing.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Folder to write the real responses to, as new golden samples.",
)
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    help="Folder to read the samples from; omit it for the built-in samples.",
)
@click.option("--json", type=click.Path(path_type=Path), help="File to write the differences to, as JSON.")
@click.option(
    "--pace",
    type=click.FloatRange(min=0),
    help="Seconds between calls; by default 1.25, or 0 for a service on this machine.",
)
@click.option(
    "--timeout", type=click.FloatRange(min=0.001), default=30.0, help="Seconds to wait for a response."
)
@click.option("--yes", is_flag=True, help="Do not ask before calls that may be billed.")
def drift(
    *,
    vendor: str,
    base_url: str,
    key: str | None,
    only: tuple[str, ...],
    list_: bool,
    record: Path | None,
    golden: Path | None,
    json: Path | None,
    pace: float | None,
    timeout: float,
    yes: bool,
) -> None:
    """Send sample requests to a real service and to the emulator, and compare the responses.

    The samples, called golden samples, are stored requests with their responses. The vendor may bill the
    calls to your key. The command starts its own emulator, and prints the differences and how to correct
    them. The exit code is 0 if there are no differences, 1 if there are some, and 2 if the comparison fails.
    """
    require_server("drift")
    from rich.console import Console

    from emulator.drift.command import DriftFailed, DriftOptions, list_samples, run_drift

    options = DriftOptions(vendor, base_url, key, only, golden, record, json, pace, timeout)
    console = Console()
    try:
        if list_:
            list_samples(options, console)
            return
        differs = run_drift(
            options, console, lambda: yes or (sys.stdin.isatty() and click.confirm("Send them?"))
        )
    except (DriftFailed, ValueError, OSError) as error:
        raise stopped(error, 2) from error
    if differs:
        raise Exit(1)
