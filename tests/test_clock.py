from __future__ import annotations

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.clock import Clock, Setting, Stopwatch


def test_the_system_clock_returns_the_machines_time() -> None:
    before = time.time()
    assert before <= Clock().now() <= time.time()


def test_a_frozen_clock_does_not_advance() -> None:
    clock = Clock(frozen_at=1_600_000_000.5)
    assert [clock.now(), clock.now()] == [1_600_000_000.5, 1_600_000_000.5]
    assert clock.describe() == "frozen at 2020-09-13T12:26:40.500000+00:00"


def test_a_frozen_clock_can_be_advanced() -> None:
    clock = Clock(frozen_at=100.0)
    clock.advance(2.5)
    assert clock.now() == 102.5


def test_a_stopwatch_returns_increasing_milliseconds() -> None:
    stopwatch = Stopwatch()
    first = stopwatch.elapsed_ms()
    time.sleep(0.002)
    assert 0 <= first < stopwatch.elapsed_ms()


def test_a_credential_without_its_own_clock_uses_the_default() -> None:
    clock = Clock(frozen_at=100.0)
    clock.advance(5.0, "mine")
    assert (clock.now(), clock.now("mine"), clock.now("yours")) == (100.0, 105.0, 100.0)
    clock.travel(50.0)
    assert (clock.now(), clock.now("mine"), clock.now("yours")) == (50.0, 105.0, 50.0)
    clock.forget("mine")
    assert clock.now("mine") == 50.0
    clock.forget()
    assert clock.now() == 100.0


def test_a_running_clock_keeps_running_after_travel_and_advance() -> None:
    clock = Clock()
    clock.travel(1000.0)
    first = clock.now()
    clock.advance(500.0)
    assert 1000.0 <= first < 1001.0
    assert 500.0 <= clock.now() - first < 501.0
    assert clock.setting().frozen_at is None


def test_run_resumes_a_clock_from_its_frozen_time() -> None:
    clock = Clock(frozen_at=7.0)
    clock.run()
    assert 7.0 <= clock.now() < 8.0
    clock.freeze()
    assert clock.now() == clock.now()


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(["advance", "travel", "freeze"]),
            st.sampled_from(["", "a", "b"]),
            st.floats(0, 1e9),
        )
    )
)
def test_changes_for_other_credentials_do_not_affect_a_frozen_clock(
    moves: list[tuple[str, str, float]],
) -> None:
    clock, alone = Clock(frozen_at=0.0), Clock(frozen_at=0.0)
    for each in (clock, alone):
        each.freeze("b", at=0.0)
    for move, credential, number in moves:
        _move(clock, move, credential, number)
        if credential == "b":
            _move(alone, move, credential, number)
    assert clock.now("b") == alone.now("b")


def _move(clock: Clock, move: str, credential: str, number: float) -> None:
    if move == "advance":
        clock.advance(number, credential)
    elif move == "travel":
        clock.travel(number, credential)
    else:
        clock.freeze(credential, at=number)


def test_wait_until_returns_when_the_clock_reaches_the_time() -> None:
    async def run() -> None:
        clock = Clock(frozen_at=0.0)
        mine = asyncio.create_task(clock.wait_until(10.0, "me"))
        theirs = asyncio.create_task(clock.wait_until(10.0, "them"))
        await asyncio.sleep(0)
        clock.advance(9.5, "me")
        await asyncio.sleep(0.01)
        assert not mine.done()
        # From another thread, as when a test advances the clock of a running server.
        await asyncio.to_thread(clock.advance, 0.5, "me")
        await mine
        assert not theirs.done()
        clock.travel(11.0)
        await theirs
        running = Clock()
        await running.wait_until(running.now() + 0.01)

    asyncio.run(asyncio.wait_for(run(), 10))


@pytest.mark.parametrize("steps", range(6))
def test_wait_until_can_be_cancelled_while_the_clock_is_advanced(steps: int) -> None:
    async def run() -> None:
        clock = Clock()
        waiting = asyncio.create_task(clock.wait_until(clock.now() + 3600))
        await asyncio.sleep(0.01)
        clock.advance(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=1)
        assert waiting.cancelled()

    asyncio.run(run())


@given(offset=st.floats(-1e9, 1e9), frozen=st.none() | st.floats(0, 1e10))
def test_a_setting_survives_a_round_trip_through_json(offset: float, frozen: float | None) -> None:
    setting = Setting(offset, frozen)
    assert Setting(**json.loads(json.dumps(setting.to_document()))) == setting
