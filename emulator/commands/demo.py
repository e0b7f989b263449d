"""``face-emulator demo``."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.commands.failure import require_server, stopped
from emulator.commands.output import json_option


@click.command()
@click.argument(
    "photo",
    type=click.Path(path_type=Path),
    required=False,
    help="Photo of one person; omit it for a synthetic face.",
)
@click.option(
    "--output",
    "-o",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    help="Folder to write the results to.",
)
@json_option
def demo(*, photo: Path | None, folder: Path, as_json: bool) -> None:
    """Send a photo to all emulated vendors, and save their results.

    The command starts its own emulator.
    """
    require_server("demo")
    from emulator.demo import run_demo
    from emulator.web.demonstration import DemoFailed

    try:
        run_demo(photo, folder, as_json=as_json)
    except (DemoFailed, ValueError, OSError) as error:
        raise stopped(error) from error
