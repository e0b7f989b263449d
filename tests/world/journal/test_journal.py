from __future__ import annotations

import asyncio
from pathlib import Path

from journal_calls import in_journal, note

from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.world.journal.entry import Entry
from emulator.world.journal.journal import Gap, Journal
from emulator.world.journal.stored import CHUNK, KIND
from emulator.world.journal.verify import CallMatch

EVERYTHING = CallMatch()


def test_a_slow_reader_gets_the_number_of_missed_calls(tmp_path: Path) -> None:
    async def test(journal: Journal, _records: SqliteRecords) -> None:
        reader = journal.follow(EVERYTHING, 0)
        note(journal)
        first = await anext(reader)
        assert isinstance(first, Entry)
        assert first.number == 1
        for _ in range(100):
            note(journal)
        assert await anext(reader) == Gap(missed=90, last=91)
        following = [await anext(reader) for _ in range(10)]
        assert [item.number for item in following if isinstance(item, Entry)] == list(range(92, 102))
        await reader.aclose()

    in_journal(tmp_path, test)


def test_after_a_restart_a_reader_gets_the_missed_calls_but_not_the_cleared_ones(tmp_path: Path) -> None:
    async def write(journal: Journal, _records: SqliteRecords) -> None:
        for _ in range(3):
            for _ in range(CHUNK):
                note(journal)
            await journal.flush()
        note(journal, "cleared")
        note(journal)
        await journal.forget("cleared")

    async def read(journal: Journal, _records: SqliteRecords) -> None:
        reader = journal.follow(EVERYTHING, 5)
        # The last two calls pushed the calls 291 and 292 out of the journal. Then one of the two was deleted.
        assert await anext(reader) == Gap(missed=287, last=292)
        following = [await anext(reader) for _ in range(9)]
        assert [item.number for item in following if isinstance(item, Entry)] == [*range(293, 301), 302]
        await reader.aclose()
        await journal.forget(None)

    async def read_after_clearing(journal: Journal, _records: SqliteRecords) -> None:
        note(journal)
        reader = journal.follow(EVERYTHING, 295)
        following = await anext(reader)
        assert isinstance(following, Entry)
        assert following.number == 303
        await reader.aclose()

    in_journal(tmp_path, write)
    in_journal(tmp_path, read)
    in_journal(tmp_path, read_after_clearing)


def test_restored_calls_are_not_reported_as_missed(tmp_path: Path) -> None:
    async def test(journal: Journal, _records: SqliteRecords) -> None:
        for _ in range(5):
            note(journal)
        await journal.flush()
        for _ in range(20):
            note(journal)
        await journal.load()
        reader = journal.follow(EVERYTHING, 0)
        following = [await anext(reader) for _ in range(5)]
        assert [item.number for item in following if isinstance(item, Entry)] == [1, 2, 3, 4, 5]
        await reader.aclose()

    in_journal(tmp_path, test)


def test_a_reader_stops_when_its_end_condition_is_true(tmp_path: Path) -> None:
    async def test(journal: Journal, _records: SqliteRecords) -> None:
        is_over = False

        async def read() -> list[Entry | Gap]:
            return [item async for item in journal.follow(EVERYTHING, 0, lambda: is_over)]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        note(journal)
        await asyncio.sleep(0)
        is_over = True
        journal.wake()
        assert len(await reading) == 1

    in_journal(tmp_path, test)


def test_records_match_the_memory_and_stay_bounded(tmp_path: Path) -> None:
    async def test(journal: Journal, records: SqliteRecords) -> None:
        for _ in range(20):
            for _ in range(CHUNK):
                note(journal)
            await journal.flush()
        assert len(await records.find(KIND)) <= 3
        again = Journal(records, Clock(), calls=150, size=10**9, survives=True)
        await again.load()
        assert await again.entries() == await journal.entries()
        assert [entry.number for entry in await again.entries()] == list(range(1851, 2001))

    in_journal(tmp_path, test, calls=150)


def test_numbering_continues_after_older_calls_were_restored(tmp_path: Path) -> None:
    async def test(journal: Journal, _records: SqliteRecords) -> None:
        note(journal)
        await journal.flush()
        note(journal)
        note(journal)
        await journal.load()
        note(journal)
        assert [entry.number for entry in await journal.entries()] == [1, 4]

    in_journal(tmp_path, test)


def test_flushed_calls_survive_without_a_close(tmp_path: Path) -> None:
    async def write(journal: Journal, _records: SqliteRecords) -> None:
        note(journal)
        await journal.flush()
        note(journal)  # the process is killed here

    async def read(journal: Journal, _records: SqliteRecords) -> None:
        assert [entry.number for entry in await journal.entries()] == [1]
        assert journal.last == 1

    in_journal(tmp_path, write)
    in_journal(tmp_path, read)


def test_clearing_a_credential_clears_its_records_and_keeps_the_numbering(tmp_path: Path) -> None:
    async def write(journal: Journal, _records: SqliteRecords) -> None:
        for credential in ("a", "b", "a"):
            note(journal, credential)
        await journal.flush()
        await journal.forget("a")

    async def read(journal: Journal, _records: SqliteRecords) -> None:
        assert [entry.number for entry in await journal.entries()] == [2]
        await journal.forget(None)

    async def read_nothing(journal: Journal, _records: SqliteRecords) -> None:
        assert await journal.entries() == []
        note(journal)
        assert [entry.number for entry in await journal.entries()] == [4]

    in_journal(tmp_path, write)
    in_journal(tmp_path, read)
    in_journal(tmp_path, read_nothing)
