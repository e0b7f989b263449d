"""Drawing an id and storing what it names: nothing is forgotten in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Creations:
    """What is being created for each credential, and who waits for that.

    An id follows from how many were drawn before, and with a reset that count begins again. What drew its
    id before a reset and was stored after it would stand in the way of what draws the same id next.
    """

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._stopped: list[str | None] = []
        self._change = asyncio.Event()

    @asynccontextmanager
    async def of(self, credential: str) -> AsyncIterator[None]:
        """Create something of a credential within the block; must not be nested."""
        while not {None, credential}.isdisjoint(self._stopped):
            await self._change.wait()
        self._under_way[credential] += 1
        try:
            yield
        finally:
            self._under_way[credential] -= 1
            self._tell()

    @asynccontextmanager
    async def stopped(self, credential: str | None) -> AsyncIterator[None]:
        """Have nothing of a credential, or of anybody, be half created as long as the block lasts."""
        self._stopped.append(credential)
        try:
            while self._is_under_way(credential):
                await self._change.wait()
            yield
        finally:
            self._stopped.remove(credential)
            self._tell()

    def _is_under_way(self, credential: str | None) -> bool:
        return self._under_way.total() > 0 if credential is None else self._under_way[credential] > 0

    def _tell(self) -> None:
        # What nobody creates for any more is not remembered.
        self._under_way = +self._under_way
        self._change.set()
        self._change = asyncio.Event()
