"""What every adapter of Records does. A new one joins the list of ``ADAPTERS``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from emulator.backends.records import Records
from emulator.backends.records.sqlite import SqliteRecords

R = TypeVar("R")
Use = Callable[[Callable[[Records], Awaitable[R]]], R]


@pytest.fixture(params=["sqlite"])
def use(request: pytest.FixtureRequest, tmp_path: Path) -> Use[object]:
    """Run a coroutine function over an open adapter; each use opens it anew."""
    assert request.param == "sqlite"

    def run(scenario: Callable[[Records], Awaitable[object]]) -> object:
        async def opened() -> object:
            records = SqliteRecords(tmp_path / "deep" / "records.sqlite3")
            await records.open()
            try:
                return await scenario(records)
            finally:
                await records.close()

        return asyncio.run(opened())

    return run


def test_a_document_is_found_as_it_was_stored(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        document = {"text": "ä", "number": 1.5, "nothing": None, "list": [1, {"deep": True}]}
        await records.create("task", "t1", "me", document)
        found = await records.get("task", "t1")
        assert found is not None
        assert (found.key, found.scope, found.document) == ("t1", "me", document)
        assert await records.get("file", "t1") is None
        assert await records.get("task", "t2") is None

    use(scenario)


def test_a_key_is_taken_once_for_a_kind(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "same", "me", {})
        await records.create("file", "same", "me", {})
        with pytest.raises(KeyError, match="same"):
            await records.create("task", "same", "you", {})

    use(scenario)


def test_replacing_fails_once_somebody_else_was_faster(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "t", "me", {"n": 0})
        mine = yours = await records.get("task", "t")
        assert mine is not None
        assert yours is not None
        assert await records.replace("task", yours, {"n": 1})
        assert not await records.replace("task", mine, {"n": 2})
        found = await records.get("task", "t")
        assert found is not None
        assert found.document == {"n": 1}

    use(scenario)


def test_a_deleted_document_cannot_be_replaced(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "t", "me", {})
        record = await records.get("task", "t")
        assert record is not None
        assert await records.delete("task", "t")
        assert not await records.delete("task", "t")
        assert not await records.replace("task", record, {})
        assert await records.get("task", "t") is None

    use(scenario)


def test_finding_goes_by_kind_and_scope_in_the_order_of_creation(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        for key, scope in [("b", "me"), ("a", "you"), ("c", "me")]:
            await records.create("task", key, scope, {})
        await records.create("file", "d", "me", {})
        assert [record.key for record in await records.find("task")] == ["b", "a", "c"]
        assert [record.key for record in await records.find("task", "me")] == ["b", "c"]
        assert await records.find("task", "nobody") == []

    use(scenario)


def test_counting_skips_and_repeats_nothing(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        counts = await asyncio.gather(*(records.count_up("a") for _ in range(50)))
        assert sorted(counts) == list(range(1, 51))
        assert await records.count_up("b") == 1

    use(scenario)


def test_everything_is_there_when_it_is_opened_again(use: Use[None]) -> None:
    async def store(records: Records) -> None:
        await records.create("task", "t", "me", {"n": 1})
        await records.count_up("a")

    async def look(records: Records) -> None:
        assert [record.document for record in await records.find("task")] == [{"n": 1}]
        assert await records.count_up("a") == 2

    use(store)
    use(look)


def test_sqlite_says_that_it_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(SqliteRecords(tmp_path / "records.sqlite3").get("task", "t"))
