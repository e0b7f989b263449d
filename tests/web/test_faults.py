from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.pipelines.options import PictureFault
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, Mark
from emulator.web.faults import (
    PRESETS,
    WEBHOOK,
    Drip,
    Effect,
    FaultRule,
    Faults,
    ImpossibleFault,
    Injection,
    Latency,
    Match,
    Occasion,
    Target,
    UnknownFault,
    is_reserved,
)
from emulator.webhooks.fault import WebhookFault

NOW = 1000.0
Play = Callable[[Faults, Clock], Awaitable[None]]


def entry(name: str, *operations: str, of_task: bool = False) -> CatalogueEntry:
    return CatalogueEntry(
        name, 400, name, "Sometimes.", Mark.GUESS, "nowhere", of_task=of_task, operations=operations
    )


TARGETS: Mapping[str, Target] = {
    "acme": Target(
        ErrorCatalogue([entry("broke"), entry("lost", "check"), entry("no_face", "create", of_task=True)]),
        ("create", "check", "upload"),
        task_operations=("create",),
        picture_operations=("upload",),
    ),
    "other": Target(ErrorCatalogue([entry("broke"), entry("shut")]), ("call",)),
}


def call(
    operation: str | None = "check",
    credential: str | None = "me",
    *,
    vendor: str = "acme",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Occasion:
    return Occasion(vendor, operation, credential, headers or {}, body)


def rule(
    effect: object = "broke", *, count: int | None = None, ttl_s: float | None = None, **match: Any
) -> FaultRule:
    return FaultRule.model_validate({"match": match, "effect": effect, "count": count, "ttl_s": ttl_s})


def play(path: Path, scenario: Play, *, in_band: bool = True) -> None:
    async def run() -> None:
        records, clock = SqliteRecords(path / "records.sqlite3"), Clock(NOW)
        await records.open()
        try:
            faults = Faults(records, clock, TARGETS, in_band=in_band)
            await faults.load()
            await scenario(faults, clock)
        finally:
            await records.close()

    asyncio.run(run())


async def errors_of(faults: Faults, occasions: list[Occasion]) -> list[str | None]:
    """Return what error each call gets."""
    injections = [await faults.decide(occasion) for occasion in occasions]
    return [None if injection is None else injection.effect.error for injection in injections]


async def firing(faults: Faults, occasion: Occasion, calls: int) -> list[int]:
    """Return which of so many calls, from 1 on, something happens to."""
    return [nth for nth in range(1, calls + 1) if await faults.decide(occasion) is not None]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"nth": 3}, [3]),
        ({"every": 3}, [3, 6, 9]),
        ({"nth": 6, "every": 3}, [6]),
        ({"nth": 5, "every": 3}, []),
        ({"probability": 0.0}, []),
        ({"probability": 1.0}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"every": 2, "probability": 0.0}, []),
    ],
    ids=str,
)
def test_which_calls_a_rule_is_for_by_their_number(
    tmp_path: Path, match: dict[str, Any], expected: list[int]
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(**match))
        assert await firing(faults, call(), 9) == expected

    play(tmp_path, scenario)


def test_calls_are_counted_for_each_credential_by_itself(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(nth=2))
        calls = [call(credential=name) for name in ("a", "b", "a", "b", "a", None, None)]
        assert await errors_of(faults, calls) == [None, None, "broke", "broke", None, None, "broke"]
        assert faults.rules()["r"].seen == {"a": 3, "b": 2, "": 2}
        assert faults.rules()["r"].fired == 3

    play(tmp_path, scenario)


def test_a_rule_counts_for_so_many_credentials_and_forgets_the_one_not_seen_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.web.faults.MOST_CREDENTIALS", 3)

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("a", rule(nth=2))
        for credential in ("one", "two", "three", "two"):
            fired = await faults.decide(call(credential=credential))
            assert (fired is not None) == (credential == "two" and faults.rules()["a"].fired == 1)
        assert list(faults.rules()["a"].seen.items()) == [("one", 1), ("three", 1), ("two", 2)]
        await faults.decide(call(credential="four"))
        assert list(faults.rules()["a"].seen) == ["three", "two", "four"]
        assert await faults.decide(call(credential="one")) is None
        assert await faults.decide(call(credential="four")) is not None

    play(tmp_path, scenario)


def test_only_calls_that_match_are_counted(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(operation="check", nth=2))
        calls = [call("check"), call("upload"), call("create"), call("call", vendor="other"), call("check")]
        assert await errors_of(faults, calls) == [None, None, None, None, "broke"]

    play(tmp_path, scenario)


