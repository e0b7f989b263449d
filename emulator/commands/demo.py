"""``face-emulator demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.failure import stopped


def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="Photo of one person; a synthetic face, if omitted.")
    ] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("demo"),
) -> None:
    """Send a photo through all vendors of a private emulator, and keep what comes back."""
    from emulator.demo import run_demo
    from emulator.web.demonstration import DemoFailed

    try:
        run_demo(photo, folder)
    except (DemoFailed, ValueError, OSError) as error:
        raise stopped(error) from error
