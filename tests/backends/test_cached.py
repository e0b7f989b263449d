"""The cache of documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.records import Create, Put, Record, Replace
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.sqlite import SqliteRecords


class Counting(SqliteRecords):
    """A database that counts reads, and can pause them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.is_read = asyncio.Event()
        self.may_return = asyncio.Event()
        self.may_return.set()

    async def get(self, kind: str, key: str) -> Record | None:
        self.reads += 1
        found = await super().get(kind, key)
        self.is_read.set()
        await self.may_return.wait()
        return found


def run(scenario: Callable[[Counting], Awaitable[None]], folder: Path) -> None:
    """Run a coroutine function with an open database."""

    async def opened() -> None:
        database = Counting(folder / "records.sqlite3")
        await database.open()
        try:
            await scenario(database)
        finally:
            await database.close()

    asyncio.run(opened())


async def text(records: Any, key: str = "a") -> str | None:
    found = await records.get("k", key)
    return None if found is None else str(found.document["text"])


def test_a_document_and_its_absence_are_read_once(tmp_path: Path) -> None:
    async def scenario(database: Counting) -> None:
        await database.create("k", "a", "me", {"text": "one"})
        records = CachedRecords(database)
        assert [await text(records) for _ in range(3)] == ["one"] * 3
        assert [await text(records, "b") for _ in range(3)] == [None] * 3
        assert database.reads == 2
        # Changes to another kind or another key do not cause a read.
        await records.put("other", "a", "me", {"text": "x"})
        await records.put("k", "c", "me", {"text": "x"})
        assert (await text(records), database.reads) == ("one", 2)

    run(scenario, tmp_path)


def test_what_was_written_is_not_read_from_the_database(tmp_path: Path) -> None:
    async def scenario(database: Counting) -> None:
        records = CachedRecords(database)
        await records.create("k", "a", "me", {"text": "one", "list": [1]})
        first = await records.get("k", "a")
        assert first == Record("a", "me", {"text": "one", "list": [1]}, serial=1, version=1)
        assert await records.get("k", "a") is first
        assert await records.write([Replace("k", first, {"text": "two"}), Create("k", "b", "me", {})])
        await records.put("k", "a", "you", {"text": "three"})
        second = await records.get("k", "a")
        assert second == Record("a", "you", {"text": "three"}, serial=1, version=3)
        assert await text(records) == "three"
        assert await records.get("k", "b") == Record("b", "me", {}, serial=2, version=1)
        assert not await records.write([Replace("k", first, {"text": "four"}), Put("k", "b", "you", {})])
        assert database.reads == 0
        assert await text(records) == "three"
        assert await records.get("k", "b") == Record("b", "me", {}, serial=2, version=1)

    run(scenario, tmp_path)


def test_a_cancelled_write_is_seen_by_the_next_read(tmp_path: Path) -> None:
    async def scenario(database: Counting) -> None:
        records = CachedRecords(database)
        await records.create("k", "a", "me", {"text": "one"})
        for number in range(20):
            writing = asyncio.create_task(records.put("k", "a", "me", {"text": str(number)}))
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait({writing})
            assert await text(records) == str(number)

    run(scenario, tmp_path)


def test_every_write_is_seen_by_the_next_read(tmp_path: Path) -> None:
    async def scenario(database: Counting) -> None:
        records = CachedRecords(database)
        assert await text(records) is None
        await records.create("k", "a", "me", {"text": "one"})
        assert await text(records) == "one"
        await records.put("k", "a", "me", {"text": "two"})
        assert await text(records) == "two"
        before = await records.get("k", "a")
        assert before is not None
        assert await records.replace("k", before, {"text": "three"})
        assert not await records.replace("k", before, {"text": "four"})
        assert await text(records) == "three"
        assert await records.delete("k", "a")
        assert await text(records) is None
        await records.create("k", "a", "me", {"text": "five"})
        assert await text(records) == "five"
        await records.forget("me")
        assert await text(records) is None
        await records.create("k", "a", "me", {"text": "six"})
        assert await text(records) == "six"
        await records.restore([])
        assert await text(records) is None

    run(scenario, tmp_path)


@pytest.mark.parametrize("write", ["put", "forget"])
def test_a_read_that_a_write_overtakes_is_not_kept(tmp_path: Path, write: str) -> None:
    async def scenario(database: Counting) -> None:
        await database.create("k", "a", "me", {"text": "old"})
        records = CachedRecords(database)
        database.may_return.clear()
        reading = asyncio.create_task(text(records))
        await database.is_read.wait()
        if write == "put":
            await records.put("k", "a", "me", {"text": "new"})
        else:
            await records.forget("me")
        database.may_return.set()
        assert await reading == "old"
        assert await text(records) == ("new" if write == "put" else None)

    run(scenario, tmp_path)


def test_the_oldest_read_is_dropped_first(tmp_path: Path) -> None:
    async def scenario(database: Counting) -> None:
        records = CachedRecords(database, most_documents=2)
        for key in ("a", "b", "a", "c"):
            await text(records, key)
        assert database.reads == 3
        await text(records, "a")
        assert database.reads == 3
        await text(records, "b")
        assert database.reads == 4

    run(scenario, tmp_path)
