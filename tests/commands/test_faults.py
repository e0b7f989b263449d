from __future__ import annotations

from collections.abc import Callable

import httpx

from face_api_emulator.client import Client


def test_a_fault_is_added_listed_and_removed(
    tell: Callable[..., str], tell_mine: Callable[..., str], me: Client, client: httpx.Client
) -> None:
    rule_id = tell_mine(
        *("faults", "add", "TooManyRequests", "--vendor", "perfectcorp", "--nth", "2"),
        *("--header", "user-agent=httpx"),
    )
    assert me.faults()[0].rule == {
        "match": {
            "vendor": "perfectcorp",
            "credential": me.credential,
            "nth": 2,
            "headers": {"user-agent": "httpx"},
        },
        "effect": {"error": "TooManyRequests"},
    }
    headers = {"Authorization": f"Bearer {me.credential}"}
    statuses = [client.get("/s2s/v1.0/client/credit", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 429, 200]
    assert tell_mine("faults", "list").startswith(f"{rule_id}  fired 1 of 3  {{")
    tell("faults", "remove", rule_id)
    assert me.faults() == []


def test_an_effect_may_be_json(tell_mine: Callable[..., str], me: Client) -> None:
    tell_mine("faults", "add", '{"proxy_page": 503, "latency": 0.5}')
    assert me.faults()[0].rule["effect"] == {"proxy_page": 503, "latency": {"seconds": 0.5}}
    tell_mine("faults", "forget")
    assert me.faults() == []


def test_faults_names_lists_errors_and_effects(tell: Callable[..., str]) -> None:
    said = tell("faults", "names")
    for name in ("connection-reset", "MULTIPLE_FACE_FOUND", "FACE_NOT_FOUND", "error_no_face"):
        assert name in said
