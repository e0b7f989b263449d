"""The help of every command, option and argument."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner

from emulator.cli import app


def commands_of(group: click.Group, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{prefix}{name} ")


COMMANDS = dict(commands_of(app))


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


@pytest.mark.parametrize(("columns", "longest"), [(60, 58), (100, 98), (300, 118)])
def test_help_is_wrapped_to_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, longest: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    root = click.Context(app, **app.context_settings)
    lines = click.Context(app.commands["exec"], parent=root).get_help().splitlines()
    assert longest - 12 < max(map(len, lines)) <= longest


def test_help_keeps_the_paragraphs() -> None:
    said = CliRunner().invoke(app, ["tasks", "progression", "--help"], terminal_width=200).output
    first, second = said.split("\n\n")[1:3]
    assert first == "  Set or show the progression, which decides when new tasks appear finished."
    assert second.startswith("  The modes are: real (when the work is done), ")


def test_help_has_no_colors() -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "FORCE_COLOR": "1"}
    environment.pop("NO_COLOR", None)
    ran = subprocess.run(
        [sys.executable, "-m", "emulator", "--help"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b" not in ran.stdout


def test_the_options_show_their_variables_defaults_and_ranges() -> None:
    lines = CliRunner().invoke(app, ["wait", "--help"], terminal_width=200).output.splitlines()
    assert [line.split(maxsplit=2)[-1] for line in lines if line.startswith("  --")][:1] == [
        "RANGE  Longest time to wait, in seconds.  [default: 60.0; x>=0]"
    ]
    assert next(line for line in lines if "--url" in line).endswith(
        "URL of the running emulator.  [env var: FACE_EMULATOR_URL; default: http://127.0.0.1:3468]"
    )


def test_without_arguments_a_group_prints_its_help() -> None:
    for arguments in ([], ["clock"]):
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Commands:\n" in done.stderr


WITHOUT_OUTPUT = {
    "calls forget", "calls har", "calls save", "credentials remove", "credentials set", "faults forget",
    "faults remove", "reset", "scenario unload", "webhooks remove",
    # Their output is a script, that of the command, and the text format of Prometheus.
    "completion", "exec", "metrics",
}  # fmt: skip


def test_every_command_with_output_can_print_json() -> None:
    """``drift`` writes its JSON to a file."""
    without = {
        name
        for name, command in COMMANDS.items()
        if not isinstance(command, click.Group)
        and not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WITHOUT_OUTPUT
