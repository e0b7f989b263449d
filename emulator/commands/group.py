"""Groups of commands."""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

import click


class LazyCommands(UserDict[str, Any]):
    """The commands of a group by name. A command is imported when it is looked up.

    Parameters
    ----------
    package : str
        Name of the package that has the modules.
    places : mapping of str to str
        Module and variable of each command, such as ``clock.group``, by the name of the command.
    """

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        super().__init__(places)
        self._package = package

    def __getitem__(self, name: str) -> click.Command:
        found = self.data[name]
        if isinstance(found, str):
            module, _, variable = found.partition(".")
            found = getattr(importlib.import_module(f"{self._package}.{module}"), variable)
            self.data[name] = found
        command: click.Command = found
        return command


class CommandGroup(click.Group):
    """A group that lists its commands in the order of their definition, each with its whole first paragraph.

    Click's own groups sort the commands, and cut long descriptions.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - an argument of Click
        """Return the names in the order of their definition."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - an argument of Click
        """Write the list of commands."""
        rows = [
            (name, cleandoc(command.help or "").partition("\n\n")[0])
            for name, command in self.commands.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
