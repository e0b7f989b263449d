"""Reference of the command line, generated from the commands of ``face-emulator``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from inspect import cleandoc

import click

from docgen.markdown import table
from emulator.cli import app

PROGRAM = "face-emulator"


def commands() -> str:
    """Return a table of all commands, followed by a section for each command."""
    found = list(_leaves(app, click.Context(app, info_name=PROGRAM, **app.context_settings)))
    rows = [(_link(each.command_path), _help(each).partition("\n\n")[0]) for each in found]
    return "\n\n".join([table(("command", "does"), rows), *map(_section, found)])


def _leaves(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command. It has the command's name, and inherits settings of the groups."""
    for name, command in group.commands.items():
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _leaves(command, below)
        else:
            yield below


def _help(context: click.Context) -> str:
    return cleandoc(context.command.help or "")


def _link(name: str) -> str:
    return f"[`{name}`](#{name.replace(' ', '-')})"


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", _help(context), f"**Usage**:\n\n```console\n$ {usage}\n```"]
    parameters = command.get_params(context)
    arguments = [each for each in parameters if isinstance(each, click.Argument)]
    options = [each for each in parameters if isinstance(each, click.Option)]
    parts += [f"**Arguments**:\n\n{_listed(arguments, context)}"] if arguments else []
    parts += [f"**Options**:\n\n{_listed(options, context)}"]
    return "\n\n".join(parts)


def _listed(parameters: Iterable[click.Parameter], context: click.Context) -> str:
    records = filter(None, (each.get_help_record(context) for each in parameters))
    return "\n".join(f"* `{name}`: {text}" for name, text in records)