def test_chance_follows_from_seed_and_credential_alone(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        drawn = {}
        for name, seed in (("first", 7), ("again", 7), ("other", 8)):
            await faults.clear()
            # Its place among the others and its id do not matter.
            await faults.add(f"{name}-before", rule(operation="upload"))
            await faults.add(name, rule(probability=0.5, seed=seed))
            drawn[name] = await firing(faults, call(), 200)
            drawn[name + " you"] = await firing(faults, call(credential="you"), 200)
        assert drawn["first"] == drawn["again"]
        assert drawn["first you"] == drawn["again you"]
        assert len({tuple(calls) for calls in drawn.values()}) == 4

    play(tmp_path, scenario)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.9])
def test_chance_is_as_often_as_it_says(
    tmp_path: Path, probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 10_000

    async def nothing(*_: object) -> None:
        """Ten thousand counts need not be stored."""

    monkeypatch.setattr(SqliteRecords, "put", nothing)

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(probability=probability, seed=3))
        fired = len(await firing(faults, call(), calls))
        # Five standard deviations of a binomial: one seed in two million would fail.
        assert abs(fired - calls * probability) < 5 * math.sqrt(calls * probability * (1 - probability))

    play(tmp_path, scenario)


def test_the_latency_is_drawn_uniformly_and_apart_from_whether_it_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        """As above."""

    monkeypatch.setattr(SqliteRecords, "put", nothing)

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule("slow", probability=0.1))
        injections = [await faults.decide(call()) for _ in range(10_000)]
        chances = sorted(found.chance for found in injections if found is not None)
        # Kolmogorov and Smirnov: below 1.95 / sqrt(n) in all but one of a thousand seeds.
        distance = max(abs(chance - index / len(chances)) for index, chance in enumerate(chances))
        assert distance < 1.95 / math.sqrt(len(chances))

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("match", "headers", "fires"),
    [
        ({"User-Agent": "^curl/8"}, {"user-agent": "curl/8.1"}, True),
        ({"user-agent": "^curl/8"}, {"user-agent": "not curl/8"}, False),
        ({"user-agent": "curl"}, {"user-agent": "my curl"}, True),
        ({"x-a": ""}, {}, False),
        ({"x-a": ""}, {"x-a": ""}, True),
        ({"x-a": "1", "x-b": "2"}, {"x-a": "1"}, False),
        ({"x-a": "1", "x-b": "2"}, {"x-a": "1", "x-b": "2"}, True),
    ],
    ids=str,
)
def test_headers_are_searched_and_all_must_be_there(
    tmp_path: Path, match: dict[str, str], headers: dict[str, str], *, fires: bool
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(headers=match))
        assert (await faults.decide(call(headers=headers)) is not None) == fires

    play(tmp_path, scenario)


