"""One worker process, as the server sees it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, cast

from emulator.backends.queue.begun import inherited, share_byte
from emulator.backends.queue.channel import Channel
from emulator.backends.queue.worker import PROGRAM, Order, Reply, Start

BEGIN_SECONDS = 20.0
"""Longest time until a worker begins an order, in real seconds. A suspended worker never begins it."""

EXIT_SECONDS = 5.0
"""Longest time to wait until a killed process has exited, in real seconds. Usually it takes milliseconds."""


class WorkerDied(Exception):
    """The worker process has exited, or was killed because it took too long.

    Attributes
    ----------
    reason : str
        What happened, as the predicate of a sentence whose subject is the worker.
    took_too_long : bool
        Whether the server killed the worker because of a time limit.
    had_begun : bool
        Whether the worker had begun its current order.
    """

    def __init__(self, reason: str, *, took_too_long: bool, had_begun: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.took_too_long = took_too_long
        self.had_begun = had_begun


class Watchdog:
    """A thread that calls ``expire`` if a time limit is exceeded. There is one limit at a time.

    A `threading.Timer` for each limit would start a thread for each, which takes longer than a small order.
    This thread is not woken when a limit is set or lifted, unless the new limit ends before it wakes.

    Parameters
    ----------
    expire : callable
        Called with the limit in seconds.
    """

    def __init__(self, expire: Callable[[float], None]) -> None:
        self._expire = expire
        self._changed = threading.Condition()
        self._deadline = (math.inf, math.inf)
        self._wakes_at = math.inf
        self._is_closed = False
        threading.Thread(target=self._watch, name="worker watchdog", daemon=True).start()

    def limit(self, seconds: float) -> None:
        """Set the limit, which begins now."""
        ends_at = time.monotonic() + seconds
        self._deadline = ends_at, seconds
        if ends_at < self._wakes_at:
            self._wake()

    def lift(self) -> None:
        """Lift the limit."""
        self._deadline = math.inf, math.inf

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._is_closed:
                # Before the limit is read, so that ``limit`` wakes this thread if it sets another one.
                self._wakes_at = math.inf
                ends_at, seconds = self._deadline
                left = ends_at - time.monotonic()
                if left <= 0:
                    self.lift()
                    self._expire(seconds)
                    continue
                self._wakes_at = ends_at
                self._changed.wait(None if ends_at == math.inf else left)


class WorkerProcess:
    """A worker process, which performs one order at a time.

    Parameters
    ----------
    environment : mapping of str to str
        The environment variables.
    search_path : sequence of str
        The module search path.
    on_exit : callable
        Called in another thread when the process has exited.
    """

    def __init__(
        self, environment: Mapping[str, str], search_path: Sequence[str], on_exit: Callable[[], None]
    ) -> None:
        self._begun, self._handle = share_byte()
        descriptors = inherited(self._handle)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-c", PROGRAM, *search_path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                pass_fds=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._channel = Channel(cast("BinaryIO", self._process.stdout), cast("BinaryIO", self._process.stdin))
        self._has_exited = threading.Event()
        self._exceeded_s: float | None = None
        # The limit of an order that began in time, and the part of it that the watchdog does not know yet.
        self._limit_s = self._rest_s = 0.0
        self._watchdog = Watchdog(self._expire)
        threading.Thread(target=self._wait, args=(on_exit,), name="worker exit", daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def has_exited(self) -> bool:
        """Whether the process has exited."""
        return self._has_exited.is_set()

    def start(self, warm_up: str, niceness: int, limit_s: float, *, is_nice_from_start: bool) -> None:
        """Wait until the worker has run the warm-up. The arguments are those of `Start`.

        Raises
        ------
        WorkerDied
            If the worker dies, or takes longer than ``limit_s`` seconds.
        Exception
            Any exception that the warm-up raises.
        """
        start = Start(warm_up, niceness, is_nice_from_start, self._handle)
        reply = self._exchange(start, limit_s, limit_s)
        if reply.error is not None:
            raise reply.error

    def perform(self, order: Order, limit_s: float) -> Reply:
        """Perform an order, and return the reply of the worker.

        Raises
        ------
        WorkerDied
            If the worker dies, takes longer than ``limit_s`` seconds, or does not begin in time.
        Exception
            If the order or the reply cannot be pickled.
        """
        self._begun[0] = 0
        return self._exchange(order, limit_s, min(limit_s, BEGIN_SECONDS))

    def _exchange(self, message: Start | Order, limit_s: float, first_s: float) -> Reply:
        """Send a message, and return the reply. Kill the worker if this takes too long.

        That is ``first_s`` seconds if the worker has not begun the order by then, and ``limit_s`` otherwise.
        A message would not end a suspended worker, because it reads nothing.
        """
        self._limit_s, self._rest_s = limit_s, limit_s - first_s
        self._watchdog.limit(first_s)
        try:
            self._channel.send(message, is_flat=True)
            reply: Reply = self._channel.receive()
        except (EOFError, OSError) as error:
            raise self.death() from error
        finally:
            self._watchdog.lift()
        return reply

    def kill(self) -> None:
        """Kill the process at once, even if it is suspended."""
        self._process.kill()

    def close(self) -> None:
        """Kill the process, wait until it has exited, and close the pipes to it."""
        self.kill()
        self._has_exited.wait(EXIT_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            # Closing a pipe flushes it, which fails because nothing reads it.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._begun.close()

    def death(self) -> WorkerDied:
        """Return the exception with the reason why the process exited. Kill the process if it still runs."""
        self.kill()
        self._has_exited.wait(EXIT_SECONDS)
        if self._exceeded_s is not None:
            reason = f"took longer than {self._exceeded_s:g} seconds"
        else:
            reason = f"died ({_described(self._process.returncode)})"
        return WorkerDied(reason, took_too_long=self._exceeded_s is not None, had_begun=bool(self._begun[0]))

    def _expire(self, limit_s: float) -> None:
        if self._rest_s and self._begun[0]:
            rest_s, self._rest_s = self._rest_s, 0.0
            self._watchdog.limit(rest_s)
            return
        self._exceeded_s = limit_s if self._rest_s else self._limit_s
        self.kill()

    def _wait(self, on_exit: Callable[[], None]) -> None:
        self._process.wait()
        self._has_exited.set()
        self._watchdog.close()
        on_exit()


def _described(status: int | None) -> str:
    """Return the exit status of a process in words."""
    if status is None:
        return "exit status unknown"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
