"""One worker process, as the server sees it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, cast

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
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-c", PROGRAM, *search_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self._channel = Channel(cast("BinaryIO", self._process.stdout), cast("BinaryIO", self._process.stdin))
        self._has_exited = threading.Event()
        self._limit_s: float | None = None
        self._has_begun = False
        threading.Thread(target=self._wait, args=(on_exit,), name="worker exit", daemon=True).start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def has_exited(self) -> bool:
        """Whether the process has exited."""
        return self._has_exited.is_set()

    def start(self, start: Start, limit_s: float) -> None:
        """Wait until the worker has run the warm-up.

        Raises
        ------
        WorkerDied
            If the worker dies, or takes longer than ``limit_s`` seconds.
        Exception
            Any exception that the warm-up raises.
        """
        with self._limited(limit_s):
            self._channel.send(start)
            reply: Reply = self._channel.receive()
        if reply.error is not None:
            raise reply.error

    def perform(self, order: Order, limit_s: float) -> Reply:
        """Perform an order, and return the reply of the worker.

        Raises
        ------
        WorkerDied
            If the worker dies, or takes longer than ``limit_s`` seconds.
        Exception
            If the order or the reply cannot be pickled.
        """
        self._has_begun = False
        with self._limited(min(limit_s, BEGIN_SECONDS)):
            self._channel.send(order)
            self._channel.receive()
        self._has_begun = True
        with self._limited(limit_s):
            reply: Reply = self._channel.receive()
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

    def death(self) -> WorkerDied:
        """Return the exception with the reason why the process exited. Kill the process if it still runs."""
        self.kill()
        self._has_exited.wait(EXIT_SECONDS)
        if self._limit_s is not None:
            reason = f"took longer than {self._limit_s:g} seconds"
        else:
            reason = f"died ({_described(self._process.returncode)})"
        return WorkerDied(reason, took_too_long=self._limit_s is not None, had_begun=self._has_begun)

    @contextlib.contextmanager
    def _limited(self, limit_s: float) -> Iterator[None]:
        """Kill the worker if the block takes longer than ``limit_s`` seconds.

        A message would not end a suspended worker, because it reads nothing.
        """

        def expire() -> None:
            self._limit_s = limit_s
            self.kill()

        timer = threading.Timer(limit_s, expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (EOFError, OSError) as error:
            raise self.death() from error
        finally:
            timer.cancel()

    def _wait(self, on_exit: Callable[[], None]) -> None:
        self._process.wait()
        self._has_exited.set()
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
