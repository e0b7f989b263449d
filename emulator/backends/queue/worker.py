"""The program of a worker process."""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from emulator.backends.queue.begun import open_byte
from emulator.backends.queue.channel import Channel
from emulator.backends.queue.protocol import Pipeline
from emulator.parallel import second_thread

PROGRAM = """
import signal, sys
# Ctrl+C and service managers send signals to all processes, but only the server may stop the workers.
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.path[:] = sys.argv[1:]
from emulator.backends.queue.worker import main
main()
"""
"""Program for ``python -c``. Its arguments are the module search path of the server."""

OOM_SCORE = 500
"""Value of ``oom_score_adj`` for a worker, from -1000 to 1000. When memory runs out, Linux kills the process
with the highest score, which must not be the server."""


class Start(NamedTuple):
    """The first message to a worker. ``niceness`` is added to the worker's niceness.

    If ``is_nice_from_start`` is false, the niceness is added only after the warm-up. When the worker
    begins an order, it changes the shared byte with the handle ``begun`` to 1.
    """

    warm_up: str
    niceness: int
    is_nice_from_start: bool
    begun: int


class Order(NamedTuple):
    """A message to a worker: the name of a function, and its arguments.

    If ``is_alone`` is true, no other worker is busy. Then the function may use a second thread.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012 - never changed
    is_alone: bool = False


class Reply(NamedTuple):
    """The message from a worker about one order, or about its start: the result, or the exception."""

    result: Any = None
    error: BaseException | None = None


def main() -> None:
    """Receive orders and send replies until the server closes the pipe."""
    channel = _take_standard_streams()
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(channel, messages.put), daemon=True).start()
    start: Start = messages.get()
    _offer_to_oom_killer()
    if start.is_nice_from_start:
        _be_nice(start.niceness)
    begun = open_byte(start.begun)
    _reply(channel, Order(start.warm_up))
    if not start.is_nice_from_start:
        _be_nice(start.niceness)
    while True:
        _reply(channel, messages.get(), begun)


def _take_standard_streams() -> Channel:
    """Return a channel that uses stdin and stdout. Then make stdin empty, and redirect stdout to stderr.

    Otherwise, texts that native libraries print to stdout would mix with the messages.
    """
    sys.stdout.flush()
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    return channel


def _receive(channel: Channel, put: Callable[[Any], None]) -> None:
    """Pass on messages of the server. When it closes the pipe, exit at once, even while a pipeline runs."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            put(channel.receive())
    os._exit(1)


def _reply(channel: Channel, order: Order, begun: mmap.mmap | None = None) -> None:
    if begun is not None:
        begun[0] = 1
    try:
        function = Pipeline[..., Any](order.name).resolve()
        with second_thread() if order.is_alone else contextlib.nullcontext():
            reply = Reply(function(*order.args, **order.kwargs))
    except Exception as error:  # noqa: BLE001 - the server raises it
        # A pickle has no traceback.
        error.add_note(f"In the worker process:\n{_trace(error)}")
        reply = Reply(error=error)
    try:
        channel.send(reply)
    except OSError:
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - the server raises it
        channel.send(Reply(error=TypeError(f"{order.name}: the result cannot be pickled: {error!r}")))


def _trace(error: BaseException | None) -> str:
    """Return the traceback of an error and its causes, without lines of source.

    Most errors are about the picture, and to read the source would take longer than to find that error.
    """
    lines: list[str] = []
    while error is not None:
        lines += (
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
            for frame, line in traceback.walk_tb(error.__traceback__)
        )
        lines.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines)


def _be_nice(niceness: int) -> None:
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(niceness)


def _offer_to_oom_killer() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(f"{OOM_SCORE}\n", encoding="ascii")
