from __future__ import annotations

from emulator.world.call_counts import CallCounts


def test_calls_are_counted_by_status_and_their_durations_by_operation() -> None:
    counts = CallCounts()
    for operation, status in (("poll", 200), ("poll", 200), ("poll", None), (None, 404), (None, None)):
        counts.note("acme", operation, status, 0.3)
    counts.note("umbrella", "poll", 200, 0.3)
    assert counts.by_status() == {
        ("acme", "poll", "200"): 2,
        ("acme", "poll", "none"): 1,
        ("acme", "none", "404"): 1,
        ("acme", "none", "none"): 1,
        ("umbrella", "poll", "200"): 1,
    }
    durations = counts.durations()
    assert {key: (histogram.count, round(histogram.sum_s, 6)) for key, histogram in durations.items()} == {
        ("acme", "poll"): (3, 0.9),
        ("acme", "none"): (2, 0.6),
        ("umbrella", "poll"): (1, 0.3),
    }