def test_a_body_is_looked_into_as_utf8_and_only_if_a_rule_does(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("a", rule())
        needs_bodies = [faults.needs_bodies]
        await faults.clear()
        await faults.add("b", rule(body_contains="Zoë"))
        needs_bodies.append(faults.needs_bodies)
        assert needs_bodies == [False, True]
        bodies = [b"zoe", "Zoë".encode(), b"\xff" * 3_000_000 + "x Zoë".encode(), "Zoë".encode("latin-1")]
        assert await errors_of(faults, [call(body=body) for body in bodies]) == [None, "broke", "broke", None]

    play(tmp_path, scenario)


def test_a_rule_fires_so_often_and_no_more(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(count=3, every=2))
        assert await firing(faults, call(), 10) == [2, 4, 6]
        assert faults.rules() == {}
        # And nothing is left of it, in memory and in the records.
        assert faults.kept.items() == {}
        await faults.load()
        assert faults.kept.items() == {}

    play(tmp_path, scenario)


def test_a_rule_that_is_over_is_forgotten_by_the_next_call_or_rule(tmp_path: Path) -> None:
    async def scenario(faults: Faults, clock: Clock) -> None:
        await faults.add("looked at", rule(ttl_s=60))
        await faults.add("another's", rule(ttl_s=60, credential="you"))
        clock.advance(60)
        assert faults.rules() == {}
        assert set(faults.kept.items()) == {"looked at", "another's"}  # listing changes nothing
        assert await faults.decide(call()) is None
        assert set(faults.kept.items()) == {"another's"}
        await faults.add("new", rule(ttl_s=60))
        await faults.load()
        assert set(faults.kept.items()) == {"new"}

    play(tmp_path, scenario)


def test_a_rule_that_is_spent_is_kept_no_more(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        for number in range(3):
            await faults.add(f"r{number}", rule(count=1))
        assert await firing(faults, call(), 5) == [1, 2, 3]
        assert faults.kept.items() == {}
        await faults.load()
        assert faults.kept.items() == {}

    play(tmp_path, scenario)


def test_a_credential_that_is_forgotten_is_counted_anew_by_everybodys_rules(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("mine", rule(credential="me", nth=9))
        await faults.add("everybodys", rule(nth=2))
        mine, yours = call(), call(credential="you")
        assert await firing(faults, mine, 3) == [2]
        assert await firing(faults, yours, 1) == []
        await faults.forget("me")
        assert {key: active.seen for key, active in faults.rules().items()} == {"everybodys": {"you": 1}}
        assert await firing(faults, mine, 3) == [2]
        assert await firing(faults, yours, 3) == [1]

    play(tmp_path, scenario)


def test_a_rule_fires_so_often_also_for_calls_at_the_same_moment(tmp_path: Path) -> None:
    """Rules before it that are only counted give other calls time to come between."""

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("never", rule(probability=0.0))
        await faults.add("r", rule(count=3))
        found = await asyncio.gather(*(faults.decide(call(credential=f"c{number}")) for number in range(32)))
        assert sum(injection is not None for injection in found) == 3
        assert sum(faults.rules()["never"].seen.values()) == 32

    play(tmp_path, scenario)


def test_a_rule_that_is_removed_while_a_call_is_decided_stays_removed(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("never", rule(probability=0.0))
        await faults.add("r", rule())
        deciding = asyncio.create_task(faults.decide(call()))
        await asyncio.sleep(0)
        await faults.remove("r")
        assert await deciding is None
        assert list(faults.rules()) == ["never"]
        await faults.load()
        assert list(faults.rules()) == ["never"]

    play(tmp_path, scenario)


def test_a_rule_lives_by_the_clock_of_its_credential(tmp_path: Path) -> None:
    async def scenario(faults: Faults, clock: Clock) -> None:
        await faults.add("mine", rule(credential="me", ttl_s=60))
        await faults.add("everybodys", rule({"error": "lost"}, ttl_s=60))
        clock.advance(59.9)
        assert await errors_of(faults, [call()]) == ["broke"]
        clock.advance(100, "me")
        assert await errors_of(faults, [call()]) == ["lost"]
        assert list(faults.rules()) == ["everybodys"]
        clock.advance(0.1)
        assert await errors_of(faults, [call()]) == [None]
        clock.travel(NOW, "me")
        assert await errors_of(faults, [call()]) == [None]  # what is gone stays gone

    play(tmp_path, scenario)


def test_own_rules_come_first_then_older_ones_and_in_band_before_all(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        effects = {"a": "bad-gateway", "b": "unavailable", "c": "gateway-timeout", "d": "slow"}
        await faults.add("a", rule(effects["a"]))
        await faults.add("b", rule(effects["b"]))
        await faults.add("c", rule(effects["c"], credential="me"))
        await faults.add("d", rule(effects["d"], credential="me"))
        await faults.add("e", rule("truncated", credential="you"))
        header = {"x-emulator-fault": "broke"}
        injection = await faults.decide(call(headers=header))
        assert injection is not None
        assert (injection.effect.error, injection.source) == ("broke", "header")
        for rule_id in ("c", "d", "a", "b"):
            injection = await faults.decide(call())
            assert injection is not None
            assert (injection.effect, injection.source) == (PRESETS[effects[rule_id]], f"rule {rule_id}")
            assert await faults.remove(rule_id)
        assert await faults.decide(call()) is None

    play(tmp_path, scenario)


def test_a_call_counts_for_every_rule_whichever_fires(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("first", rule(nth=1))
        await faults.add("second", rule("lost", nth=2, credential="me"))
        await faults.add("third", rule("slow", every=3, count=1))
        in_band = call(headers={"x-emulator-fault": "broke"})
        calls = [call(), call(), in_band, call(), call(), call()]
        sources = [
            injection and injection.source for injection in [await faults.decide(each) for each in calls]
        ]
        assert sources == ["rule first", "rule second", "header", None, None, "rule third"]
        # Each rule has seen all of them, and one that came too late has not fired.
        assert {name: (sum(each.seen.values()), each.fired) for name, each in faults.rules().items()} == {
            "first": (6, 1),
            "second": (6, 1),
        }

    play(tmp_path, scenario)


def test_in_band_by_header_before_the_reserved_credential(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        async def found(occasion: Occasion) -> tuple[Effect, str] | None:
            injection = await faults.decide(occasion)
            return None if injection is None else (injection.effect, injection.source)

        broke = Effect(error="broke")
        assert await found(call(credential="fault-broke")) == (broke, "credential")
        assert await found(call(credential="fault-broke.anything.else")) == (broke, "credential")
        assert await found(call(credential="fault-slow", headers={"x-emulator-fault": "broke"})) == (
            broke,
            "header",
        )
        assert await found(call(credential=None, headers={"x-emulator-fault": "slow"})) == (
            PRESETS["slow"],
            "header",
        )
        # Where it cannot happen, nothing does; and what is no name is said.
        assert await found(call("create", credential="fault-lost")) is None
        for name in ("shut", "", "nothing"):
            with pytest.raises(UnknownFault, match=rf"error or effect named {name}; there are broke, lost"):
                await faults.decide(call(headers={"x-emulator-fault": name}))
        with pytest.raises(UnknownFault, match="named shut"):
            await faults.decide(call(credential="fault-shut"))

    play(tmp_path, scenario)


def test_in_band_can_be_switched_off(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        for occasion in (call(credential="fault-broke"), call(headers={"x-emulator-fault": "nothing"})):
            assert await faults.decide(occasion) is None
        await faults.add("r", rule(credential="fault-broke"))
        assert await errors_of(faults, [call(credential="fault-broke")]) == ["broke"]

    play(tmp_path, scenario, in_band=False)


@pytest.mark.parametrize(
    ("credential", "reserved"),
    [
        ("fault-x", True),
        ("fault-", True),
        ("fault", False),
        ("my-fault-x", False),
        ("", False),
        (None, False),
    ],
)
def test_reserved_credentials_begin_so(credential: str | None, *, reserved: bool) -> None:
    assert is_reserved(credential) == reserved


@pytest.mark.parametrize(
    ("effect", "happens_at"),
    [
        ("broke", {"create", "check", "upload", None}),
        ("lost", {"check"}),
        ("no_face", {"create"}),
        ("stuck-task", {"create"}),
        ("webhook-lost", {"create", WEBHOOK}),
        ("picture-rotated", {"upload"}),
        ("slow", {"create", "check", "upload", None}),
        ("connection-reset", {"create", "check", "upload", None}),
        ("shut", set()),
        # Of several effects, all must be possible.
        ({"error": "lost", "latency": 1}, {"check"}),
        ({"error": "lost", "webhook": {"lost": True}}, {WEBHOOK}),
        ({"error": "no_face", "webhook": {"lost": True}}, {"create", WEBHOOK}),
        ({"error": "shut", "webhook": {"lost": True}}, {WEBHOOK}),
        ({"latency": 1, "picture": {"blur": 1}}, {"upload"}),
    ],
    ids=str,
)
def test_an_effect_happens_only_where_it_can(
    tmp_path: Path, effect: object, happens_at: set[str | None]
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(effect))
        places = ["create", "check", "upload", None, WEBHOOK]
        assert {place for place in places if await faults.decide(call(place)) is not None} == happens_at
        assert faults.rules()["r"].fired == len(happens_at)

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("unknown", "message"),
    [
        (partial(rule, vendor="nobody"), "no vendor named nobody; there are acme, other"),
        (
            partial(rule, operation="dance"),
            "no operation named dance; there are create, check, upload, call, webhook",
        ),
        (
            partial(rule, vendor="other", operation="check"),
            "no operation named check; there are call, webhook",
        ),
        (
            partial(rule, "oops"),
            "no error or effect named oops; there are broke, lost, no_face, broke, shut, slow",
        ),
        (
            partial(rule, "shut", vendor="acme"),
            "no error or effect named shut; there are broke, lost, no_face, slow",
        ),
        (
            partial(rule, "no-face", vendor="acme"),
            "no error or effect named no-face; do you mean no_face? there are broke, lost, no_face, slow",
        ),
    ],
    ids=range(6),
)
def test_what_is_not_there_is_refused_with_what_is(
    tmp_path: Path, unknown: Callable[[], FaultRule], message: str
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        with pytest.raises(UnknownFault, match=re.escape(message)):
            await faults.add("r", unknown())
        assert faults.rules() == {}

    play(tmp_path, scenario)


NOWHERE = "there is no operation at which all of this effect can happen"


@pytest.mark.parametrize(
    ("effect", "match", "said"),
    [
        ("stuck-task", {"vendor": "other"}, "this effect cannot happen at other, only at create"),
        ("webhook-lost", {"vendor": "other"}, "this effect cannot happen at other, only at create, webhook"),
        ("picture-blurred", {"vendor": "other"}, "this effect cannot happen at other, only at upload"),
        ("stuck-task", {"operation": "check"}, "this effect cannot happen at check, only at create"),
        # Each of the two can happen, and never both.
        ({"task": "stuck", "picture": {"blur": 1}}, {}, NOWHERE),
        (
            {"error": "no_face", "picture": {"blur": 1}},
            {},
            NOWHERE,
        ),
        ({"error": "broke", "task": "stuck"}, {}, NOWHERE),
        (
            {"error": "broke", "picture": {"blur": 1}},
            {"operation": "upload"},
            "this effect cannot happen at upload, and no",
        ),
        (
            {"task": "stuck", "picture": {"blur": 1}},
            {"vendor": "other"},
            "this effect cannot happen at other, and nowhere",
        ),
    ],
    ids=str,
)
def test_a_rule_that_would_never_fire_is_refused_with_where_it_would(
    tmp_path: Path, effect: object, match: dict[str, Any], said: str
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        with pytest.raises(ImpossibleFault, match=said):
            await faults.add("r", rule(effect, **match))
        assert faults.rules() == {}

    play(tmp_path, scenario)


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
"""Every effect, and what it may be."""

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
def test_two_effects_of_which_only_one_would_happen_are_refused(one: str, other: str) -> None:
    members = [part.partition(":")[0] for part in (one, other)]
    effect = dict(zip(members, (PARTS[one], PARTS[other]), strict=True))
    if other in CLASHES.get(one, set()) or one in CLASHES.get(other, set()):
        with pytest.raises(ValidationError, match="do not go together: ") as caught:
            Effect.model_validate(effect)
        named = set(re.findall("`(.*?)`", str(caught.value)))
        assert all(part in named or part.partition(":")[0] in named for part in (one, other))
    else:
        Effect.model_validate(effect)


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
def test_a_rule_that_means_nothing_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FaultRule.model_validate(document)


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
def test_a_drawn_latency_is_never_beyond_the_profile(profile: dict[float, float], chance: float) -> None:
    drawn = Latency(percentiles=profile).drawn(chance)
    assert min(0.0, *profile.values()) <= drawn <= max(profile.values()) * (1 + 1e-12)


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_a_higher_percentile_is_no_quicker(one: float, another: float) -> None:
    latency = Latency(percentiles={50: 0.2, 95: 1.5, 99: 4.0})
    low, high = sorted((one, another))
    assert latency.drawn(low) <= latency.drawn(high)


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
effects = st.one_of(
    st.fixed_dictionaries({}, optional=everywhere | {"proxy_page": st.integers(500, 599)}),
    st.fixed_dictionaries({}, optional=everywhere | {"connection": st.sampled_from(["closed", "reset"])}),
    st.fixed_dictionaries({}, optional=done | {"connection": st.just("answer_lost")}),
    st.fixed_dictionaries(
        {}, optional=said | {"connection": st.just("midway"), "body": st.just("malformed")}
    ),
    st.fixed_dictionaries({}, optional=said | {"body": st.sampled_from(["truncated", "empty"])}),
    st.fixed_dictionaries({}, optional=said | {"body": st.just("malformed"), "drip": drips}),
).filter(lambda effect: effect.keys() - {"places"})
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
def test_a_rule_survives_json(given_rule: FaultRule) -> None:
    document = json.loads(
        json.dumps(given_rule.model_dump(mode="json", exclude_defaults=True), allow_nan=False)
    )
    assert FaultRule.model_validate(document) == given_rule


@pytest.mark.parametrize("name", PRESETS)
def test_a_presets_name_stands_for_it(name: str) -> None:
    assert rule(name).effect == PRESETS[name]


def test_rules_and_their_counts_survive_the_records(tmp_path: Path) -> None:
    profile = {"latency": {"percentiles": {50: 0.2, 99.5: 4}}}

    async def before(faults: Faults, _clock: Clock) -> None:
        await faults.add("z", rule(profile, credential="me", nth=3))
        await faults.add("a", rule("slow", count=2))
        assert await firing(faults, call(), 4) == [1, 2, 3]
        # Two of three calls went past the first rule, the third was its.

    async def after(faults: Faults, _clock: Clock) -> None:
        (active,) = faults.rules().values()
        assert active.rule == rule(profile, credential="me", nth=3)
        assert (active.seen, active.fired, active.added_at) == ({"me": 4}, 1, NOW)

    play(tmp_path, before)
    play(tmp_path, after)


def test_an_injection_says_on_whose_account(tmp_path: Path) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule())
        found = await faults.decide(call())
        assert isinstance(found, Injection)
        assert found.source == "rule r"
        assert 0 <= found.chance < 1

    play(tmp_path, scenario)
