"""Reference of the command line, generated from the commands of ``face-emulator``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperCommand, TyperGroup

from docgen.markdown import table
from emulator.cli import app

PROGRAM = "face-emulator"


def commands() -> str:
    """Return a table of all commands, followed by a section for each command."""
    root = cast("TyperGroup", typer.main.get_command(app))
    found = list(_leaves(root, PROGRAM))
    rows = [(f"[`{name}`](#{name.replace(' ', '-')})", _summary(command)) for name, command in found]
    return "\n\n".join([table(("command", "does"), rows), *(_section(*each) for each in found)])


def _leaves(group: TyperGroup, prefix: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _leaves(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", cast("TyperCommand", command)


def _summary(command: TyperCommand) -> str:
    return (command.help or "").partition("\n\n")[0]


def _section(name: str, command: TyperCommand) -> str:
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name=name)
    # Replace the first line, a heading of the first level that has the name as code.
    _, _, rest = text.partition("\n")
    return f"## {name}\n{rest.rstrip()}"
