"""``BatchingConnection``."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.records.sqlite.batching import BatchingConnection

TABLE = "CREATE TABLE numbers (number INTEGER PRIMARY KEY, text TEXT)"
ADD = "INSERT INTO numbers (number, text) VALUES (?, ?)"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[BatchingConnection]:
    connection = await BatchingConnection.connect(path, 5)
    try:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.executescript(f"CREATE TABLE IF NOT EXISTS gate (x); {TABLE};")
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[Callable[[], None]]:
    """Lock the file, so that statements queue up. Yield a function that releases the lock."""
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield lambda: lock.execute("ROLLBACK").close()
    finally:
        lock.close()


async def gather_behind_a_lock(
    path: Path, connection: BatchingConnection, *statements: Coroutine[Any, Any, Any]
) -> list[Any]:
    """Start statements while another connection holds the lock. Return their results or exceptions."""
    async with held(path) as release:
        first = asyncio.create_task(connection.execute("INSERT INTO gate VALUES (1)"))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(statement) for statement in statements]
        await asyncio.sleep(0)
        release()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)


def rows(path: Path) -> list[tuple[int, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT number, text FROM numbers ORDER BY number").fetchall()
    connection.close()
    return found


def commits(path: Path) -> int:
    """Return the number of commits in the write-ahead log: frames with a size after the commit."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    frames = range(32, len(log), 24 + page)
    return sum(int.from_bytes(log[at + 4 : at + 8], "big") > 0 for at in frames)


def test_statements_that_wait_together_are_committed_together(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> None:
        async with opened(path) as connection:
            before = commits(path)
            adds = (connection.execute(ADD, (number, "")) for number in range(100))
            results = await gather_behind_a_lock(path, connection, *adds)
            assert [result.rowcount for result in results] == [1] * 100
            # One commit for the statement that already waited for the lock, and one for all others. A single
            # commit if that statement had not begun yet.
            assert commits(path) - before in {1, 2}

    asyncio.run(run())
    assert [number for number, _ in rows(path)] == list(range(100))


def test_a_result_is_given_only_after_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> None:
        async with opened(path) as connection:

            async def add(number: int) -> None:
                await connection.execute(ADD, (number, ""))
                assert (number, "") in rows(path)

            await gather_behind_a_lock(path, connection, *(add(number) for number in range(5)))

    asyncio.run(run())
    assert len(rows(path)) == 5


def test_a_statement_that_fails_does_not_affect_the_others(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> list[Any]:
        async with opened(path) as connection:
            return await gather_behind_a_lock(
                path,
                connection,
                connection.execute(ADD, (1, "first")),
                connection.execute(ADD, (1, "again")),
                connection.execute(ADD, (2, "second")),
            )

    first, again, second = asyncio.run(run())
    assert isinstance(again, sqlite3.IntegrityError)
    assert (first.rowcount, second.rowcount) == (1, 1)
    assert rows(path) == [(1, "first"), (2, "second")]


@pytest.mark.parametrize("bad", [2**70, "\ud800", object()])
def test_a_value_that_sqlite_cannot_store_fails_alone(tmp_path: Path, bad: object) -> None:
    path = tmp_path / "records"

    async def run() -> list[Any]:
        async with opened(path) as connection:
            return await gather_behind_a_lock(
                path,
                connection,
                connection.execute(ADD, (1, "first")),
                connection.execute(ADD, (2, bad)),
                connection.execute(ADD, (3, "third")),
            )

    first, failed, third = asyncio.run(run())
    assert isinstance(failed, Exception)
    assert (first.rowcount, third.rowcount) == (1, 1)
    assert rows(path) == [(1, "first"), (3, "third")]


def test_a_full_database_fails_only_the_statements_that_need_room(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> list[Any]:
        async with opened(path) as connection:
            pages = (await connection.execute_fetchall("PRAGMA page_count"))[0][0]
            await connection.execute(f"PRAGMA max_page_count = {pages + 1}")
            results = await gather_behind_a_lock(
                path,
                connection,
                connection.execute(ADD, (1, "small")),
                connection.execute(ADD, (2, "x" * 100_000)),
                connection.execute(ADD, (3, "small")),
            )
            await connection.execute("PRAGMA max_page_count = 100000")
            await connection.execute(ADD, (4, "x" * 100_000))
            return results

    first, failed, third = asyncio.run(run())
    assert isinstance(failed, sqlite3.OperationalError)
    assert (first.rowcount, third.rowcount) == (1, 1)
    assert [number for number, _ in rows(path)] == [1, 3, 4]


def test_a_cancelled_caller_does_not_stop_its_statement(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> None:
        async with opened(path) as connection, held(path) as release:
            adding = asyncio.create_task(connection.execute(ADD, (1, "")))
            await asyncio.sleep(0)
            adding.cancel()
            await asyncio.wait({adding})
            release()
            await connection.execute(ADD, (2, ""))

    asyncio.run(run())
    assert [number for number, _ in rows(path)] == [1, 2]


def test_a_script_that_fails_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "records"

    async def run() -> None:
        async with opened(path) as connection:
            with pytest.raises(sqlite3.Error):
                await connection.executescript(
                    "BEGIN; INSERT INTO numbers VALUES (1, ''); INSERT INTO nothing VALUES (1); COMMIT"
                )
            await connection.execute(ADD, (2, ""))

    asyncio.run(run())
    assert [number for number, _ in rows(path)] == [2]
