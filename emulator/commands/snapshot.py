"""``face-emulator snapshot``."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.commands.connection import connected, url_option
from emulator.commands.group import CommandGroup
from emulator.commands.output import json_option, print_json, print_one, working

group = CommandGroup(help="Save all state of an emulator to a file, and restore it.")


@group.command()
@click.argument("file", type=click.Path(path_type=Path), help="File to write; an existing file is replaced.")
@click.option(
    "--without-secrets",
    is_flag=True,
    help="In the file, replace credentials and secrets of webhooks by other values, and omit the "
    "passwords and queries of URLs.",
)
@url_option
@json_option
def save(*, file: Path, without_secrets: bool, url: str, as_json: bool) -> None:
    """Write all state of a running emulator to FILE. Only you can read the file."""
    # Write to a temporary file first: a failed download must not damage an existing snapshot.
    unfinished = file.with_name(f"{file.name}.part")
    with connected(url) as client:
        try:
            with working("saving the state"):
                client.save_snapshot(unfinished, without_secrets=without_secrets)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(f"{file}: {size:,} bytes")


@group.command()
@click.argument("file", type=click.Path(path_type=Path), help="File that `snapshot save` wrote.")
@url_option
@json_option
def restore(*, file: Path, url: str, as_json: bool) -> None:
    """Replace all state of a running emulator with the state in FILE."""
    with connected(url) as client, working("restoring the state"):
        found = client.restore_snapshot(file)
    print_one(
        found,
        lambda it: f"{it.documents} documents, {it.counters} counters and {it.blobs} blobs restored",
        as_json=as_json,
    )
