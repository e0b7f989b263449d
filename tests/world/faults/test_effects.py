from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.world.faults.effects import Effect, Latency

PARTS: Mapping[str, object] = {
    "error": "broke",
    "latency": 1,
    "connection: closed": "closed",
    "connection: reset": "reset",
    "connection: answer_lost": "answer_lost",
    "connection: midway": "midway",
    "body: truncated": "truncated",
    "body: malformed": "malformed",
    "body: empty": "empty",
    "drip": {},
    "content_type": "text/html",
    "proxy_page": 502,
    "task": "stuck",
    "webhook": {"lost": True},
    "picture": {"blur": 1},
}
"""An example value of every effect."""


ANSWER = {"body: truncated", "body: malformed", "body: empty", "drip", "content_type"}


CLASHES: Mapping[str, set[str]] = {
    "proxy_page": {part for part in PARTS if part.startswith("connection")}
    | ANSWER
    | {"error", "task", "picture"},
    "connection: closed": ANSWER | {"error", "task", "picture"},
    "connection: reset": ANSWER | {"error", "task", "picture"},
    "connection: answer_lost": ANSWER,
    "connection: midway": {"body: truncated", "body: empty", "drip"},
    "body: truncated": {"drip"},
    "body: empty": {"drip"},
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (one, other)
        for one, other in itertools.combinations(PARTS, 2)
        if one.partition(":")[0] != other.partition(":")[0]  # one member cannot have two values
    ],
)
def test_effects_that_exclude_each_other_are_refused(one: str, other: str) -> None:
    members = [part.partition(":")[0] for part in (one, other)]
    effect = dict(zip(members, (PARTS[one], PARTS[other]), strict=True))
    if other in CLASHES.get(one, set()) or one in CLASHES.get(other, set()):
        with pytest.raises(ValidationError, match="cannot be combined: ") as caught:
            Effect.model_validate(effect)
        named = set(re.findall("`(.*?)`", str(caught.value)))
        assert all(part in named or part.partition(":")[0] in named for part in (one, other))
    else:
        Effect.model_validate(effect)


@pytest.mark.parametrize(
    ("latency", "chance", "seconds"),
    [
        (Latency(seconds=2.5), 0.9, 2.5),
        (Latency(between=(1.0, 3.0)), 0.0, 1.0),
        (Latency(between=(1.0, 3.0)), 0.25, 1.5),
        (Latency(percentiles={50: 0.2, 95: 1.1, 100: 8.0}), 0.0, 0.0),
        (Latency(percentiles={50: 0.2, 95: 1.1, 100: 8.0}), 0.25, 0.1),
        (Latency(percentiles={50: 0.2, 95: 1.1, 100: 8.0}), 0.5, 0.2),
        (Latency(percentiles={50: 0.2, 95: 1.1, 100: 8.0}), 0.725, 0.65),
        (Latency(percentiles={50: 0.2, 95: 1.1, 100: 8.0}), 0.975, 4.55),
        (Latency(percentiles={100: 8.0, 50: 0.2}), 0.75, 4.1),
        (Latency(percentiles={0: 1.0, 100: 2.0}), 0.5, 1.5),
        (Latency(percentiles={0: 1.0}), 0.5, 1.0),
        (Latency(percentiles={50: 0.2, 90: 4.0}), 0.99, 4.0),
    ],
)
def test_a_latency_is_drawn_from_its_profile(latency: Latency, chance: float, seconds: float) -> None:
    assert latency.drawn(chance) == pytest.approx(seconds)


@settings(deadline=None)
@given(
    st.dictionaries(st.floats(0, 100), st.floats(0, 3600), min_size=1, max_size=6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_drawn_latency_stays_within_the_profile(profile: dict[float, float], chance: float) -> None:
    drawn = Latency(percentiles=profile).drawn(chance)
    assert min(0.0, *profile.values()) <= drawn <= max(profile.values()) * (1 + 1e-12)


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_a_higher_percentile_is_never_faster(one: float, another: float) -> None:
    latency = Latency(percentiles={50: 0.2, 95: 1.5, 99: 4.0})
    low, high = sorted((one, another))
    assert latency.drawn(low) <= latency.drawn(high)
