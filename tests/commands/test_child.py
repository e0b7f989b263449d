"""A command on a terminal, started by an interactive shell."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

pty = pytest.importorskip("pty")

CHILD = "import os, sys; from emulator.commands.child import run; sys.exit(run(sys.argv[1:], os.environ))"
SHELL = """
import fcntl, os, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
"""
"""Makes the terminal that of its session, and becomes a shell."""

SECONDS = 60


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self) -> None:
        self._terminal, other = pty.openpty()
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-c", SHELL],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**os.environ, "CHILD": CHILD, "PYTHON": sys.executable},
        )
        os.close(other)
        self._got = ""

    def send(self, text: str) -> None:
        """Type text."""
        os.write(self._terminal, text.encode())

    def expect(self, text: str) -> None:
        """Read until the shell or the command prints a text, and drop what was read."""
        while text not in self._got:
            ready, _, _ = select.select([self._terminal], [], [], SECONDS)
            chunk = b""
            with contextlib.suppress(OSError):  # the shell has ended
                chunk = os.read(self._terminal, 65536) if ready else b""
            assert chunk, f"no {text!r} after {self._got!r}"
            self._got += chunk.decode(errors="replace")
        self._got = self._got.partition(text)[2]

    def close(self) -> None:
        """End the shell, and with it its jobs."""
        os.close(self._terminal)
        self._process.send_signal(signal.SIGHUP)
        self._process.wait()


@pytest.fixture
def shell() -> Iterator[Shell]:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    shell = Shell()
    yield shell
    shell.close()


def test_a_command_in_the_background_leaves_the_terminal_to_the_shell(shell: Shell) -> None:
    # The sums are only in the output, not in the line that is typed.
    shell.send("$PYTHON -c \"$CHILD\" sh -c 'echo begun-$((40+2)); exec sleep 600' &\n")
    shell.expect("begun-42")
    shell.send("echo shell-$((40+3))\n")
    shell.expect("shell-43")
    shell.send("kill %1; wait %1; echo code-$?\n")
    shell.expect("code-143")


def test_ctrl_z_stops_the_command_and_fg_continues_it(shell: Shell) -> None:
    shell.send("$PYTHON -c \"$CHILD\" sh -c 'echo begun-$((40+2)); read line; echo got-$line; exit 7'\n")
    shell.expect("begun-42")
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.send("echo shell-$((40+3))\n")
    shell.expect("shell-43")
    shell.send("fg\n")
    shell.expect("exit 7")  # the shell prints the command that it continues
    shell.send("line\n")
    shell.expect("got-line")
    shell.send("echo code-$?-$((40+4))\n")
    shell.expect("code-7-44")


def test_ctrl_c_reaches_the_command(shell: Shell) -> None:
    command = (
        'trap "echo interrupted-\\$((40+3)); exit 9" INT; echo begun-$((40+2)); while :; do sleep 1; done'
    )
    shell.send(f"$PYTHON -c \"$CHILD\" sh -c '{command}'\n")
    shell.expect("begun-42")
    shell.send("\x03")
    shell.expect("interrupted-43")
    shell.send("echo code-$?-$((40+4))\n")
    shell.expect("code-9-44")
