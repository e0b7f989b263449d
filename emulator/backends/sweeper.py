"""``Sweeper``, which regularly does what dead replicas have left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from emulator.backends.records import Records
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)


class Sweeper:
    """Calls a function regularly while other replicas can share the database.

    If the database cannot be used, the next call tries again.

    Parameters
    ----------
    records
        The database.
    sweep
        The function.
    seconds
        Real seconds between two calls.
    failure
        Message to log if the function raises an exception.
    """

    def __init__(
        self, records: Records, sweep: Callable[[], Awaitable[None]], seconds: float, failure: str
    ) -> None:
        self._records = records
        self._sweep = sweep
        self._seconds = seconds
        self._failure = failure
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start sweeping, if the database can be shared."""
        if self._records.is_shared and self._sweeping is None:
            self._sweeping = asyncio.create_task(self._keep_sweeping())

    async def close(self) -> None:
        """Stop sweeping."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
            self._sweeping = None

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._sweep()
            except StoreUnavailable:
                logger.debug(self._failure, exc_info=True)
            except Exception:
                logger.exception(self._failure)
