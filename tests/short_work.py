"""Short work for worker processes, instead of the pipelines. It records its start and its end.

The first note is written before the server is informed that the work begins, and the last one after the
result was sent to the server. So, whenever a worker process is killed, the notes contain all work that had
begun for the server.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from typing import Any

from emulator.backends.queue import worker
from emulator.backends.queue.channel import Channel
from emulator.backends.queue.protocol import Pipeline
from emulator.backends.queue.worker import Order
from emulator.pipelines.options import ReshapedPicture, ReshapeOptions

NOTES = "SHORT_WORK_NOTES"
"""The environment variable with the path of the notes. A note is a line: server, worker, event, work."""


def start() -> None:
    """Replace all pipelines in this worker by ``reshape``."""

    def resolve(_pipeline: Pipeline[..., Any]) -> Callable[..., Any]:
        return reshape

    reply = worker._reply  # noqa: SLF001 - the notes must enclose the messages about a work

    def reply_with_notes(channel: Channel, order: Order, begun: mmap.mmap | None = None) -> None:
        name = work_name(order.args[1])
        note("began", name)
        reply(channel, order, begun)
        note("ended", name)

    Pipeline.resolve = resolve  # type: ignore[method-assign, assignment]
    worker._reply = reply_with_notes  # noqa: SLF001
    note("started", "-")


def work_name(options: ReshapeOptions) -> str:
    """Return a name for the work with ``options``."""
    return f"{options.parameters.jaw * 100:.0f}-{options.parameters.cheekbones * 100:.0f}"


def reshape(_data: bytes, options: ReshapeOptions) -> ReshapedPicture:
    """Return the name of the work as the picture."""
    time.sleep(0.002 + 0.02 * (hash(options.parameters.jaw) % 7) / 7)
    return ReshapedPicture(work_name(options).encode(), "jpeg", 1, 1)


def note(event: str, name: str) -> None:
    """Append a note. A short write at the end of a file is atomic."""
    notes = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(notes, f"{os.getppid()} {os.getpid()} {event} {name}\n".encode())
    finally:
        os.close(notes)
