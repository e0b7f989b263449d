from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from emulator.world.rate_limit import SlidingWindow


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(-4, 8) | st.floats(0, 2)), max_size=60))
def test_no_window_holds_more_calls_than_the_limit(steps: list[tuple[str, float]]) -> None:
    window, now = SlidingWindow(3, seconds=5), 0.0
    allowed: dict[str, list[float]] = {"a": [], "b": []}
    for key, step in steps:
        now += step
        # A call that has left the window on either side does not come back when the clock moves.
        allowed[key] = [call for call in allowed[key] if now - 5 < call <= now]
        answer = window.allows(key, now)
        assert answer == (len(allowed[key]) < 3)
        if answer:
            allowed[key].append(now)


def test_forgetting_a_credential_resets_only_its_limit() -> None:
    window = SlidingWindow(1, seconds=5, caller_of=lambda credential: credential.partition(":")[0])
    for caller in ("a", "b"):
        assert window.allows(caller, 0.0)
    asyncio.run(window.forget("a:secret"))
    assert [window.allows(caller, 1.0) for caller in ("a", "b")] == [True, False]
    asyncio.run(window.forget(None))
    assert window.allows("b", 1.0)


def test_a_clock_that_goes_back_blocks_no_call() -> None:
    window = SlidingWindow(2, seconds=5)
    assert [window.allows("a", now) for now in (100.0, 100.0, 100.0)] == [True, True, False]
    assert [window.allows("a", now) for now in (10.0, 10.0, 10.0)] == [True, True, False]
