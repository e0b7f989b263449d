from __future__ import annotations

from collections.abc import Callable

from face_api_emulator.client import Client


def test_the_clock_is_frozen_advanced_moved_and_reset(tell_mine: Callable[..., str], me: Client) -> None:
    assert tell_mine("clock", "freeze", "2026-01-01T00:00:00") == "2026-01-01T00:00:00+00:00 (frozen)"
    assert tell_mine("clock", "advance", "90") == "2026-01-01T00:01:30+00:00 (frozen)"
    assert tell_mine("clock", "travel", "2027-02-03T04:05:06+01:00").startswith("2027-02-03T03:05:06")
    assert not tell_mine("clock", "run").endswith("(frozen)")
    tell_mine("clock", "reset")
    assert not me.clock().own
