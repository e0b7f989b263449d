from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from emulator.backends.records import Record
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.world.faults.engine import Faults, Injection
from emulator.world.faults.rules import FaultRule, FaultTarget

NOW = 1000.0

Play = Callable[..., None]
Scenario = Callable[[Faults, Clock], Awaitable[None]]


def call(
    operation: str | None = "check",
    credential: str | None = "me",
    *,
    vendor: str = "acme",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> FaultTarget:
    return FaultTarget(vendor, operation, credential, headers or {}, body)


def rule(
    effect: object = "broke", *, count: int | None = None, ttl_s: float | None = None, **match: Any
) -> FaultRule:
    return FaultRule.model_validate({"match": match, "effect": effect, "count": count, "ttl_s": ttl_s})


async def errors_of(faults: Faults, targets: list[FaultTarget]) -> list[str | None]:
    """Return the error of each call."""
    injections = [await faults.decide(target) for target in targets]
    return [None if injection is None else injection.effect.error for injection in injections]


async def firing(faults: Faults, target: FaultTarget, calls: int) -> list[int]:
    """Return the numbers of the calls, counted from 1, that get a fault."""
    return [nth for nth in range(1, calls + 1) if await faults.decide(target) is not None]


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
def test_a_rule_fires_by_the_number_of_the_call(
    play: Play, match: dict[str, Any], expected: list[int]
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(**match))
        assert await firing(faults, call(), 9) == expected

    play(scenario)


def test_calls_are_counted_per_credential(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(nth=2))
        calls = [call(credential=name) for name in ("a", "b", "a", "b", "a", None, None)]
        assert await errors_of(faults, calls) == [None, None, "broke", "broke", None, None, "broke"]
        assert faults.rules()["r"].seen == {"a": 3, "b": 2, "": 2}
        assert faults.rules()["r"].fired == 3

    play(scenario)


def test_a_rule_drops_the_count_of_the_least_recently_seen_credential(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.world.faults.rules.MOST_CREDENTIALS", 3)

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

    play(scenario)


def test_only_matching_calls_are_counted(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(operation="check", nth=2))
        calls = [call("check"), call("upload"), call("create"), call("call", vendor="other"), call("check")]
        assert await errors_of(faults, calls) == [None, None, None, None, "broke"]

    play(scenario)


def test_chance_depends_only_on_seed_and_credential(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        drawn = {}
        for name, seed in (("first", 7), ("again", 7), ("other", 8)):
            await faults.remove_all()
            # The rule's id and its position among the rules do not matter.
            await faults.add(f"{name}-before", rule(operation="upload"))
            await faults.add(name, rule(probability=0.5, seed=seed))
            drawn[name] = await firing(faults, call(), 200)
            drawn[name + " you"] = await firing(faults, call(credential="you"), 200)
        assert drawn["first"] == drawn["again"]
        assert drawn["first you"] == drawn["again you"]
        assert len({tuple(calls) for calls in drawn.values()}) == 4

    play(scenario)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.9])
def test_a_rule_fires_as_often_as_its_probability(
    play: Play, probability: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 10_000

    async def replace(_self: object, _kind: str, record: Record, _document: object) -> Record:
        """Store nothing, because ten thousand writes are slow."""
        return record

    monkeypatch.setattr(SqliteRecords, "replace", replace)

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(probability=probability, seed=3))
        fired = len(await firing(faults, call(), calls))
        # Five standard deviations of a binomial: one seed in two million would fail.
        assert abs(fired - calls * probability) < 5 * math.sqrt(calls * probability * (1 - probability))

    play(scenario)


def test_the_latency_is_drawn_uniformly_and_independently_of_the_probability(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def replace(_self: object, _kind: str, record: Record, _document: object) -> Record:
        """Store nothing, because thousands of writes are slow."""
        return record

    monkeypatch.setattr(SqliteRecords, "replace", replace)

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule("slow", probability=0.1))
        injections = [await faults.decide(call()) for _ in range(10_000)]
        chances = sorted(found.chance for found in injections if found is not None)
        # Kolmogorov-Smirnov test: one seed in a thousand would exceed 1.95 / sqrt(n).
        distance = max(abs(chance - index / len(chances)) for index, chance in enumerate(chances))
        assert distance < 1.95 / math.sqrt(len(chances))

    play(scenario)


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
def test_the_patterns_of_all_headers_must_match(
    play: Play, match: dict[str, str], headers: dict[str, str], *, fires: bool
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(headers=match))
        assert (await faults.decide(call(headers=headers)) is not None) == fires

    play(scenario)


def test_bodies_are_matched_as_utf8_and_needed_only_if_a_rule_matches_them(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("a", rule())
        needs_bodies = [faults.needs_bodies]
        await faults.remove_all()
        await faults.add("b", rule(body_contains="Zoë"))
        needs_bodies.append(faults.needs_bodies)
        assert needs_bodies == [False, True]
        bodies = [b"zoe", "Zoë".encode(), b"\xff" * 3_000_000 + "x Zoë".encode(), "Zoë".encode("latin-1")]
        assert await errors_of(faults, [call(body=body) for body in bodies]) == [None, "broke", "broke", None]

    play(scenario)


def test_a_rule_fires_only_as_often_as_its_count(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(count=3, every=2))
        assert await firing(faults, call(), 10) == [2, 4, 6]
        assert faults.rules() == {}

    # Nothing is left of the rule, in the records or in memory.
    play(scenario)
    play(nothing_is_kept_of("r"))
    play(scenario, nothing_is_kept_of("r"))


def nothing_is_kept_of(*rule_ids: str) -> Scenario:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        assert not any([await faults.remove(rule_id) for rule_id in rule_ids])

    return scenario


def test_an_expired_rule_is_removed_by_the_next_call_or_rule(play: Play) -> None:
    async def scenario(faults: Faults, clock: Clock) -> None:
        def kept() -> set[str]:
            """Return the ids of all stored rules, including expired ones, by setting the clock back."""
            now = clock.now()
            clock.travel(NOW)
            found = set(faults.rules())
            clock.travel(now)
            return found

        await faults.add("looked at", rule(ttl_s=60))
        await faults.add("another's", rule(ttl_s=60, credential="you"))
        clock.advance(60)
        assert faults.rules() == {}
        assert kept() == {"looked at", "another's"}  # listing changes nothing
        assert await faults.decide(call()) is None
        assert kept() == {"another's"}
        await faults.add("new", rule(ttl_s=60))
        assert kept() == {"new"}
        await faults.load()
        assert kept() == {"new"}

    play(scenario)


def test_a_rule_is_removed_after_its_count(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        for number in range(3):
            await faults.add(f"r{number}", rule(count=1))
        assert await firing(faults, call(), 5) == [1, 2, 3]

    play(scenario)
    play(nothing_is_kept_of("r0", "r1", "r2"))
    play(scenario, nothing_is_kept_of("r0", "r1", "r2"))


def test_forgetting_a_credential_resets_its_count_in_default_rules(play: Play) -> None:
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

    play(scenario)


def test_concurrent_calls_do_not_exceed_the_count_of_a_rule(play: Play) -> None:
    """The first rule counts each call without firing. Its writes let other calls run at the same time."""

    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("never", rule(probability=0.0))
        await faults.add("r", rule(count=3))
        found = await asyncio.gather(*(faults.decide(call(credential=f"c{number}")) for number in range(32)))
        assert sum(injection is not None for injection in found) == 3
        assert sum(faults.rules()["never"].seen.values()) == 32

    play(scenario)


def test_a_rule_removed_during_a_decision_stays_removed(play: Play) -> None:
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

    play(scenario)


def test_a_rule_expires_by_the_clock_of_its_credential(play: Play) -> None:
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
        assert await errors_of(faults, [call()]) == [None]  # a removed rule does not come back

    play(scenario)


def test_rules_and_their_counts_survive_a_reload(play: Play) -> None:
    profile = {"latency": {"percentiles": {50: 0.2, 99.5: 4}}}

    async def before(faults: Faults, _clock: Clock) -> None:
        await faults.add("z", rule(profile, credential="me", nth=3))
        await faults.add("a", rule("slow", count=2))
        assert await firing(faults, call(), 4) == [1, 2, 3]
        # Rule a fired for calls 1 and 2, and rule z for call 3.

    async def after(faults: Faults, _clock: Clock) -> None:
        (active,) = faults.rules().values()
        assert active.rule == rule(profile, credential="me", nth=3)
        assert (active.seen, active.fired, active.added_at) == ({"me": 4}, 1, NOW)

    play(before)
    play(after)


def test_an_injection_names_its_rule(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule())
        found = await faults.decide(call())
        assert isinstance(found, Injection)
        assert found.source == "rule r"
        assert 0 <= found.chance < 1

    play(scenario)
