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
