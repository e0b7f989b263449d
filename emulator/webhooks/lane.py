"""The way to one endpoint: some requests at once, that go out one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

IN_FLIGHT = 8
"""How many requests are under way to one endpoint."""

HEAD_START_SECONDS = 0.1
"""How long the next request to an endpoint waits for the answer to the one before, in real time.

Two that arrive together may be handled in any order by an endpoint with several threads.
"""


class Lane:
    """Has requests go out in the order of events.

    The next begins a moment after the one before it is on the wire, whether that is answered or not.
    """

    def __init__(self) -> None:
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._going_out = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Make a request within the block; the block calls what it gets once that is on the wire."""
        is_out = False

        def let_next() -> None:
            nonlocal is_out
            if not is_out:
                is_out = True
                self._going_out.release()

        def on_sent() -> None:
            asyncio.get_running_loop().call_later(HEAD_START_SECONDS, let_next)

        async with self._in_flight:
            await self._going_out.acquire()
            try:
                yield on_sent
            finally:
                let_next()
