"""One journal of several replicas."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

import pytest
from journal_calls import note
from postgres import kill_connections
from shared_records import SharedDatabase, SharedRecords

from emulator.backends.records import Document, Records
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Clock
from emulator.world.journal import writing
from emulator.world.journal.entry import Entry
from emulator.world.journal.journal import Gap, Journal
from emulator.world.journal.shared import SharedJournal
from emulator.world.journal.stored import CHUNK, KIND, REVISION_KEY
from emulator.world.journal.verify import CallMatch, VerifyMatch

EVERYTHING = CallMatch()

R = TypeVar("R", bound=Records)

Opening = Callable[[int], AbstractAsyncContextManager[Sequence[R]]]
"""Opens a database, and yields the views of several replicas."""

Test = Callable[[SharedJournal, SharedJournal, R, R], Awaitable[None]]
"""Gets the journals of two replicas, and their views of the database."""


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)


@pytest.fixture(params=["shared", "postgres"])
def anywhere(request: pytest.FixtureRequest) -> Opening[Records]:
    """Return a function that opens a database of replicas in this process, or one in PostgreSQL."""
    if request.param == "shared":
        return replicas
    return partial(postgres_replicas, request.getfixturevalue("postgres_url"))


@pytest.fixture
def here() -> Opening[SharedRecords]:
    """Return a function that opens a database of replicas in this process."""
    return replicas


@contextlib.asynccontextmanager
async def replicas(count: int) -> AsyncIterator[list[SharedRecords]]:
    database = SharedDatabase()
    try:
        yield [SharedRecords(database) for _ in range(count)]
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def postgres_replicas(url: str, count: int) -> AsyncIterator[list[PostgresRecords]]:
    async with contextlib.AsyncExitStack() as stack:
        views = [PostgresRecords(url) for _ in range(count)]
        for view in views:
            await view.open()
            stack.push_async_callback(view.close)
        yield views


async def opened(
    records: Records, calls: int = 10, size: int = 10**9, forgotten: Callable[[], None] = lambda: None
) -> SharedJournal:
    """Return the journal of a new replica."""
    journal = SharedJournal(CachedRecords(records), Clock(), calls=calls, size=size, forgotten=forgotten)
    await journal.load()
    return journal


def in_two(opening: Opening[R], test: Test[R], calls: int = 10, size: int = 10**9) -> None:
    """Run ``test`` with the journals of two replicas."""

    async def run() -> None:
        async with opening(2) as (one, two), asyncio.timeout(30):
            first, second = await opened(one, calls, size), await opened(two, calls, size)
            await test(first, second, one, two)
            for each in (one, two):
                if isinstance(each, SharedRecords):
                    each.loses_answers = False
                    each.come_back()
            await first.close()
            await second.close()

    asyncio.run(run())


async def record(journal: Journal, *credentials: str) -> None:
    """Record calls one after another, as a client makes them."""
    for credential in credentials or ("k",):
        note(journal, credential)
        await journal.settle()


async def numbers(journal: Journal) -> list[int]:
    return [entry.number for entry in await journal.entries()]


async def credentials(journal: Journal) -> list[str | None]:
    return [entry.exact_credential for entry in await journal.entries()]


async def chunks(records: Records) -> list[dict[str, object]]:
    """Return the documents with calls."""
    found = [record for record in await records.find(KIND) if record.key != REVISION_KEY]
    return [dict(record.document) for record in found]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never holds")


def test_both_replicas_find_the_calls_of_both_in_one_order(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, _one: Records, _two: Records) -> None:
        for journal, credential in ((first, "a"), (second, "b"), (second, "c"), (first, "d")):
            await record(journal, credential)
            assert await first.entries() == await second.entries()
            found = await second.get(second.last)
            assert found is not None
            assert found.exact_credential == credential
        assert await credentials(first) == ["a", "b", "c", "d"]
        assert await numbers(first) == [1, 2, 3, 4]
        verdict = await first.verify(VerifyMatch(credential="c"), 1, 1)
        assert (verdict.ok, verdict.matching) == (True, [3])
        assert [entry.number for entry in await first.entries(CallMatch(credential="b"), after=1)] == [2]
        assert await second.get(5) is None

    in_two(anywhere, test)


def test_concurrent_calls_are_written_together_and_each_gets_one_number(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, one: Records, _two: Records) -> None:
        async def call(journal: SharedJournal, credential: str) -> None:
            await record(journal, *[credential] * 5)

        pairs = [
            (journal, f"{name}{nth}") for nth in range(10) for name, journal in (("a", first), ("b", second))
        ]
        await asyncio.gather(*(call(*pair) for pair in pairs))
        entries = await first.entries()
        assert entries == await second.entries()
        assert [entry.number for entry in entries] == list(range(1, 101))
        assert sorted(str(entry.exact_credential) for entry in entries) == sorted(
            credential for _, credential in pairs for _ in range(5)
        )
        # Each of five rounds takes a write of each replica, and the first calls do not wait for others.
        assert len(await chunks(one)) <= 14

    in_two(anywhere, test, calls=100)


def test_a_caller_learns_the_number_of_its_call(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, _two: SharedRecords
    ) -> None:
        got: dict[str, int] = {}

        async def call(journal: SharedJournal, credential: str) -> None:
            note(journal, credential, lambda number: got.update({credential: number}))
            await journal.settle()
            assert credential in got

        await asyncio.gather(*(call((first, second)[nth % 2], f"c{nth}") for nth in range(9)))
        assert got == {entry.exact_credential: entry.number for entry in await first.entries()}

    in_two(here, test)


def test_a_reader_during_many_writes_misses_no_call(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, _one: Records, _two: Records) -> None:
        seen: list[int] = []

        async def follow() -> None:
            async for item in second.follow(EVERYTHING, 0):
                assert isinstance(item, Entry)
                seen.append(item.number)
                if len(seen) == 120:
                    return

        async def read() -> None:
            while len(seen) < 120:
                found = await numbers(second)
                assert found == list(range(1, len(found) + 1))

        await asyncio.gather(
            follow(), read(), *(record(journal, *["k"] * 10) for journal in (first, second) for _ in range(6))
        )
        assert seen == list(range(1, 121))

    in_two(anywhere, test, calls=200)


def test_no_call_is_lost_or_doubled_when_connections_are_killed(postgres_url: str) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: PostgresRecords, _two: PostgresRecords
    ) -> None:
        names = [f"{caller}-{nth}" for caller in range(8) for nth in range(12)]

        async def call(caller: int) -> None:
            for nth in range(12):
                await record((first, second)[caller % 2], f"{caller}-{nth}")
                if (caller, nth % 4) == (0, 3):
                    await asyncio.to_thread(kill_connections, postgres_url)
                    await asyncio.sleep(0.02)

        await asyncio.gather(*map(call, range(8)))

        async def are_written() -> bool:
            with contextlib.suppress(StoreUnavailable):
                await first.catch_up()
                await second.catch_up()
                return len(await numbers(first)) >= len(names)
            return False

        await until(are_written)
        assert await first.entries() == await second.entries()
        written = [str(name) for name in await credentials(first)]
        assert sorted(written) == sorted(names)
        assert await numbers(first) == list(range(1, len(names) + 1))
        for caller in range(8):
            mine = [name for name in written if name.startswith(f"{caller}-")]
            assert mine == [f"{caller}-{nth}" for nth in range(12)]

    in_two(partial(postgres_replicas, postgres_url), test, calls=200)


def test_reading_again_reads_only_what_is_new(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, two: SharedRecords
    ) -> None:
        await record(first, "a", "b", "c")
        assert await numbers(second) == [1, 2, 3]
        two.reads = 0
        assert await numbers(second) == [1, 2, 3]
        assert two.reads == 0
        await record(first, "d")
        assert await numbers(second) == [1, 2, 3, 4]
        assert two.reads == 1

    in_two(here, test)


def test_limits_hold_over_all_replicas_and_readers_get_the_gap(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, one: Records, two: Records) -> None:
        reader = second.follow(EVERYTHING, 0)
        await record(first)
        assert isinstance(await anext(reader), Entry)
        for nth in range(2 * CHUNK):
            note(first)
            note(second)
            if nth % 20 == 0:
                await first.settle()
        await first.settle()
        await second.settle()
        everything = 4 * CHUNK + 1
        for journal in (first, second):
            assert await numbers(journal) == list(range(everything - 9, everything + 1))
            assert (journal.last, journal.last_dropped) == (everything, everything - 10)
        assert await anext(reader) == Gap(missed=everything - 11, last=everything - 10)
        following = await anext(reader)
        assert isinstance(following, Entry)
        assert following.number == everything - 9
        await reader.aclose()

        async def is_trimmed() -> bool:
            return sum(int(str(each["count"])) for each in await chunks(one)) <= 3 * CHUNK

        await until(is_trimmed)
        third = await opened(two)
        assert await third.entries() == await first.entries()
        assert (third.last, third.last_dropped) == (everything, everything - 10)

    in_two(anywhere, test)


def test_deleting_old_documents_makes_no_replica_read_everything_again(here: Opening[SharedRecords]) -> None:
    forgotten: list[None] = []

    async def run() -> None:
        async with here(2) as (one, two):
            first = await opened(one)
            second = await opened(two, forgotten=lambda: forgotten.append(None))
            for _ in range(CHUNK + 1):
                await record(first)

            async def is_trimmed() -> bool:
                return len(await chunks(one)) < CHUNK

            await until(is_trimmed)
            assert await numbers(second) == list(range(CHUNK - 8, CHUNK + 2))
            two.reads = 0
            await record(first)
            assert await numbers(second) == list(range(CHUNK - 7, CHUNK + 3))
            assert (two.reads, forgotten) == (1, [])
            await first.close()
            await second.close()

    asyncio.run(run())


def test_the_limit_on_bytes_holds_over_all_replicas(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(first)
        await first.catch_up()
        most = 10_000 // first.held_bytes
        for _ in range(20):
            await record(first)
            await record(second)
        assert await numbers(first) == await numbers(second) == list(range(42 - most, 42))

        async def is_trimmed() -> bool:
            return len(await chunks(one)) < most + 10

        await until(is_trimmed)

    in_two(here, test, calls=1000, size=10_000)


def test_a_stream_gets_the_calls_of_another_replica_soon(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, _one: Records, _two: Records) -> None:
        reader = second.follow(EVERYTHING, 0)
        for number in range(1, 4):
            waiting = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0)
            await record(first)
            async with asyncio.timeout(1):
                following = await waiting
            assert isinstance(following, Entry)
            assert following.number == number
        await reader.aclose()

    in_two(anywhere, test)


@pytest.mark.parametrize("credential", ["a", "b", "nobody", None])
def test_deleting_at_one_replica_deletes_at_all_and_keeps_the_numbers(
    anywhere: Opening[Records], credential: str | None
) -> None:
    async def test(first: SharedJournal, second: SharedJournal, one: Records, two: Records) -> None:
        for name in ("a", "b", "a", "b"):
            note(first, name)
        await first.settle()
        await record(second, "b", "a")
        assert await numbers(second) == [1, 2, 3, 4, 5, 6]
        await first.forget(credential)
        kept = {"a": [2, 4, 5], "b": [1, 3, 6], "nobody": [1, 2, 3, 4, 5, 6], None: []}[credential]
        third = await opened(two)
        for journal in (first, second, third):
            assert await numbers(journal) == kept
            assert (journal.last, journal.last_dropped) == (6, 0)
        await record(second)
        for journal in (first, second, third):
            assert await numbers(journal) == [*kept, 7]
        checks = first.entry_checks[KIND]
        async for entry in one.export():
            assert isinstance(entry, Document)
            checks(entry)

    in_two(anywhere, test)


def test_calls_that_were_dropped_do_not_come_back_when_others_are_deleted(
    here: Opening[SharedRecords],
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, two: SharedRecords
    ) -> None:
        await record(first, *["a"] * 10, *["b"] * 5)
        await second.forget("b")
        for journal in (first, second, await opened(two)):
            assert await numbers(journal) == [6, 7, 8, 9, 10]
            assert journal.last_dropped == 5

    in_two(here, test)


def test_deletions_at_two_replicas_at_once_both_hold(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, _one: Records, _two: Records) -> None:
        await record(first, "a", "b", "c")
        await record(second, "a", "b", "c")
        await asyncio.gather(first.forget("a"), second.forget("b"), record(first, "d"))
        assert await credentials(first) == await credentials(second) == ["c", "c", "d"]

    in_two(anywhere, test)


def test_old_calls_are_deleted_everywhere(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(second, "old", "young", "old")
        await first.purge(lambda credential: 2.0 if credential == "old" else 1.0)
        assert await credentials(first) == await credentials(second) == ["young"]

    in_two(here, test)


def test_after_a_reset_the_numbers_continue_at_all_replicas(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, one: Records, two: Records) -> None:
        await record(first, "a", "b", "c")
        assert await numbers(second) == [1, 2, 3]
        await one.forget(None)
        await record(second, "during")
        await first.forget(None)
        third = await opened(two)
        for journal in (first, second, third):
            assert await numbers(journal) == []
            assert journal.last == 4
        await record(third, "after")
        for journal in (first, second, third):
            assert await numbers(journal) == [5]

    in_two(anywhere, test)


def test_a_restore_at_one_replica_holds_at_all(anywhere: Opening[Records]) -> None:
    async def test(first: SharedJournal, second: SharedJournal, one: Records, two: Records) -> None:
        await record(first, "a", "b")
        await record(second, "c")
        saved = [entry async for entry in one.export()]
        await record(second, *["d"] * 20)
        assert await numbers(first) == list(range(14, 24))
        assert first.last_dropped == 13
        async with first.paused():
            await one.restore(saved)
            await first.load()
        third = await opened(two)
        for journal in (first, second, third):
            assert await credentials(journal) == ["a", "b", "c"]
            # The dropped calls are back.
            assert (journal.last, journal.last_dropped) == (23, 0)
        await record(second, "e")
        for journal in (first, second, third):
            assert await numbers(journal) == [1, 2, 3, 24]

    in_two(anywhere, test)


def test_calls_move_between_a_lone_server_and_replicas(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(first, "a", "b")
        await record(second, "c")
        await first.forget("b")
        lone = Journal(one, Clock(), calls=10, size=10**9, survives=True)
        await lone.load()
        assert await lone.entries() == await first.entries()
        assert (await numbers(lone), lone.last) == ([1, 3], 3)
        await record(lone, "d", "e")
        await lone.forget("a")
        saved = [entry async for entry in one.export()]
        for entry in saved:
            assert isinstance(entry, Document)
            lone.entry_checks[KIND](entry)
        await one.forget(None)
        async with first.paused():
            await one.restore(saved)
            await first.load()
        assert await numbers(first) == await numbers(second) == [3, 4, 5]
        await second.forget("d")
        await record(first, "f")
        assert await first.entries() == await second.entries()
        assert (await numbers(first), await credentials(first)) == ([3, 5, 6], ["c", "e", "f"])
        async for entry in one.export():
            assert isinstance(entry, Document)
            first.entry_checks[KIND](entry)

    in_two(here, test)


def test_while_the_database_is_unavailable_calls_wait_in_memory_but_responses_do_not(
    here: Opening[SharedRecords], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(first, "a")
        one.is_connected = False
        await record(first, "b", "c")
        with pytest.raises(StoreUnavailable):
            await first.entries()
        await record(second, "d")
        one.come_back()
        assert await credentials(first) == ["a", "d", "b", "c"]
        assert await second.entries() == await first.entries()
        await record(first, "e")
        assert await credentials(second) == ["a", "d", "b", "c", "e"]

    with caplog.at_level(logging.WARNING):
        in_two(here, test)
    assert caplog.messages[0].startswith("calls are written later, because ")


def test_calls_that_waited_are_written_without_another_call(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        one.is_connected = False
        await record(first, "a", "b")
        one.come_back()

        async def are_written() -> bool:
            return await credentials(second) == ["a", "b"]

        await until(are_written)

    in_two(here, test)


def test_calls_beyond_the_limits_while_the_database_is_unavailable_are_missed(
    here: Opening[SharedRecords],
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(second, "a")
        one.is_connected = False
        await record(first, *map(str, range(25)))
        one.come_back()
        await first.catch_up()
        # The first write has failed with one call, and is repeated with this call.
        assert await credentials(second) == list(map(str, range(15, 25)))
        assert await numbers(second) == list(range(17, 27))
        assert second.last_dropped == first.last_dropped == 16
        reader = second.follow(EVERYTHING, 1)
        assert await anext(reader) == Gap(missed=15, last=16)
        await reader.aclose()

    in_two(here, test)


def test_a_call_larger_than_the_journal_is_dropped_but_gets_a_number(
    here: Opening[SharedRecords],
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, _two: SharedRecords
    ) -> None:
        await record(first)
        for journal in (first, second):
            assert await numbers(journal) == []
            assert (journal.last, journal.last_dropped) == (1, 1)

    in_two(here, test, size=100)


def test_a_write_is_not_repeated_if_its_response_is_lost(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        got: list[int] = []
        one.loses_answers = True
        note(first, "a", got.append)
        await first.settle()
        await record(first, "b")
        one.loses_answers = False
        await record(second, "c")
        assert await credentials(first) == await credentials(second) == ["a", "c", "b"]
        assert got == [1]

    in_two(here, test)


def test_a_database_that_hangs_delays_one_answer(
    here: Opening[SharedRecords], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.05)

    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, _two: SharedRecords
    ) -> None:
        async with first.paused():  # as if the database did not answer
            await record(first, "a")
            monkeypatch.setattr(writing, "PATIENCE_SECONDS", 3600)
            await record(first, "b")
            monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.05)
            assert await first.entries() == []
            monkeypatch.setattr(writing, "PATIENCE_SECONDS", 3600)
        await first.flush()
        await record(first, "c")
        assert await credentials(second) == ["a", "b", "c"]

    in_two(here, test)


def test_a_stream_continues_after_the_database_was_unavailable(here: Opening[SharedRecords]) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, _one: SharedRecords, two: SharedRecords
    ) -> None:
        reader = second.follow(EVERYTHING, 0)
        two.is_connected = False
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.01)
        await record(first)
        two.come_back()
        following = await waiting
        assert isinstance(following, Entry)
        assert following.number == 1
        await reader.aclose()

    in_two(here, test)


def test_a_stream_ends_while_the_database_is_unavailable(here: Opening[SharedRecords]) -> None:
    async def test(
        _first: SharedJournal, second: SharedJournal, _one: SharedRecords, two: SharedRecords
    ) -> None:
        is_over = False
        two.is_connected = False

        async def read() -> list[Entry | Gap]:
            return [item async for item in second.follow(EVERYTHING, 0, lambda: is_over)]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        is_over = True
        second.wake()
        async with asyncio.timeout(0.5):
            assert await reading == []

    in_two(here, test)


def test_bodies_are_forgotten_when_another_replica_deletes_calls(here: Opening[SharedRecords]) -> None:
    forgotten: list[str] = []

    async def run() -> None:
        async with here(2) as (one, two):
            first = await opened(one, forgotten=lambda: forgotten.append("first"))
            second = await opened(two, forgotten=lambda: forgotten.append("second"))
            await record(first, "a", "b")
            await second.catch_up()
            await first.forget("nobody")
            await first.catch_up()
            await second.catch_up()
            assert forgotten == []
            await first.forget("a")
            await first.catch_up()
            await second.catch_up()
            assert forgotten == ["second"]
            await first.close()
            await second.close()

    asyncio.run(run())


def test_close_writes_the_remaining_calls(
    here: Opening[SharedRecords], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        note(first, "a")
        await first.close()
        assert await credentials(second) == ["a"]
        one.is_connected = False
        third = await opened(second_records := _two)
        second_records.is_connected = False
        note(third, "b")
        await third.close()

    in_two(here, test)
    assert caplog.messages[-1] == "the last calls could not be written, and are lost"


def test_a_call_that_cannot_be_shown_or_stored_does_not_stop_others(
    here: Opening[SharedRecords], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(
        first: SharedJournal, second: SharedJournal, one: SharedRecords, _two: SharedRecords
    ) -> None:
        def fail(*_arguments: object) -> Entry:
            raise ZeroDivisionError

        note(first, "a")
        first.note("broken", 1000, fail)
        await record(first, "b")
        assert await credentials(second) == ["a", "b"]
        assert await numbers(second) == [1, 3]
        append = one.append

        async def picky(kind: str, key: str, credential: str, document: object, by: int) -> object:
            if "unstorable" in str(document):
                raise ValueError("this cannot be stored")
            return await append(kind, key, credential, document, by)  # type: ignore[arg-type]  # see above

        monkeypatch.setattr(one, "append", picky)
        for credential in ("c", "unstorable", "d"):
            note(first, credential)
        await first.settle()
        assert await credentials(second) == ["a", "b", "c", "d"]

    in_two(here, test)


def test_a_journal_that_is_off_does_nothing(here: Opening[SharedRecords]) -> None:
    async def run() -> None:
        async with here(1) as (one,):
            journal = await opened(one, calls=0)
            assert not journal.is_on
            assert await journal.entries() == []
            await journal.forget(None)
            await journal.close()
            assert await one.find(KIND) == []

    asyncio.run(run())
