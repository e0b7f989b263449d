from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from command_runs import start_face_emulator

from face_api_emulator.client import Client


def test_signals_reach_the_command_and_nothing_is_left_behind(state: Path, tmp_path: Path) -> None:
    """The command has started a process of its own, which also ends."""
    started, ended = tmp_path / "started", tmp_path / "ended"
    script = (
        f"trap 'echo >{ended}; exit 3' TERM; sleep 1000 & echo $! >{started}.part; "
        f"mv {started}.part {started}; wait"
    )
    process = start_face_emulator("exec", "--", "sh", "-c", script, XDG_STATE_HOME=str(state))
    until = time.monotonic() + 60
    while not started.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert ended.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_keep_serves_until_a_signal_and_returns_the_commands_code(state: Path, number: int) -> None:
    """Further signals do not disturb the stop."""
    arguments = ["exec", "--keep", "--", "sh", "-c", "exit 4"]
    process = start_face_emulator(*arguments, XDG_STATE_HOME=str(state))
    assert process.stderr is not None
    line = next(line for line in process.stderr if "still running at" in line)
    url = line.partition("still running at ")[2].partition(";")[0]
    with Client(url) as client:
        assert client.ready()
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.05)
    _, messages = process.communicate(timeout=60)
    assert (process.returncode, messages) == (4, "")


def test_a_signal_before_the_command_starts_ends_the_run(state: Path) -> None:
    process = start_face_emulator("exec", "--", "echo", "started", XDG_STATE_HOME=str(state))
    assert process.stderr is not None
    assert "running at" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    out, messages = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert "Traceback" not in messages
