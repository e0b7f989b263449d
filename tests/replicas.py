"""Several replicas that use one PostgreSQL database, in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from emulator.backends.records import (
    Records,
)
from emulator.backends.records.kept import RecordCache
from emulator.backends.records.postgres import PostgresRecords

Scenario = Callable[[PostgresRecords, PostgresRecords], Awaitable[None]]

RECOVERY_SECONDS = 20.0
"""Longest time until something happens after a failure."""


@contextlib.asynccontextmanager
async def opened(url: str, **given: Any) -> AsyncIterator[PostgresRecords]:
    """Use the database as one replica."""
    records = PostgresRecords(url, **given)
    await records.open()
    try:
        yield records
    finally:
        await records.close()


def run(url: str, scenario: Scenario, loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    """Run a coroutine function with two replicas."""

    async def both() -> None:
        async with opened(url) as one, opened(url) as other:
            await scenario(one, other)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(both())


def cache_of(records: Records) -> RecordCache[int]:
    return RecordCache(records, "number", lambda n: {"n": n}, lambda found: int(found["n"]))


class Ears:
    """Records the notifications of a kind."""

    def __init__(self, records: Records, kind: str = "task") -> None:
        self.heard: list[str | None] = []
        self._waiting = asyncio.Event()
        records.listen(kind, self._hear)

    async def _hear(self, key: str | None) -> None:
        self.heard.append(key)
        self._waiting.set()

    async def wait(self) -> None:
        """Wait for a notification since the last call."""
        await asyncio.wait_for(self._waiting.wait(), RECOVERY_SECONDS)
        self._waiting.clear()

    def take(self) -> list[str | None]:
        """Return the notifications since the last call."""
        taken, self.heard = self.heard, []
        return taken
