from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_records import Database, PostgresDatabase, SharedDatabase

from emulator.backends.records import Document, Records
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.world.rate_limit import (
    KIND,
    SKEW_SECONDS,
    Caller,
    RateLimit,
    RateLimits,
    Window,
    count,
)

FIVE = RateLimit("five", (Window(5, seconds=1),))
ME, YOU = Caller("me"), Caller("you")

Run = Callable[[Callable[[list[RateLimits], Clock, Records], Awaitable[None]]], None]


@pytest.fixture(params=["embedded", "shared", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Runs a scenario with the rate limits of one process, and with those of three that share a database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None

    def run(scenario: Callable[[list[RateLimits], Clock, Records], Awaitable[None]]) -> None:
        async def play() -> None:
            clock = Clock(100.0)
            if request.param == "embedded":
                records = SqliteRecords(tmp_path / "records.sqlite3")
                await records.open()
                await scenario([RateLimits(records, clock)], clock, records)
                await records.close()
                return
            database: Database = SharedDatabase() if url is None else PostgresDatabase(url)
            replicas = [await database.replica() for _ in range(3)]
            try:
                await scenario([RateLimits(each, clock) for each in replicas], clock, replicas[0])
            finally:
                await database.close()

        asyncio.run(play())

    return run


@given(st.lists(st.floats(-4, 8) | st.floats(0, 2), max_size=60))
def test_no_window_holds_more_calls_than_the_limit(steps: list[float]) -> None:
    window, now = Window(3, seconds=5), 0.0
    times: tuple[float, ...] = ()
    allowed: list[float] = []
    for step in steps:
        now += step
        # A call that has left the window on either side does not come back when the clock moves.
        allowed = [call for call in allowed if now - 5 < call <= now]
        has_room, times = count(times, window, now)
        assert has_room == (len(allowed) < 3)
        if has_room:
            allowed.append(now)
        assert list(times) == allowed


def test_a_call_of_a_machine_whose_clock_is_ahead_counts() -> None:
    window = Window(2, seconds=1)
    ahead = 10.0 + SKEW_SECONDS
    assert count((ahead,), window, 10.0, SKEW_SECONDS) == (True, (ahead, ahead))
    assert count((ahead, ahead), window, 10.0, SKEW_SECONDS) == (False, (ahead, ahead))
    assert count((ahead,), window, 9.0, SKEW_SECONDS) == (True, (9.0,))


def test_the_limit_counts_over_all_processes(run: Run) -> None:
    async def scenario(processes: list[RateLimits], clock: Clock, _records: Records) -> None:
        for _ in range(3):
            calls = [processes[number % len(processes)].allows(FIVE, ME) for number in range(30)]
            assert sum(await asyncio.gather(*calls)) == 5
            assert await processes[-1].allows(FIVE, YOU)
            clock.advance(1)

    run(scenario)


def test_a_call_that_one_window_or_caller_refuses_counts_nowhere(run: Run) -> None:
    async def scenario(processes: list[RateLimits], clock: Clock, _records: Records) -> None:
        both = RateLimit("both", (Window(2, seconds=1), Window(5, seconds=300)))
        address = Caller("", "address")
        answers = []
        for _ in range(4):
            turns = (processes[0], processes[-1], processes[0])
            answers += [await process.allows(both, ME, address) for process in turns]
            clock.advance(1)
        assert answers == [True, True, False] * 2 + [True, False, False] + [False] * 3
        # The other key of the address is refused for the address alone, and keeps its own calls.
        assert not await processes[0].allows(both, YOU, address)
        assert [await processes[-1].allows(both, YOU) for _ in range(3)] == [True, True, False]

    run(scenario)


def test_with_any_window_a_call_is_refused_only_if_all_windows_are_full(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Clock(500.0)
    monkeypatch.setattr("emulator.world.rate_limit.machine_time", machine.now)
    either = RateLimit("either", (Window(2, 1), Window(2, 1, by_machine=True)), any_window=True)

    async def scenario(processes: list[RateLimits], clock: Clock, _records: Records) -> None:
        assert [await process.allows(either, ME) for process in processes[:1] * 3] == [True, True, False]
        clock.advance(1)  # the machine's clock stands still
        assert [await processes[-1].allows(either, ME) for _ in range(3)] == [True, True, False]
        machine.advance(1)
        assert [await processes[0].allows(either, ME) for _ in range(3)] == [True, True, False]

    run(scenario)


def test_forgetting_a_credential_resets_only_its_limit(run: Run) -> None:
    async def scenario(processes: list[RateLimits], _clock: Clock, records: Records) -> None:
        one = RateLimit("one", (Window(1, seconds=5),))
        callers = (ME, YOU, Caller("", "me"))
        for caller in callers:
            assert await processes[0].allows(one, caller)
        await processes[-1].forget("me")
        await records.catch_up()  # as before every request
        assert [await processes[0].allows(one, caller) for caller in callers] == [True, False, False]
        await processes[-1].forget(None)
        await records.catch_up()
        assert await records.find(KIND) == []
        assert [await processes[0].allows(one, caller) for caller in callers] == [True] * 3

    run(scenario)


def test_a_clock_that_goes_back_blocks_no_call(run: Run) -> None:
    async def scenario(processes: list[RateLimits], clock: Clock, _records: Records) -> None:
        for moment in (100.0, 10.0):
            clock.travel(moment)
            calls = [await processes[number % len(processes)].allows(FIVE, ME) for number in range(6)]
            assert calls == [True] * 5 + [False]

    run(scenario)


def test_a_process_whose_clock_is_ahead_leaves_no_room_for_others() -> None:
    async def scenario() -> None:
        database = SharedDatabase()
        ahead, behind = [RateLimits(await database.replica(), Clock(now)) for now in (100.3, 100.0)]
        calls = [await each.allows(FIVE, ME) for each in (ahead, behind) * 4]
        await database.close()
        assert calls == [True] * 5 + [False] * 3

    asyncio.run(scenario())


def test_the_counts_of_idle_callers_are_purged(run: Run) -> None:
    async def scenario(processes: list[RateLimits], clock: Clock, records: Records) -> None:
        assert await processes[0].allows(FIVE, ME)
        clock.advance(50.0)
        assert await processes[0].allows(FIVE, YOU)
        clock.advance(55.0)
        await processes[-1].purge(lambda credential: clock.now(credential) - 60)
        kept = [each.credential for each in await records.find(KIND)]
        assert kept == (["you"] if len(processes) > 1 else [])
        clock.travel(100.0)  # at this time, only counts that were kept could refuse a call
        assert [await processes[0].allows(FIVE, ME) for _ in range(6)] == [True] * 5 + [False]

    run(scenario)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"calls": [[1.0, 1.0, 2], []]}, None),
        ({"calls": [[2.0, 1.0]]}, "sorted"),
        ({"calls": [["1"]]}, "number"),
        ({"calls": [[1e300]]}, "less than"),
        ({"calls": 1}, "array"),
        ({}, "required"),
        ({"calls": [], "more": 1}, "not permitted"),
    ],
)
def test_stored_counts_are_checked(run: Run, document: dict[str, Any], reason: str | None) -> None:
    async def scenario(processes: list[RateLimits], _clock: Clock, _records: Records) -> None:
        check = processes[0].checks[KIND]
        if reason is None:
            check(document)
        else:
            with pytest.raises(ValueError, match=reason):
                check(document)
        entry_check = processes[0].entry_checks[KIND]
        entry_check(Document(KIND, "five\nme\n", "me", document))
        with pytest.raises(ValueError, match="key"):
            entry_check(Document(KIND, "five\nme\n", "you", document))

    run(scenario)


def test_counts_for_another_number_of_windows_are_ignored(run: Run) -> None:
    async def scenario(processes: list[RateLimits], _clock: Clock, _records: Records) -> None:
        for windows in ((Window(1, 1),), (Window(1, 1), Window(1, 9)), (Window(1, 1),)):
            changed = RateLimit("changed", windows)
            assert [await processes[-1].allows(changed, ME) for _ in range(2)] == [True, False]

    run(scenario)
