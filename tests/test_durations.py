from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.durations import BOUNDS, NO_DURATIONS, Durations

SECONDS = st.floats(0, 100) | st.sampled_from(BOUNDS)


@given(st.lists(st.tuples(st.sampled_from("ab"), SECONDS)))
def test_each_bucket_has_the_durations_up_to_its_bound(noted: list[tuple[str, float]]) -> None:
    durations: Durations[str] = Durations()
    for key, seconds in noted:
        durations.note(key, seconds)
    histograms = durations.histograms()
    assert histograms.keys() == {key for key, _ in noted}
    for key, histogram in histograms.items():
        mine = [seconds for whose, seconds in noted if whose == key]
        assert histogram.at_most == tuple(
            sum(seconds <= bound for seconds in mine) for bound in (*BOUNDS, math.inf)
        )
        assert histogram.sum_s == pytest.approx(math.fsum(mine))
        assert histogram.count == len(mine)


@given(st.lists(SECONDS), st.lists(SECONDS))
def test_merged_histograms_have_the_durations_of_both(some: list[float], others: list[float]) -> None:
    durations: Durations[str] = Durations()
    for key, noted in (("some", some), ("others", others), ("all", [*some, *others])):
        for seconds in noted:
            durations.note(key, seconds)
    found = durations.histograms()
    merged = found.get("some", NO_DURATIONS).merged(found.get("others", NO_DURATIONS))
    both = found.get("all", NO_DURATIONS)
    assert merged.at_most == both.at_most
    assert merged.sum_s == pytest.approx(both.sum_s)


def test_a_histogram_does_not_change_when_more_durations_are_noted() -> None:
    durations: Durations[None] = Durations()
    durations.note(None, 0.002)
    before = durations.histograms()[None]
    durations.note(None, 0.002)
    assert before.at_most == (0, 0, *[1] * (len(BOUNDS) - 1))
    assert before.sum_s == 0.002
    assert NO_DURATIONS.at_most == (0,) * (len(BOUNDS) + 1)
