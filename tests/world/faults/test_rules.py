from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.pipelines.common import PictureFault
from emulator.webhooks.fault import WebhookFault
from emulator.world.faults.effects import PRESETS, Drip, Effect, Latency
from emulator.world.faults.rules import FaultRule, Match


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"effect": {}},
        {"effect": {"error": None}},
        {"effect": {"places": {"param": "x"}}},
        {"effect": {"error": "broke", "proxy_page": 502}},
        {"effect": {"proxy_page": 200}},
        {"effect": {"latency": {}}},
        {"effect": {"latency": True}},
        {"effect": {"latency": -1}},
        {"effect": {"latency": {"seconds": 1, "between": [1, 2]}}},
        {"effect": {"latency": {"percentiles": {}}}},
        {"effect": {"latency": {"percentiles": {"101": 1}}}},
        {"effect": {"drip": {"chunk_bytes": 0}}},
        {"effect": {"content_type": "text/html\r\nset-cookie: a=b"}},
        {"effect": {"content_type": "text/ümläut"}},
        {"effect": {"content_type": ""}},
        {"effect": {"webhook": {"copies": 11}}},
        {"effect": {"webhook": {}}},
        {"effect": {"webhook": {"copies": 1, "signature": "good"}}},
        {"effect": {"picture": {"rotate_deg": 0}}},
        {"effect": {"webhook": {}, "picture": {}, "places": {"param": "x"}}},
        {"effect": {"webhook": {"delay_s": math.inf}}},
        {"effect": {"error": "\ud800"}},
        {"effect": {"error": "broke", "places": {"param": "\ud800"}}},
        {"effect": "slow", "match": {"nth": 0}},
        {"effect": "slow", "match": {"every": 0}},
        {"effect": "slow", "match": {"probability": 1.1}},
        {"effect": "slow", "match": {"probability": math.nan}},
        {"effect": "slow", "match": {"headers": {"x": "("}}},
        {"effect": "slow", "match": {"headers": {"\ud800": "x"}}},
        {"effect": "slow", "match": {"body_contains": ""}},
        {"effect": "slow", "match": {"body_contains": "\ud800"}},
        {"effect": "slow", "match": {"credential": ""}},
        {"effect": "slow", "match": {"colour": "red"}},
        {"effect": "slow", "count": 0},
        {"effect": "slow", "ttl_s": 0},
        {"effect": "slow", "ttl_s": math.inf},
        {"effect": "slow", "scenario": "\ud800"},
    ],
    ids=ascii,
)
def test_an_invalid_rule_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultRule.model_validate(document)


seconds = st.floats(0, 3600)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


counts = st.none() | st.integers(1, 10**6)


latencies = st.one_of(
    st.builds(Latency, seconds=seconds),
    st.builds(Latency, between=st.tuples(seconds, seconds)),
    st.builds(Latency, percentiles=st.dictionaries(st.floats(0, 100), seconds, min_size=1, max_size=4)),
)


pictures = st.builds(
    PictureFault,
    drop_exif=st.booleans(),
    rotate_deg=st.sampled_from([0, 90, 180, 270]),
    shrink=st.floats(0, 1, exclude_min=True),
    truncate=st.floats(0, 1),
)


webhooks = st.builds(
    WebhookFault,
    lost=st.booleans(),
    copies=st.integers(1, 10),
    delay_s=st.floats(0, 10**9),
    signature=st.sampled_from(["good", "wrong", "missing", "stale"]),
)


drips = st.builds(Drip, chunk_bytes=st.integers(1, 99), pause_s=seconds)


everywhere = {"latency": latencies, "webhook": webhooks}


done = {
    **everywhere,
    "error": texts,
    "places": st.dictionaries(texts, texts, max_size=2),
    "task": st.just("stuck"),
    "picture": pictures,
}


said = {**done, "content_type": st.text("abc/;= ", min_size=1, max_size=9)}


def _does_something(effect: dict[str, object]) -> bool:
    nothing = {"webhook": WebhookFault(), "picture": PictureFault()}
    return any(value != nothing.get(name) for name, value in effect.items() if name != "places")


effects = st.one_of(
    st.fixed_dictionaries({}, optional=everywhere | {"proxy_page": st.integers(500, 599)}),
    st.fixed_dictionaries({}, optional=everywhere | {"connection": st.sampled_from(["closed", "reset"])}),
    st.fixed_dictionaries({}, optional=done | {"connection": st.just("answer_lost")}),
    st.fixed_dictionaries(
        {}, optional=said | {"connection": st.just("midway"), "body": st.just("malformed")}
    ),
    st.fixed_dictionaries({}, optional=said | {"body": st.sampled_from(["truncated", "empty"])}),
    st.fixed_dictionaries({}, optional=said | {"body": st.just("malformed"), "drip": drips}),
).filter(_does_something)


matches = st.builds(
    Match,
    vendor=st.none() | texts,
    operation=st.none() | texts,
    credential=st.none() | texts,
    nth=counts,
    every=counts,
    probability=st.none() | st.floats(0, 1),
    seed=st.integers(),
    headers=st.dictionaries(texts, texts.map(re.escape), max_size=2),
    body_contains=st.none() | texts,
)


rules = st.builds(
    FaultRule,
    match=matches,
    effect=effects.map(Effect.model_validate) | st.sampled_from(list(PRESETS.values())),
    count=counts,
    ttl_s=st.none() | st.floats(0, 10**9, exclude_min=True),
    scenario=st.none() | texts,
)


@settings(deadline=None)
@given(rules)
def test_a_rule_survives_a_round_trip_through_json(given_rule: FaultRule) -> None:
    document = json.loads(
        json.dumps(given_rule.model_dump(mode="json", exclude_defaults=True), allow_nan=False)
    )
    assert FaultRule.model_validate(document) == given_rule


@pytest.mark.parametrize("name", PRESETS)
def test_the_name_of_a_preset_is_accepted_as_effect(name: str) -> None:
    assert FaultRule.model_validate({"effect": name}).effect == PRESETS[name]
