"""The adapters of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from emulator.backends.records import (
    Records,
)
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.records.sqlite import SqliteRecords

R = TypeVar("R")
Use = Callable[[Callable[[Records], Awaitable[R]]], R]


@pytest.fixture(params=["sqlite", "cached", "postgres", "cached postgres"])
def use(request: pytest.FixtureRequest, tmp_path: Path) -> Use[object]:
    """Return a function that opens an adapter, runs a coroutine function with it, and closes it."""
    url = request.getfixturevalue("postgres_url") if "postgres" in request.param else None

    def run(scenario: Callable[[Records], Awaitable[object]]) -> object:
        async def opened() -> object:
            records = PostgresRecords(url) if url else SqliteRecords(tmp_path / "deep" / "records.sqlite3")
            await records.open()
            try:
                return await scenario(CachedRecords(records) if "cached" in request.param else records)
            finally:
                await records.close()

        return asyncio.run(opened())

    return run
