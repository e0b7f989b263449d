from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from command_runs import face_emulator

from emulator.commands.execute import execute
from emulator.commands.explore import explore

CLIENTS = Path(__file__).parent.parent / "clients"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["no-such-command"], 127),
        ([str(CLIENTS / "upload.go")], 126),
    ],
    ids=["failure", "signal", "unknown", "not executable"],
)
def test_the_exit_code_is_that_of_the_command(command: Sequence[str], code: int, state: Path) -> None:
    ran = face_emulator("exec", "--", *command, XDG_STATE_HOME=str(state))
    assert ran.returncode == code, ran.stderr


def test_arguments_reach_the_command_without_a_shell(state: Path) -> None:
    words = ["$HOME", "a b", "*", "--port", "é", ""]
    print_them = "import json, sys; print(json.dumps(sys.argv[1:]))"
    ran = face_emulator("exec", "--", sys.executable, "-c", print_them, *words, XDG_STATE_HOME=str(state))
    assert json.loads(ran.stdout) == words


@pytest.mark.parametrize("command", [execute, explore])
@pytest.mark.parametrize("separator", [[], ["--"]], ids=["plain", "separated"])
def test_options_after_the_command_belong_to_it(command: click.Command, separator: list[str]) -> None:
    words = ["curl", "--port", "1", "--help", "-s", "--", "--sealed", ""]
    with command.make_context("run", [*separator, *words]) as context:
        assert context.params["command"] == tuple(words)


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_standard_files_can_be_closed(state: Path, tmp_path: Path, closed: str) -> None:
    file = tmp_path / "ran"
    command = shlex.join([sys.executable, "-m", "emulator", "exec", "--", "touch", str(file)])
    environment = {**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)}
    ran = subprocess.run(  # noqa: S602 - our own command, with a redirection of the shell
        f"{command} {closed}", shell=True, stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    assert (ran.returncode, file.exists()) == (0, True), ran.stderr


def test_a_har_file_that_cannot_be_written_stops_exec_before_the_command(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "no-folder" / "calls.har"
    ran = face_emulator("exec", "--har", str(file), "--", "echo", "ran", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert f"there is no folder {tmp_path / 'no-folder'}" in ran.stderr


def test_a_failure_of_the_emulator_has_a_code_of_its_own(state: Path) -> None:
    ran = face_emulator("exec", "--scenario", "nonsense", "--", "true", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert "nonsense" in ran.stderr


def test_print_env_shows_what_the_command_gets(state: Path) -> None:
    names = ["FACE_EMULATOR_URL", "PERFECTCORP_URL", "FACEPLUSPLUS_API_KEY", "HTTPS_PROXY", "SSL_CERT_FILE"]
    print_them = f"import os; [print(name + '=' + os.environ[name]) for name in {names}]"
    ran = face_emulator(
        "exec", "--print-env", "--", sys.executable, "-c", print_them, XDG_STATE_HOME=str(state)
    )
    assert set(ran.stdout.splitlines()) <= set(ran.stderr.splitlines())
    assert len(ran.stdout.splitlines()) == len(names)


def test_settings_of_the_control_api_do_not_disturb_the_run(state: Path) -> None:
    code = "import os, urllib.request as u; u.urlopen(os.environ['FACE_EMULATOR_URL'] + '/_emulator/clock')"
    for name, value in (("FACE_EMULATOR_CONTROL", "off"), ("FACE_EMULATOR_CONTROL_PORT", "0")):
        setting: dict[str, Any] = {name: value}
        ran = face_emulator("exec", "--", sys.executable, "-c", code, XDG_STATE_HOME=str(state), **setting)
        assert ran.returncode == 0, ran.stderr
