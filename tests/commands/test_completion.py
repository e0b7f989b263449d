from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from emulator.cli import app


def completed(*words: str) -> list[str]:
    """Return the completions of the last word."""
    complete = BashComplete(app, {}, "face-emulator", "_FACE_EMULATOR_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["he"], ["health", "healthcheck"]),
        (["clock", "r"], ["run", "reset"]),
        (["calls", "list", "--warn"], ["--warned", "--warning"]),
        (["env", "--format", "d"], ["dotenv"]),
        (["exec", "--fail-on", ""], ["warnings", "failures"]),
        (["webhooks", "add", "http://127.0.0.1:9/", "--timestamps", "c"], ["clock"]),
        (["completion", ""], ["bash", "zsh", "fish", "powershell"]),
    ],
)
def test_commands_options_and_values_are_completed(words: list[str], completions: list[str]) -> None:
    assert completed(*words) == completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_asks_the_program_for_completions(shell: str) -> None:
    done = CliRunner().invoke(app, ["completion", shell])
    assert done.exit_code == 0
    assert f"{shell}_complete" in done.stdout
    assert "_FACE_EMULATOR_COMPLETE" in done.stdout
    assert "face-emulator" in done.stdout


def test_other_shells_are_refused() -> None:
    done = CliRunner().invoke(app, ["completion", "csh"])
    assert done.exit_code == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish', 'powershell'." in done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "face-emulator"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {tmp_path}/main.py "$@"\n')
    program.chmod(0o755)
    (tmp_path / "main.py").write_text(
        "import sys\nfrom emulator.cli import main\nsys.argv[0] = 'face-emulator'\nmain()\n"
    )
    script = (
        'eval "$(face-emulator completion bash)"\n'
        "COMP_WORDS=(face-emulator clock tr); COMP_CWORD=2\n"
        "_face_emulator_completion face-emulator\n"
        'echo "${COMPREPLY[@]}"\n'
        "complete -p face-emulator"
    )
    ran = subprocess.run(  # noqa: S603 - fixed words
        ["bash", "--norc", "-c", script],  # noqa: S607 - any bash
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )
    assert ran.stdout.splitlines() == [
        "travel",
        "complete -o nosort -F _face_emulator_completion face-emulator",
    ]
