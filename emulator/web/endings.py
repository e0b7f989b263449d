"""Callbacks that end long responses, such as streams, when the server begins to shut down."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from starlette.types import Scope

ON_STOP = "face_emulator.on_stop"
"""Name of an ASGI scope extension. Its ``add`` registers a function to call when the shutdown begins."""


def on_stop(scope: Scope, end: Callable[[], None]) -> None:
    """Register ``end`` to be called when the server begins to shut down.

    If the server does not support this, do nothing.
    """
    callbacks = scope.get("extensions", {}).get(ON_STOP)
    if callbacks is not None:
        callbacks["add"](end)


def stopping(scope: Scope) -> asyncio.Event:
    """Return an event that is set when the server begins to shut down."""
    event = asyncio.Event()
    on_stop(scope, event.set)
    return event


async def pause(seconds: float, until: asyncio.Event) -> None:
    """Wait for ``seconds`` of real time, or until the event ``until`` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
