"""The help of every command, option and argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from emulator.cli import app


def commands_of(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{prefix}{name} ")


ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = dict(commands_of(ROOT))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_all_its_parameters_have_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    first = command.help.partition("\n\n")[0]
    assert first.endswith(".")
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        assert text, parameter.name
        assert text.endswith((".", "?")), (parameter.name, text)


WITHOUT_OUTPUT = {
    "calls forget", "calls har", "credentials remove", "credentials set", "faults forget", "faults remove",
    "reset", "scenario unload", "webhooks remove",
    "exec",  # its output is that of the command
}  # fmt: skip


def test_every_command_with_output_can_print_json() -> None:
    """``drift`` writes its JSON to a file."""
    without = {
        name
        for name, command in COMMANDS.items()
        if not isinstance(command, TyperGroup)
        and not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WITHOUT_OUTPUT
