from __future__ import annotations

import time

from emulator.clock import FrozenClock, Stopwatch, SystemClock


def test_the_system_clock_tells_the_machines_time() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_a_frozen_clock_stands() -> None:
    clock = FrozenClock(1_600_000_000.5)
    assert [clock.now(), clock.now()] == [1_600_000_000.5, 1_600_000_000.5]
    assert clock.describe() == "frozen at 2020-09-13T12:26:40.500000+00:00"


def test_a_frozen_clock_moves_when_it_is_moved() -> None:
    clock = FrozenClock(100.0)
    clock.advance(2.5)
    assert clock.now() == 102.5


def test_a_stopwatch_counts_whole_milliseconds_up() -> None:
    stopwatch = Stopwatch()
    first = stopwatch.elapsed_ms()
    time.sleep(0.002)
    assert 0 <= first < stopwatch.elapsed_ms()
