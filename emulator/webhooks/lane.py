"""``Lane``, which limits the concurrent requests to one endpoint, and starts them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

IN_FLIGHT = 8
"""Largest number of concurrent requests to one endpoint."""

HEAD_START_SECONDS = 0.1
"""Real seconds to wait after a request is sent, before the next request starts.

Without this delay, an endpoint with several threads could handle two requests in the wrong order. The delay
ends early if the response to the first request arrives.
"""


class Lane:
    """A queue of requests to one endpoint.

    Requests start in order. The next request starts ``HEAD_START_SECONDS`` after the previous request is
    sent, or earlier if the response to the previous request arrives.

    Each process has its own queues. So requests of different processes to one endpoint have no order, and
    each process can make ``IN_FLIGHT`` of them at once.
    """

    def __init__(self) -> None:
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)
        self._send_lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[], None]]:
        """Wait for the turn of the request that the ``with`` block makes.

        The block must call the yielded function when the request is sent.
        """
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
