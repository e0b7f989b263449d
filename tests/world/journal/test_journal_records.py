"""Calls during a load, a failed write or a cancelled write of their records."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from journal_calls import in_journal, note

from emulator.backends.records import Record
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.world.journal import journal as module
from emulator.world.journal.entry import Entry
from emulator.world.journal.journal import Gap, Journal
from emulator.world.journal.stored import CHUNK, KIND
from emulator.world.journal.verify import CallMatch


class Slow(SqliteRecords):
    """Records that pause after a read or a write, so that other work runs in between."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.waits = False
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        found = await super().find(kind, credential, after=after, unset=unset)
        await self._wait()
        return found

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        record = await super().put(kind, key, credential, document)
        await self._wait()
        return record

    async def _wait(self) -> None:
        if self.waits:
            self.waiting.set()
            await self.go_on.wait()


class Full(SqliteRecords):
    """Records on a disk that is full for a limited number of writes."""

    failing_puts = 0
    failing_deletes = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failed = asyncio.Event()

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        if self.failing_puts:
            self.failing_puts -= 1
            self.failed.set()
            raise OSError(errno.ENOSPC, "no space left on device")
        return await super().put(kind, key, credential, document)

    async def delete(self, kind: str, key: str) -> bool:
        if self.failing_deletes:
            self.failing_deletes -= 1
            raise OSError(errno.EIO, "input/output error")
        return await super().delete(kind, key)


async def numbers(journal: Journal) -> list[int]:
    return [entry.number for entry in await journal.entries()]


async def numbers_read_again(records: SqliteRecords, calls: int = 1000) -> list[int]:
    """Return the numbers of the calls that a new process would load."""
    journal = Journal(records, Clock(), calls=calls, size=10**9, survives=True)
    await journal.load()
    return await numbers(journal)


async def recorded(records: SqliteRecords) -> list[int]:
    """Return the numbers of the recorded calls, including duplicates."""
    return sorted(call["number"] for record in await records.find(KIND) for call in record.document["calls"])


async def until_recorded(records: SqliteRecords, expected: list[int]) -> None:
    for _ in range(1000):
        if await recorded(records) == expected:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"these are recorded: {await recorded(records)}")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.01)


async def load_and_meanwhile(journal: Journal, records: Slow, *, look: bool = False) -> asyncio.Task[None]:
    """Start to load, record a call meanwhile, and return the asyncio task that loads."""
    records.waits = True
    loading = asyncio.create_task(journal.load())
    await records.waiting.wait()
    note(journal)
    if look:
        assert await journal.entries()
    return loading


async def end(records: Slow, work: asyncio.Task[None]) -> None:
    records.waits = False
    records.go_on.set()
    await work


@pytest.mark.parametrize("look", [False, True])
def test_a_call_during_the_first_load_comes_last(tmp_path: Path, *, look: bool) -> None:
    async def write(journal: Journal, _records: Slow) -> None:
        for _ in range(3):
            note(journal)
        await journal.flush()

    async def test(_journal: Journal, records: Slow) -> None:
        journal = Journal(records, Clock(), calls=10, size=10**9, survives=True)
        loading = await load_and_meanwhile(journal, records, look=look)
        reader = journal.follow(CallMatch(), 3)
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        await end(records, loading)
        assert await numbers(journal) == [1, 2, 3, 4]
        following: Entry | Gap = await waiting
        assert isinstance(following, Entry)
        assert following.number == 4
        await reader.aclose()
        await journal.flush()
        assert await recorded(records) == [1, 2, 3, 4]

    in_journal(tmp_path, write, kind=Slow)
    in_journal(tmp_path, test, kind=Slow)


def test_a_call_during_a_restore_comes_last_and_earlier_unwritten_calls_are_dropped(tmp_path: Path) -> None:
    async def test(journal: Journal, records: Slow) -> None:
        for _ in range(4):
            note(journal)
        await journal.flush()
        note(journal)
        loading = await load_and_meanwhile(journal, records)
        await end(records, loading)
        note(journal)
        assert await numbers(journal) == [1, 2, 3, 4, 6, 7]
        await journal.flush()
        assert await recorded(records) == [1, 2, 3, 4, 6, 7]

    in_journal(tmp_path, test, kind=Slow)


