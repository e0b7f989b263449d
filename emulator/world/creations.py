"""Locks that prevent a reset between drawing the id of a new object and storing the object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager


class Creations:
    """Locks, one per credential, that prevent a reset while an object is created.

    Ids are derived from counters, which a reset restarts. Without the lock, an object could get its id before
    a reset and be stored after the reset. A later object would then get the same id.
    """

    def __init__(self) -> None:
        # Only credentials with a creation in progress are in the dict.
        self._under_way: dict[str, int] = {}
        self._stopped: list[str | None] = []
        self._change = asyncio.Event()

    def of(self, credential: str) -> AbstractAsyncContextManager[None]:
        """Wait for running resets, and block new resets while the context is open. Must not be nested."""
        return _Creation(self, credential)

    async def begin(self, credential: str) -> None:
        """Begin the context of ``of``."""
        while self._stopped and not {None, credential}.isdisjoint(self._stopped):
            await self._change.wait()
        self._under_way[credential] = self._under_way.get(credential, 0) + 1

    def end(self, credential: str) -> None:
        """End the context of ``of``."""
        left = self._under_way[credential] - 1
        if left:
            self._under_way[credential] = left
        else:
            del self._under_way[credential]
        if self._stopped:
            self._notify()

    @asynccontextmanager
    async def stopped(self, credential: str | None) -> AsyncIterator[None]:
        """Wait for the creations in progress, and block new creations until the context exits.

        This applies to ``credential``, or to all credentials if it is None.
        """
        self._stopped.append(credential)
        try:
            while self._under_way if credential is None else credential in self._under_way:
                await self._change.wait()
            yield
        finally:
            self._stopped.remove(credential)
            self._notify()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


class _Creation(AbstractAsyncContextManager[None]):
    """The context of ``Creations.of``. A generator in its place takes several times as long."""

    def __init__(self, creations: Creations, credential: str) -> None:
        self._creations = creations
        self._credential = credential

    async def __aenter__(self) -> None:
        await self._creations.begin(self._credential)

    async def __aexit__(self, *_error: object) -> None:
        self._creations.end(self._credential)
