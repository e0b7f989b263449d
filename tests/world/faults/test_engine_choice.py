"""Precedence of faults, and the operations at which a fault can happen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from emulator.clock import Clock
from emulator.world.faults.effects import PRESETS, Effect
from emulator.world.faults.engine import (
    SOURCES,
    Faults,
    ImpossibleFault,
    ImpossibleMatch,
    UnknownFault,
    is_reserved,
)
from emulator.world.faults.rules import FaultRule, FaultTarget
from emulator.world.operation import WEBHOOK

Play = Callable[..., None]


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


def test_in_band_faults_come_first_then_rules_of_the_credential_then_older_rules(play: Play) -> None:
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

    play(scenario)


def test_a_call_is_counted_by_every_matching_rule(play: Play) -> None:
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
        # Each rule counted all six calls. At call 3 the header took precedence over the third rule.
        assert {name: (sum(each.seen.values()), each.fired) for name, each in faults.rules().items()} == {
            "first": (6, 1),
            "second": (6, 1),
        }

    play(scenario)


def test_the_fault_header_takes_precedence_over_a_reserved_credential(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        async def found(target: FaultTarget) -> tuple[Effect, str] | None:
            injection = await faults.decide(target)
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
        # A fault that cannot happen at the operation is ignored; an unknown name is refused.
        assert await found(call("create", credential="fault-lost")) is None
        for name in ("shut", "", "nothing"):
            with pytest.raises(UnknownFault, match=rf"error or effect named {name}; there are broke, lost"):
                await faults.decide(call(headers={"x-emulator-fault": name}))
        with pytest.raises(UnknownFault, match="named shut"):
            await faults.decide(call(credential="fault-shut"))

    play(scenario)


def test_the_engine_can_switch_off_in_band_faults(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        for target in (call(credential="fault-broke"), call(headers={"x-emulator-fault": "nothing"})):
            assert await faults.decide(target) is None
        await faults.add("r", rule(credential="fault-broke"))
        assert await errors_of(faults, [call(credential="fault-broke")]) == ["broke"]

    play(scenario, in_band=False)


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
def test_reserved_credentials_begin_with_fault(credential: str | None, *, reserved: bool) -> None:
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
        # Several effects must all be possible.
        ({"error": "lost", "latency": 1}, {"check"}),
        ({"error": "lost", "webhook": {"lost": True}}, {WEBHOOK}),
        ({"error": "no_face", "webhook": {"lost": True}}, {"create", WEBHOOK}),
        ({"error": "shut", "webhook": {"lost": True}}, {WEBHOOK}),
        ({"latency": 1, "webhook": {}}, {"create"}),
        ({"latency": 1, "picture": {"blur": 1}}, {"upload"}),
    ],
    # Sorted, because the order of a set differs between processes.
    ids=lambda value: str(sorted(map(str, value)) if isinstance(value, set) else value),
)
def test_an_effect_happens_only_at_operations_where_it_can(
    play: Play, effect: object, happens_at: set[str | None]
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        await faults.add("r", rule(effect))
        places = ["create", "check", "upload", None, WEBHOOK]
        assert {place for place in places if await faults.decide(call(place)) is not None} == happens_at
        assert faults.rules()["r"].fired == len(happens_at)

    play(scenario)


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
            "no error or effect named no-face; did you mean no_face? there are broke, lost, no_face, slow",
        ),
    ],
    ids=range(6),
)
def test_an_unknown_name_is_refused_with_the_known_ones(
    play: Play, unknown: Callable[[], FaultRule], message: str
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        with pytest.raises(UnknownFault, match=re.escape(message)):
            faults.check(unknown())

    play(scenario)


NOWHERE = "there is no operation where the whole effect can happen"


@pytest.mark.parametrize(
    ("effect", "match", "said"),
    [
        ("stuck-task", {"vendor": "other"}, "this effect cannot happen at other, only at create"),
        ("webhook-lost", {"vendor": "other"}, "this effect cannot happen at other, only at create, webhook"),
        ("picture-blurred", {"vendor": "other"}, "this effect cannot happen at other, only at upload"),
        ("stuck-task", {"operation": "check"}, "this effect cannot happen at check, only at create"),
        # This effect does nothing to a webhook.
        (
            {"latency": 1, "webhook": {}},
            {"operation": WEBHOOK},
            "this effect cannot happen at webhook, only at create$",
        ),
        # Each of the two can happen, but never both at one operation.
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
            "this effect cannot happen at upload, nor at any other operation",
        ),
        (
            {"task": "stuck", "picture": {"blur": 1}},
            {"vendor": "other"},
            "this effect cannot happen at other, nor at any other operation",
        ),
    ],
    ids=str,
)
def test_a_rule_that_would_never_fire_is_refused_with_the_possible_operations(
    play: Play, effect: object, match: dict[str, Any], said: str
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        with pytest.raises(ImpossibleFault, match=said):
            faults.check(rule(effect, **match))

    play(scenario)


@pytest.mark.parametrize("look", [{"headers": {"x": "."}}, {"body_contains": "x"}], ids=str)
def test_a_rule_that_matches_headers_or_bodies_cannot_match_webhooks(
    play: Play, look: dict[str, Any]
) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        for vendor in (None, "acme", "other"):
            with pytest.raises(ImpossibleMatch, match="cannot match `headers` or `body_contains`"):
                faults.check(rule("webhook-lost", operation=WEBHOOK, vendor=vendor, **look))
        # Such a rule can match the call that creates the task, and only that call.
        faults.check(rule("webhook-lost", **look))
        with pytest.raises(ImpossibleFault, match=r"only at create$"):
            faults.check(rule("webhook-lost", vendor="other", **look))
        only_of_webhooks = {"error": "lost", "webhook": {"lost": True}}
        faults.check(rule(only_of_webhooks))
        with pytest.raises(ImpossibleFault, match=NOWHERE):
            faults.check(rule(only_of_webhooks, **look))

    play(scenario)


def test_faults_are_counted_by_vendor_and_source(play: Play) -> None:
    async def scenario(faults: Faults, _clock: Clock) -> None:
        none = {(vendor, source): 0 for vendor in ("acme", "other") for source in SOURCES}
        assert faults.fired == none
        await faults.add("a", rule("slow", nth=2, vendor="acme"))
        targets = [call(), call(), call(), call(credential="fault-slow.1"), call(credential="fault-slow.2")]
        targets += [call(vendor="other", operation="call", headers={"x-emulator-fault": "slow"})]
        for target in targets:
            await faults.decide(target)
        with pytest.raises(UnknownFault):
            await faults.decide(call(headers={"x-emulator-fault": "nonsense"}))
        await faults.forget(None)
        assert faults.fired == none | {
            ("acme", "rule"): 1,
            ("acme", "credential"): 2,
            ("other", "header"): 1,
        }

    play(scenario)