def test_forget_and_flush_wait_for_a_running_load(tmp_path: Path) -> None:
    async def test(journal: Journal, records: Slow) -> None:
        for credential in ("a", "b", "a"):
            note(journal, credential)
        await journal.flush()
        loading = await load_and_meanwhile(journal, records)
        others = asyncio.gather(journal.flush(), journal.forget("a"))
        await asyncio.sleep(0)
        await end(records, loading)
        await others
        assert await numbers(journal) == await recorded(records) == [2, 4]

    in_journal(tmp_path, test, kind=Slow)


def test_a_flush_waits_for_the_end_of_a_pause(tmp_path: Path) -> None:
    async def test(journal: Journal, records: SqliteRecords) -> None:
        async with journal.paused():
            note(journal)
            flushing = asyncio.create_task(journal.flush())
            await asyncio.sleep(0)
            assert await recorded(records) == []
            assert not flushing.done()
        await flushing
        assert await recorded(records) == [1]

    in_journal(tmp_path, test)


@pytest.mark.usefixtures("at_once")
def test_a_flush_cancelled_by_close_writes_no_call_twice(tmp_path: Path) -> None:
    async def test(journal: Journal, records: Slow) -> None:
        journal.start()
        records.waits = True
        for _ in range(3):
            note(journal)
        await records.waiting.wait()
        for _ in range(2):
            note(journal)
        records.waits = False
        await journal.close()
        assert await recorded(records) == await numbers_read_again(records) == [1, 2, 3, 4, 5]

    in_journal(tmp_path, test, kind=Slow)


def test_duplicates_left_by_a_killed_process_are_read_once(tmp_path: Path) -> None:
    async def test(journal: Journal, records: SqliteRecords) -> None:
        for _ in range(3):
            note(journal)
        await journal.flush()
        first = (await records.find(KIND))[0]
        for _ in range(2):
            note(journal)
        await journal.forget("nobody")
        await records.put(KIND, first.key, "", first.document)
        assert await recorded(records) == [1, 1, 2, 2, 3, 3, 4, 5]
        assert await numbers_read_again(records) == [1, 2, 3, 4, 5]

    in_journal(tmp_path, test)


@pytest.mark.usefixtures("at_once")
def test_a_failed_write_is_retried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(journal: Journal, records: Full) -> None:
        records.failing_puts = 3
        journal.start()
        note(journal)
        await until_recorded(records, [1])
        note(journal)
        await until_recorded(records, [1, 2])
        await journal.close()

    with caplog.at_level(logging.WARNING):
        in_journal(tmp_path, test, kind=Full)
    assert [record.getMessage() for record in caplog.records] == [
        "calls could not be written; retrying",
        "calls can be written again, after 3 failures",
    ]


@pytest.mark.usefixtures("at_once")
def test_close_retries_once_and_never_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail_until_the_end(journal: Journal, records: Full) -> None:
        records.failing_puts = 10**9
        journal.start()
        note(journal)
        await records.failed.wait()
        records.failing_puts = 0
        await journal.close()
        assert await recorded(records) == [1]

    async def fail_at_the_end(journal: Journal, records: Full) -> None:
        journal.start()
        note(journal)
        records.failing_puts = 10**9
        await journal.close()
        assert await recorded(records) == [1]

    in_journal(tmp_path, fail_until_the_end, kind=Full)
    in_journal(tmp_path, fail_at_the_end, kind=Full)
    assert caplog.messages[-1] == "the last calls could not be written, and are lost"


def test_the_next_flush_removes_cleared_calls_whose_removal_failed(tmp_path: Path) -> None:
    async def test(journal: Journal, records: Full) -> None:
        for nth in range(2 * CHUNK):
            note(journal, "a" if nth % 2 else "b")
            if nth % 50 == 0:
                await journal.flush()
        kept = list(range(1, 2 * CHUNK, 2))
        records.failing_puts = 1
        with pytest.raises(OSError, match="no space"):
            await journal.forget("a")
        assert await numbers(journal) == kept
        records.failing_deletes = 1
        with pytest.raises(OSError, match="error"):
            await journal.flush()
        await journal.flush()
        assert await recorded(records) == kept
        assert await numbers_read_again(records) == kept
        records.failing_puts = 1
        with pytest.raises(OSError, match="no space"):
            await journal.forget(None)
        await journal.flush()
        assert await recorded(records) == []
        again = Journal(records, Clock(), calls=1000, size=10**9, survives=True)
        await again.load()
        assert again.last == 2 * CHUNK

    in_journal(tmp_path, test, calls=1000, kind=Full)
