"""Behaviour of every adapter of Records. A new adapter joins the parameters of ``use``."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from emulator.backends.records import Counter, Document, Records, StoreUnreadable
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


def test_get_returns_the_stored_document(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        document = {"text": "ä", "number": 1.5, "nothing": None, "list": [1, {"deep": True}]}
        await records.create("task", "t1", "me", document)
        found = await records.get("task", "t1")
        assert found is not None
        assert (found.key, found.credential, found.document) == ("t1", "me", document)
        assert await records.get("file", "t1") is None
        assert await records.get("task", "t2") is None

    use(scenario)


def test_a_key_is_unique_within_a_kind(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        await records.create("task", "same", "me", {})
        await records.create("file", "same", "me", {})
        with pytest.raises(KeyError, match="same"):
            await records.create("task", "same", "you", {})

    use(scenario)


def test_replace_fails_after_a_concurrent_change(use: Use[None]) -> None:
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
        # A new document with the same key and version cannot be replaced through the old record.
        await records.create("task", "t", "me", {})
        assert not await records.replace("task", record, {"n": 1})

    use(scenario)


def test_find_filters_by_kind_and_credential_in_creation_order(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        for key, credential in [("b", "me"), ("a", "you"), ("c", "me")]:
            await records.create("task", key, credential, {})
        await records.create("file", "d", "me", {})
        assert [record.key for record in await records.find("task")] == ["b", "a", "c"]
        assert [record.key for record in await records.find("task", "me")] == ["b", "c"]
        assert await records.find("task", "nobody") == []

    use(scenario)


def test_concurrent_counts_are_consecutive(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        counts = await asyncio.gather(*(records.count_up("a") for _ in range(50)))
        assert sorted(counts) == list(range(1, 51))
        assert await records.count_up("b") == 1
        assert await records.count_up("a", "me") == 1
        assert await records.count_up("a", "you") == 1
        assert await records.count_up("a") == 51

    use(scenario)


async def everything_in(records: Records) -> list[Document | Counter]:
    return [entry async for entry in records.export()]


async def fill(records: Records) -> list[Document | Counter]:
    """Store documents and counters, and return them."""
    await records.create("task", "t2", "me", {"n": [1, None, "ä"]})
    await records.create("task", "t1", "you", {})
    await records.create("file", "t1", "", {"f": 1.5})
    for name, credential in [("a", ""), ("a", "me"), ("b", "me"), ("a", "me")]:
        await records.count_up(name, credential)
    return [
        Document("task", "t2", "me", {"n": [1, None, "ä"]}),
        Document("task", "t1", "you", {}),
        Document("file", "t1", "", {"f": 1.5}),
        Counter("a", "", 1),
        Counter("a", "me", 2),
        Counter("b", "me", 1),
    ]


def test_credentials_are_compared_literally(use: Use[None]) -> None:
    credentials = ["me", "ME", "me\0you", "m%", "'; DELETE FROM records; --", "\u00e4", "a\u0308"]

    async def scenario(records: Records) -> None:
        for credential in credentials:
            await records.create("task", credential, credential, {})
            await records.count_up("a", credential)
        for done, credential in enumerate(credentials, start=1):
            await records.forget(credential)
            assert [entry.credential for entry in await everything_in(records)] == [
                *credentials[done:],
                *sorted(credentials[done:], key=str.encode),
            ]

    use(scenario)


@pytest.mark.parametrize("credential", ["me", "you", "", "nobody", None])
def test_forget_removes_only_the_documents_and_counters_of_a_credential(
    use: Use[None], credential: str | None
) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        assert await everything_in(records) == filled
        await records.forget(credential)
        assert await everything_in(records) == [
            entry for entry in filled if credential not in {None, entry.credential}
        ]
        if credential == "me":
            assert await records.count_up("a", "me") == 1

    use(scenario)


def test_restore_replaces_everything_with_the_export(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        await records.delete("task", "t1")
        await records.put("task", "t2", "you", {})
        await records.create("task", "t3", "me", {})
        await records.count_up("c", "me")
        stale = await records.get("task", "t2")
        assert stale is not None
        await records.restore(iter(filled))
        assert await everything_in(records) == filled
        assert not await records.replace("task", stale, {})
        assert await records.count_up("a", "me") == 3

    use(scenario)


def test_an_interrupted_restore_changes_nothing(use: Use[None]) -> None:
    def broken() -> Iterator[Document | Counter]:
        yield Document("task", "t9", "me", {})
        raise ZeroDivisionError

    async def scenario(records: Records) -> None:
        filled = await fill(records)
        with pytest.raises(ZeroDivisionError):
            await records.restore(broken())
        with pytest.raises(KeyError, match="t8"):
            await records.restore([Document("task", "t8", "me", {})] * 2)
        assert await everything_in(records) == filled

    use(scenario)


def test_an_export_is_not_affected_by_later_changes(use: Use[None]) -> None:
    async def scenario(records: Records) -> None:
        filled = await fill(records)
        export = records.export()
        seen = [await anext(export)]
        await records.forget(None)
        seen += [entry async for entry in export]
        assert seen == filled
        assert await everything_in(records) == []

    use(scenario)


def test_a_write_waits_for_a_running_restore(use: Use[None]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[Document]:
        begun.set()
        assert go_on.wait(30)
        yield Document("task", "t", "me", {"n": "restored"})

    async def scenario(records: Records) -> None:
        restoring = asyncio.create_task(records.restore(slow()))
        assert await asyncio.to_thread(begun.wait, 30)
        counting = asyncio.create_task(records.put("task", "t", "me", {"n": "later"}))
        done, _ = await asyncio.wait({counting}, timeout=0.2)
        assert not done
        go_on.set()
        await restoring
        await counting
        assert [record.version for record in await records.find("task")] == [2]

    use(scenario)


def test_records_survive_reopening(use: Use[None]) -> None:
    async def store(records: Records) -> None:
        await records.create("task", "t", "me", {"n": 1})
        await records.count_up("a")

    async def look(records: Records) -> None:
        assert [record.document for record in await records.find("task")] == [{"n": 1}]
        assert await records.count_up("a") == 2

    use(store)
    use(look)


def test_sqlite_refuses_and_keeps_a_file_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    before = path.read_bytes()
    with pytest.raises(StoreUnreadable, match=r"records\.sqlite3 cannot be used: it has format 0") as caught:
        asyncio.run(SqliteRecords(path).open())
    assert caught.value.place == str(path)
    assert path.read_bytes() == before


def test_sqlite_refuses_and_keeps_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite3"
    path.write_bytes(b"What is this?" * 1000)
    with pytest.raises(StoreUnreadable, match=r"records\.sqlite3 cannot be used: file is not a database"):
        asyncio.run(SqliteRecords(path).open())
    assert path.read_bytes() == b"What is this?" * 1000


def test_sqlite_raises_an_error_when_it_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(SqliteRecords(tmp_path / "records.sqlite3").get("task", "t"))
