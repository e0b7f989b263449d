"""How an answer that is not at its end by itself hears that the server stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from starlette.types import Scope

ENDINGS = "face_emulator.endings"
"""The extension of the ASGI scope: ``add`` takes a function to be called when the server begins to stop."""


def on_stop(scope: Scope, end: Callable[[], None]) -> None:
    """Have ``end`` called when the server begins to stop, if it is one that tells."""
    endings = scope.get("extensions", {}).get(ENDINGS)
    if endings is not None:
        endings["add"](end)


def stopping(scope: Scope) -> asyncio.Event:
    """Return what is set when the server begins to stop."""
    event = asyncio.Event()
    on_stop(scope, event.set)
    return event


async def pause(seconds: float, until: asyncio.Event) -> None:
    """Wait so long in real time, or ``until`` something: nobody waits for an answer held back."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
