from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import click
from click.testing import CliRunner

from emulator.commands.group import CommandGroup, LazyCommands

IMPORTED = """
import json, sys
import click, click.testing
before = set(sys.modules)
from emulator.cli import app
click.testing.CliRunner().invoke(app, json.loads(sys.argv[1]), catch_exceptions=False)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported_by(*arguments: str) -> list[str]:
    """Return the modules that a run imports, except for those that Click imports at once."""
    command = [sys.executable, "-c", IMPORTED, json.dumps(arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    found: list[str] = json.loads(ran.stdout)
    return found


def packages(modules: Sequence[str]) -> set[str]:
    """Return the packages, except for Click and the standard library."""
    return {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"click"}


def test_help_imports_no_dependencies() -> None:
    modules = imported_by("--help")
    assert packages(modules) == {"emulator", "face_api_emulator"}
    assert {"asyncio", "ssl", "importlib.metadata"}.isdisjoint(modules)


def test_a_command_imports_only_its_own_module() -> None:
    modules = imported_by("clock", "now", "--help")
    assert packages(modules) == {"emulator", "face_api_emulator"}
    assert [name for name in modules if name.startswith("emulator")] == [
        "emulator",
        "emulator.arithmetic",
        "emulator.cli",
        "emulator.commands",
        "emulator.commands.clock",
        "emulator.commands.connection",
        "emulator.commands.failure",
        "emulator.commands.group",
        "emulator.commands.output",
    ]


def test_lazy_commands_are_imported_once() -> None:
    commands = LazyCommands("emulator.commands", {"clock": "clock.group", "health": "world.health"})
    assert list(commands) == ["clock", "health"]
    assert isinstance(commands["clock"], click.Group)
    assert commands["clock"] is commands["clock"]
    assert commands.get("time") is None


def test_commands_are_listed_in_their_order_with_the_whole_first_paragraph() -> None:
    group = CommandGroup("tool", context_settings={"max_content_width": 120})

    @group.command()
    def zebra() -> None:
        """Do the first thing. Then do one more thing that is not so easy to describe in few words.

        This is not in the list.
        """

    @group.command()
    def ant() -> None:
        """Do the last thing."""

    said = CliRunner().invoke(group, ["--help"], terminal_width=80).output
    assert said.partition("Commands:\n")[2].splitlines() == [
        "  zebra  Do the first thing. Then do one more thing that is not so easy to",
        "         describe in few words.",
        "  ant    Do the last thing.",
    ]
