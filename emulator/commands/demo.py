"""``face-emulator demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.failure import stopped
from emulator.commands.output import AsJson


def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="Photo of one person; omit it for a synthetic face.")
    ] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the results to.")] = Path(
        "demo"
    ),
    *,
    as_json: AsJson = False,
) -> None:
    """Send a photo to all emulated vendors, and save their results.

    The command starts its own emulator.
    """
    from emulator.demo import run_demo
    from emulator.web.demonstration import DemoFailed

    try:
        run_demo(photo, folder, as_json=as_json)
    except (DemoFailed, ValueError, OSError) as error:
        raise stopped(error) from error
