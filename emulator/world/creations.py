"""Locks that prevent a reset between drawing the id of a new object and storing the object."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Creations:
    """Locks, one per credential, that prevent a reset while an object is created.

    Ids are derived from counters, which a reset restarts. Without the lock, an object could get its id before
    a reset and be stored after the reset. A later object would then get the same id.
    """

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._stopped: list[str | None] = []
        self._change = asyncio.Event()

    @asynccontextmanager
    async def of(self, credential: str) -> AsyncIterator[None]:
        """Wait for running resets, and block new resets while the context is open. Must not be nested."""
        while not {None, credential}.isdisjoint(self._stopped):
            await self._change.wait()
        self._under_way[credential] += 1
        try:
            yield
        finally:
            self._under_way[credential] -= 1
            self._notify()

    @asynccontextmanager
    async def stopped(self, credential: str | None) -> AsyncIterator[None]:
        """Wait for the creations in progress, and block new creations until the context exits.

        This applies to ``credential``, or to all credentials if it is None.
        """
        self._stopped.append(credential)
        try:
            while self._is_under_way(credential):
                await self._change.wait()
            yield
        finally:
            self._stopped.remove(credential)
            self._notify()

    def _is_under_way(self, credential: str | None) -> bool:
        return self._under_way.total() > 0 if credential is None else self._under_way[credential] > 0

    def _notify(self) -> None:
        # Drop the counters that are zero.
        self._under_way = +self._under_way
        self._change.set()
        self._change = asyncio.Event()
