"""``face-emulator snapshot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Url, connected

group = typer.Typer(no_args_is_help=True, help="Save all state of an emulator to a file, and restore it.")


@group.command()
def save(
    file: Annotated[Path, typer.Argument(help="File to write; an existing file is replaced.")],
    url: Url = BASE_URL,
) -> None:
    """Write all state of a running emulator to FILE."""
    # Write to a temporary file first: a failed download must not damage an existing snapshot.
    unfinished = file.with_name(f"{file.name}.part")
    with connected(url) as client:
        try:
            client.save_snapshot(unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@group.command()
def restore(
    file: Annotated[Path, typer.Argument(help="File that `snapshot save` wrote.")], url: Url = BASE_URL
) -> None:
    """Replace all state of a running emulator with the state in FILE."""
    with connected(url) as client:
        found = client.restore_snapshot(file)
    typer.echo(f"{found.documents} documents, {found.counters} counters and {found.blobs} blobs restored")
