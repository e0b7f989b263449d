"""``face-emulator snapshot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Url, connected
from emulator.commands.output import AsJson, print_json, print_one, working

group = typer.Typer(no_args_is_help=True, help="Save all state of an emulator to a file, and restore it.")


@group.command()
def save(
    file: Annotated[Path, typer.Argument(help="File to write; an existing file is replaced.")],
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Write all state of a running emulator to FILE."""
    # Write to a temporary file first: a failed download must not damage an existing snapshot.
    unfinished = file.with_name(f"{file.name}.part")
    with connected(url) as client:
        try:
            with working("saving the state"):
                client.save_snapshot(unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{file}: {size:,} bytes")


@group.command()
def restore(
    file: Annotated[Path, typer.Argument(help="File that `snapshot save` wrote.")],
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace all state of a running emulator with the state in FILE."""
    with connected(url) as client, working("restoring the state"):
        found = client.restore_snapshot(file)
    print_one(
        found,
        lambda it: f"{it.documents} documents, {it.counters} counters and {it.blobs} blobs restored",
        as_json=as_json,
    )
