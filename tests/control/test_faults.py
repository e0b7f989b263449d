"""Fault rules: adding, listing, removing, and refused rules."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tester import COST, call, refusal

from emulator.server import Listening
from emulator.world.faults.effects import PRESETS, Effect
from face_api_emulator.client import Client, ControlError


def test_a_fault_applies_to_its_credential_and_is_removed_after_its_count(
    server: Listening, me: Client
) -> None:
    added = me.add_fault("TooManyRequests", operation="feature_cost", every=2, count=2, ttl_s=60)
    assert added.rule == {
        "match": {"operation": "feature_cost", "credential": me.credential, "every": 2},
        "effect": {"error": "TooManyRequests"},
        "count": 2,
        "ttl_s": 60.0,
    }
    assert [call(server, me).status_code for _ in range(5)] == [200, 429, 200, 429, 200]
    assert me.faults() == []
    with Client(server.base_url, "sk-client-other") as other:
        assert other.faults() == []
        assert httpx.get(
            server.base_url + COST, headers={"Authorization": "Bearer sk-client-other"}
        ).is_success


def test_faults_are_listed_oldest_first_and_removed_singly_or_all_together(me: Client) -> None:
    effects: list[str | dict[str, Any]] = [
        "slow",
        {"latency": {"seconds": 1}},
        {"proxy_page": 502},
    ]
    added = [me.add_fault(effect) for effect in effects]
    assert me.faults() == added
    me.remove_fault(added[1].id)
    assert me.faults() == [added[0], added[2]]
    assert refusal(lambda: me.remove_fault(added[1].id)) == (
        404, f"there is no active rule {added[1].id}; GET /_emulator/faults lists the active rules",
    )  # fmt: skip
    me.forget_faults()
    assert me.faults() == []


def test_a_fault_lasts_as_long_as_its_with_block(server: Listening, me: Client) -> None:
    with me.fault("unavailable") as rule:
        assert call(server, me).status_code == 503
        assert [found.id for found in me.faults()] == [rule.id]
    assert call(server, me).status_code == 200
    with me.fault("unavailable") as rule:
        me.remove_fault(rule.id)  # the end of the block accepts this


def test_a_fault_expires_by_the_clock_of_its_credential(server: Listening, me: Client) -> None:
    me.freeze()
    me.add_fault("unavailable", ttl_s=3600)
    me.advance(3599)
    assert call(server, me).status_code == 503
    me.advance(1)
    assert call(server, me).status_code == 200
    assert me.faults() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"effect": "webhook-lost", "operation": "credit"},
            "this effect cannot happen at credit, only at create_reshape, create_pre_process, webhook",
        ),
        (
            {"effect": "error_pose", "operation": "check_reshape"},
            "this effect cannot happen at check_reshape, only at create_reshape, create_pre_process",
        ),
        (
            {"effect": "slow", "operation": "webhook"},
            "this effect cannot happen at webhook, only at 3dface",
        ),
        (
            {
                "effect": {"error": "error_pose", "picture": {"blur": 2}, "webhook": {"lost": True}},
                "vendor": "metahuman",
                "operation": "run_pipeline",
            },
            "there is no error or effect named error_pose",
        ),
        (
            {"effect": "stuck-task", "vendor": "faceplusplus"},
            "this effect cannot happen at faceplusplus, only at create_reshape, create_pre_process",
        ),
        (
            {"effect": "webhook-lost", "vendor": "metahuman"},
            "this effect cannot happen at metahuman, only at create_reshape, create_pre_process, webhook",
        ),
        (
            {"effect": {"task": "stuck", "picture": {"blur": 2}}},
            "there is no operation where the whole effect can happen",
        ),
        ({"effect": "oops"}, "there is no error or effect named oops; there are REQUEST_ENTITY_TOO_LARGE"),
        (
            {"effect": "slow", "vendor": "x"},
            "there is no vendor named x; there are faceplusplus, metahuman, perfectcorp",
        ),
        ({"effect": "slow", "operation": "x"}, "there is no operation named x; there are 3dface, "),
        (
            {"effect": "error_no_face", "vendor": "metahuman"},
            "there is no error or effect named error_no_face",
        ),
    ],
    ids=str,
)
def test_an_impossible_fault_is_refused_with_the_possible_values(
    me: Client, options: dict[str, Any], said: str
) -> None:
    status, detail = refusal(lambda: me.add_fault(**options))
    assert (status, detail.startswith(said)) == (422, True), detail
    assert me.faults() == []


def test_an_invalid_rule_is_refused_with_the_place_of_each_error(client: httpx.Client) -> None:
    answer = client.post("/_emulator/faults", json={"effect": {}, "match": {"headers": {"x": "("}}})
    found = {".".join(map(str, item["loc"])): item["msg"] for item in answer.json()["detail"]}
    assert answer.status_code == 422
    assert found["body.effect"] == "Value error, the effect does nothing"
    assert found["body.match.headers.x"].startswith("Value error, '(' is not a valid regular expression")
    for text in (b'{"effect": "\\ud800"}', b'{"effect": "slow", "scenario": "\\udfff"}', b"[", b"null"):
        assert client.post("/_emulator/faults", content=text).status_code == 422


def test_an_omitted_id_removes_no_rule(client: httpx.Client, me: Client) -> None:
    rule = me.add_fault("slow", nth=99)
    answer = client.delete("/_emulator/faults/", follow_redirects=True)
    assert (answer.status_code, [each.id for each in me.faults()]) == (404, [rule.id])
    with pytest.raises(ControlError):
        me.remove_fault("")


def test_a_placeholder_of_an_error_text_may_have_any_name(server: Listening, me: Client) -> None:
    me.add_fault({"error": "TooManyRequests", "places": {"self": "x", "entry": "y"}}, count=1)
    assert call(server, me).status_code == 429


def test_effects_are_listed(client: httpx.Client) -> None:
    effects = client.get("/_emulator/effects").json()
    assert {name: Effect.model_validate(effect) for name, effect in effects.items()} == dict(PRESETS)
