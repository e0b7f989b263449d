"""Runs a command in its own process group, which gets the signals and the terminal of this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""Exit codes that shells use if a command does not exist, or is not executable."""

GRACE_SECONDS = 10.0
"""Real seconds that the command has to end after a signal, before it is killed."""

STDIN = 0
STANDARD_FILES = {"stdin": STDIN, "stdout": 1, "stderr": 2}

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def open_standard_files() -> None:
    """Open ``/dev/null`` in place of each of stdin, stdout and stderr that is closed.

    If stdout stayed closed, the next file or socket would get its number, and a child process would write to
    that file. Libraries that flush ``sys.stdout`` would fail.
    """
    for name, number in STANDARD_FILES.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the new file gets the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == STDIN else "w", closefd=False))


class CannotStart(Exception):
    """The command does not exist, or is not executable."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(command, code)
        self.command = command
        self.code = code

    def __str__(self) -> str:
        return f"{self.command}: {'not found' if self.code == NOT_FOUND else 'not executable'}"


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command. Return its exit code, or 128 plus the number of the signal that ended it.

    The command runs without a shell, as the leader of a new process group. SIGINT, SIGTERM, SIGHUP and
    SIGQUIT are passed on to the group, which is killed if the command has not ended ``GRACE_SECONDS`` later.
    Processes that the command leaves behind in its group are ended too. If Ctrl+Z stops the command, this
    process stops too, and the shell can continue both.

    Raises
    ------
    CannotStart
        If the command does not exist, or is not executable.
    """
    with _passing_signals() as group:
        try:
            process = subprocess.Popen(list(command), env=dict(environment), process_group=0)  # noqa: S603 - the user's command
        except FileNotFoundError as error:
            raise CannotStart(command[0], NOT_FOUND) from error
        except PermissionError as error:
            raise CannotStart(command[0], NOT_EXECUTABLE) from error
        group.start(process.pid)
        try:
            with _Terminal(process.pid) as terminal:
                code = process.returncode = _wait(process.pid, terminal)
        finally:
            _end_group(process.pid)
    return code if code >= 0 else 128 - code


class _Group:
    """The process group of the command. Signals that arrive before it exists are sent when it starts."""

    def __init__(self) -> None:
        self._id: int | None = None
        self._early: list[int] = []

    def start(self, group: int) -> None:
        """Set the id of the group, and send the signals that have arrived so far."""
        self._id = group
        for number in self._early:
            self.signal(number)

    def signal(self, number: int) -> None:
        """Send a signal to the group. Kill the group if the command still runs ``GRACE_SECONDS`` later."""
        if self._id is None:
            self._early.append(number)
            return
        _signal_group(self._id, number)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def kill(self) -> None:
        """Kill the group."""
        if self._id is not None:
            _signal_group(self._id, signal.SIGKILL)


@contextlib.contextmanager
def _passing_signals() -> Iterator[_Group]:
    group = _Group()
    handlers = {number: lambda number, _frame: group.signal(number) for number in PASSED_ON}
    handlers[signal.SIGALRM] = lambda _number, _frame: group.kill()
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield group
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminal:
    """The terminal of this process, if there is one. The command's group gets it while the command runs.

    The command can then read from the terminal, and gets Ctrl+C and Ctrl+Z. If this process runs in the
    background, the shell keeps the terminal.
    """

    def __init__(self, group: int) -> None:
        self._group = group
        self._file: int | None = None
        with contextlib.suppress(OSError):
            os.tcgetpgrp(STDIN)
            self._file = STDIN

    def __enter__(self) -> Self:
        # A background process that sets the foreground group gets SIGTTOU, which would stop the process.
        self._handler = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        self._move(os.getpgrp(), self._group)
        return self

    def __exit__(self, *_error: object) -> None:
        self._move(self._group, os.getpgrp())
        signal.signal(signal.SIGTTOU, self._handler)

    def stop(self, number: int) -> None:
        """Stop this process too after the signal ``number`` stopped the command. Later, continue both."""
        if self._file is None:
            return  # without a terminal, another process has sent the signal, and only to the command
        # The command may have used the terminal before getting it. In this case, only continue the command.
        was_early = number in {signal.SIGTTIN, signal.SIGTTOU} and os.tcgetpgrp(self._file) == self._group
        if not was_early:
            self._move(self._group, os.getpgrp())
            os.kill(0, signal.SIGTSTP)  # the shell notices the stop, and continues this group later
            self._move(os.getpgrp(), self._group)
        _signal_group(self._group, signal.SIGCONT)

    def _move(self, giver: int, taker: int) -> None:
        """Give the terminal to the group ``taker`` if the group ``giver`` has it."""
        with contextlib.suppress(OSError):  # the command has ended already
            if self._file is not None and os.tcgetpgrp(self._file) == giver:
                os.tcsetpgrp(self._file, taker)


def _wait(process: int, terminal: _Terminal) -> int:
    """Wait for the command to end. Return its exit code; if a signal ended it, minus the signal's number."""
    while True:
        _, status = os.waitpid(process, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        terminal.stop(os.WSTOPSIG(status))


def _end_group(group: int) -> None:
    """End the remaining processes of a group: first with SIGTERM, after ``GRACE_SECONDS`` with SIGKILL."""
    if not _signal_group(group, signal.SIGTERM):
        return
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until:
        if not _signal_group(group, 0):
            return
        time.sleep(0.02)
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to all processes of a group, and return whether there are any."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
