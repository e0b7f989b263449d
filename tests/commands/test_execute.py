from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import pytest
from command_runs import face_emulator

from emulator.commands.execute import execute
from emulator.commands.explore import explore

CLIENTS = Path(__file__).parent.parent / "clients"

Execute = Callable[..., subprocess.CompletedProcess[str]]


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
def test_the_exit_code_is_that_of_the_command(
    command: Sequence[str], code: int, execute_here: Execute
) -> None:
    ran = execute_here("--", *command)
    assert ran.returncode == code, ran.stderr


def test_arguments_reach_the_command_without_a_shell(execute_here: Execute) -> None:
    words = ["$HOME", "a b", "*", "--port", "é", ""]
    print_them = "import json, sys; print(json.dumps(sys.argv[1:]))"
    ran = execute_here("--", sys.executable, "-c", print_them, *words)
    assert json.loads(ran.stdout) == words


@pytest.mark.parametrize("command", [execute, explore])
@pytest.mark.parametrize("separator", [[], ["--"]], ids=["plain", "separated"])
def test_options_after_the_command_belong_to_it(command: click.Command, separator: list[str]) -> None:
    words = ["curl", "--port", "1", "--help", "-s", "--", "--sealed", ""]
    with command.make_context("run", [*separator, *words]) as context:
        assert context.params["command"] == tuple(words)


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_standard_files_can_be_closed_and_the_process_has_the_code_of_the_command(
    state: Path, tmp_path: Path, closed: str
) -> None:
    file = tmp_path / "ran"
    script = f"touch {shlex.quote(str(file))}; exit 7"
    command = shlex.join([sys.executable, "-m", "emulator", "exec", "--", "sh", "-c", script])
    environment = {**os.environ, "FACE_EMULATOR_WORKERS": "1", "XDG_STATE_HOME": str(state)}
    ran = subprocess.run(  # noqa: S602 - our own command, with a redirection of the shell
        f"{command} {closed}", shell=True, stderr=subprocess.PIPE, text=True, check=False, env=environment
    )
    assert (ran.returncode, file.exists()) == (7, True), ran.stderr


def test_a_har_file_that_cannot_be_written_stops_exec_before_the_command(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "no-folder" / "calls.har"
    ran = face_emulator("exec", "--har", str(file), "--", "echo", "ran", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert f"the folder {tmp_path / 'no-folder'} does not exist" in ran.stderr


def test_a_failure_of_the_emulator_has_a_code_of_its_own(state: Path) -> None:
    ran = face_emulator("exec", "--scenario", "nonsense", "--", "true", XDG_STATE_HOME=str(state))
    assert (ran.returncode, ran.stdout) == (125, "")
    assert "nonsense" in ran.stderr


def test_print_env_shows_what_the_command_gets(execute_here: Execute) -> None:
    names = ["FACE_EMULATOR_URL", "PERFECTCORP_URL", "FACEPLUSPLUS_API_KEY", "HTTPS_PROXY", "SSL_CERT_FILE"]
    print_them = f"import os; [print(name + '=' + os.environ[name]) for name in {names}]"
    ran = execute_here("--print-env", "--", sys.executable, "-c", print_them)
    assert set(ran.stdout.splitlines()) <= set(ran.stderr.splitlines())
    assert len(ran.stdout.splitlines()) == len(names)


@pytest.mark.parametrize(
    ("name", "value"), [("FACE_EMULATOR_CONTROL", "off"), ("FACE_EMULATOR_CONTROL_PORT", "0")]
)
def test_settings_of_the_control_api_do_not_disturb_the_run(
    execute_here: Execute, name: str, value: str
) -> None:
    code = "import os, urllib.request as u; u.urlopen(os.environ['FACE_EMULATOR_URL'] + '/_emulator/clock')"
    ran = execute_here("--", sys.executable, "-c", code, **{name: value})
    assert ran.returncode == 0, ran.stderr
