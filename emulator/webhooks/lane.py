"""Limits on concurrent requests to one endpoint, and their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

IN_FLIGHT = 8
"""Largest number of concurrent requests to one endpoint."""

HEAD_START_SECONDS = 0.1
"""Real seconds between sending a request and starting the next one, unless the response arrives earlier.

Without this delay, an endpoint with several threads could handle two requests in the wrong order.
"""


class Lane:
    """A queue of requests to one endpoint, which start in order.

    The next request starts ``HEAD_START_SECONDS`` after the previous one is sent, or when that one is
    finished.
    """

    def __init__(self) -> None:
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._send_lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Make a request within the block. The block calls the yielded function once the request is sent."""
        is_out = False

        def let_next() -> None:
            nonlocal is_out
            if not is_out:
                is_out = True
                self._send_lock.release()

        def on_sent() -> None:
            asyncio.get_running_loop().call_later(HEAD_START_SECONDS, let_next)

        async with self._in_flight:
            await self._send_lock.acquire()
            try:
                yield on_sent
            finally:
                let_next()
