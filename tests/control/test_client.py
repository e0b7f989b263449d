"""The control API through its Python client: what it does, and what it says when it does not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import httpx
import pytest
from vendor_data import VENDORS

from emulator.control import Client, ControlError
from emulator.control.scenario import Scenario, shipped_scenarios
from emulator.server import Listening
from emulator.tasks.progression import Mode
from emulator.tasks.task import TaskState
from emulator.world.credentials import CredentialState
from emulator.world.faults.effects import PRESETS, Effect, Latency

TASK = "/s2s/v2.0/task/face-reshape"
COST = "/s2s/v2.0/credit/feature-cost"
NEW_TASK = {
    "src_file_url": "http://127.0.0.1:9/a.jpg",
    "version": "1.0",
    "features": {"jaw": 9},
    "global": {},
}
SHIPPED = shipped_scenarios(list(VENDORS.values()))
NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)

numbers = itertools.count()


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A tester whose credential nobody else has."""
    with Client(server.base_url, f"sk-client-{next(numbers)}") as control:
        yield control
        control.reset()


def call(
    server: Listening, me: Client, method: str = "GET", path: str = COST, **request: Any
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {me.credential}"}
    return httpx.request(method, server.base_url + path, headers=headers, **request)


def refusal(refused: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ControlError) as caught:
        refused()
    assert str(caught.value) == f"{caught.value.detail} (HTTP {caught.value.status})"
    return caught.value.status, caught.value.detail


# --- The clock ---


def test_a_clock_is_everybodys_until_somebody_sets_it(me: Client) -> None:
    before = me.clock()
    assert (before.own, before.frozen) == (False, False)
    assert abs(before.now - time.time()) < 60
    assert datetime.fromisoformat(before.iso).timestamp() == pytest.approx(before.now, abs=1e-5)
    frozen = me.freeze(NEW_YEAR)
    assert (frozen.own, frozen.frozen, frozen.now, frozen.iso) == (
        True, True, NEW_YEAR.timestamp(), "2030-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert me.advance(90.5).now == NEW_YEAR.timestamp() + 90.5
    assert me.travel(NEW_YEAR.timestamp() - 5).now == NEW_YEAR.timestamp() - 5
    running = me.run()
    assert (running.frozen, running.own) == (False, True)
    assert 0 <= running.now - (NEW_YEAR.timestamp() - 5) < 60
    assert me.freeze().now >= running.now
    assert me.clock() == me.clock()
    assert not me.reset_clock().own


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (0.0, 0.0),
        # More seconds than there are milliseconds in a year: still seconds.
        (30_000_000_000.0, 30_000_000_000.0),
        (datetime(2030, 1, 1), NEW_YEAR.timestamp()),  # noqa: DTZ001 - one without a zone
        (NEW_YEAR.astimezone(timezone(timedelta(hours=9))), NEW_YEAR.timestamp()),
    ],
)
def test_a_moment_is_a_number_of_seconds_or_a_date(
    me: Client, moment: datetime | float, seconds: float
) -> None:
    assert me.freeze(moment).now == seconds
    assert me.travel(moment).now == seconds


REACH = "a clock can be set to moments from 1970 to the beginning of 9999"


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("freeze", {"at": -1}, REACH),
        ("freeze", {"at": "9999-12-31T23:59:59-12:00"}, REACH),
        ("freeze", {"at": "0001-01-01T00:00:00+12:00"}, REACH),
        ("travel", {"to": 1e300}, REACH),
        ("travel", {"to": False}, "valid number"),
        ("travel", {}, "required"),
        ("advance", {"seconds": -1}, "greater than or equal to 0"),
        ("advance", {"seconds": True}, "valid number"),
        ("advance", {"seconds": 1, "hours": 1}, "Extra inputs"),
        (
            "advance",
            {"seconds": 253370764800},
            "a clock goes no further than to the beginning of the year 9999",
        ),
    ],
    ids=str,
)
def test_a_clock_goes_nowhere_else(
    client: httpx.Client, me: Client, path: str, body: dict[str, Any], said: str
) -> None:
    answer = client.post(f"/_emulator/clock/{path}", json=body, params={"credential": me.credential})
    assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert not me.clock().own


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused_and_no_defect(client: httpx.Client, me: Client, number: str) -> None:
    params = {"credential": me.credential}
    for path, body in (("advance", '{"seconds": %s}'), ("travel", '{"to": %s}'), ("freeze", '{"at": %s}')):
        answer = client.post(f"/_emulator/clock/{path}", content=body % number, params=params)
        assert answer.status_code == 422
    body = '{"effect": "slow", "ttl_s": %s}'
    assert client.post("/_emulator/faults", content=body % number).status_code == 422


# --- Faults ---


def test_a_fault_is_its_credentials_and_is_listed_with_what_became_of_it(
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


def test_faults_are_listed_the_oldest_first_and_removed_one_by_one_or_all(me: Client) -> None:
    effects: list[str | Effect | dict[str, Any]] = [
        "slow",
        Effect(latency=Latency(seconds=1)),
        {"proxy_page": 502},
    ]
    added = [me.add_fault(effect) for effect in effects]
    assert me.faults() == added
    me.remove_fault(added[1].id)
    assert me.faults() == [added[0], added[2]]
    assert refusal(lambda: me.remove_fault(added[1].id)) == (
        404, f"there is no rule {added[1].id}, or not any more; GET /_emulator/faults lists them",
    )  # fmt: skip
    me.forget_faults()
    assert me.faults() == []


def test_a_fault_lasts_as_long_as_its_block(server: Listening, me: Client) -> None:
    with me.fault("unavailable") as rule:
        assert call(server, me).status_code == 503
        assert [found.id for found in me.faults()] == [rule.id]
    assert call(server, me).status_code == 200
    with me.fault("unavailable") as rule:
        me.remove_fault(rule.id)  # which the block's end does not mind


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
            "there is no operation at which all of this effect can happen",
        ),
        ({"effect": "oops"}, "there is no error or effect named oops; there are REQUEST_ENTITY_TOO_LARGE"),
        (
            {"effect": "slow", "vendor": "x"},
            "there is no vendor named x; there are faceplusplus, metahuman, perfectcorp",
        ),
        ({"effect": "slow", "operation": "x"}, "there is no operation named x; there are 3dface, token"),
        (
            {"effect": "error_no_face", "vendor": "metahuman"},
            "there is no error or effect named error_no_face",
        ),
    ],
    ids=str,
)
def test_a_fault_that_cannot_be_is_refused_with_what_can(
    me: Client, options: dict[str, Any], said: str
) -> None:
    status, detail = refusal(lambda: me.add_fault(**options))
    assert (status, detail.startswith(said)) == (422, True), detail
    assert me.faults() == []


def test_what_is_wrong_with_a_rule_is_said_by_its_place(client: httpx.Client) -> None:
    answer = client.post("/_emulator/faults", json={"effect": {}, "match": {"headers": {"x": "("}}})
    found = {".".join(map(str, item["loc"])): item["msg"] for item in answer.json()["detail"]}
    assert answer.status_code == 422
    assert found["body.effect"] == "Value error, the effect does nothing"
    assert found["body.match.headers.x"].startswith("Value error, '(' is no regular expression")
    for text in (b'{"effect": "\\ud800"}', b'{"effect": "slow", "scenario": "\\udfff"}', b"[", b"null"):
        assert client.post("/_emulator/faults", content=text).status_code == 422


def test_an_id_that_is_left_out_removes_nothing(client: httpx.Client, me: Client) -> None:
    rule = me.add_fault("slow", nth=99)
    answer = client.delete("/_emulator/faults/", follow_redirects=True)
    assert (answer.status_code, [each.id for each in me.faults()]) == (404, [rule.id])
    with pytest.raises(ControlError):
        me.remove_fault("")


def test_a_place_of_a_text_may_have_any_name(server: Listening, me: Client) -> None:
    me.add_fault({"error": "TooManyRequests", "places": {"self": "x", "entry": "y"}}, count=1)
    assert call(server, me).status_code == 429


def test_operations_and_effects_are_listed(client: httpx.Client) -> None:
    operations = client.get("/_emulator/operations").json()
    assert operations["metahuman"] == {
        "operations": ["token", "run_pipeline", "static"],
        "creating_tasks": [],
        "taking_pictures": ["run_pipeline"],
        "billed": ["run_pipeline"],
    }
    assert operations["perfectcorp"]["operations"][-1] == "webhook"
    assert operations["perfectcorp"]["creating_tasks"] == ["create_reshape", "create_pre_process"]
    effects = client.get("/_emulator/effects").json()
    assert {name: Effect.model_validate(effect) for name, effect in effects.items()} == dict(PRESETS)


# --- Scenarios ---


def test_a_scenario_that_comes_along_is_loaded_for_one_and_unloaded(server: Listening, me: Client) -> None:
    loaded = me.load_scenario("rate-limited")
    assert [found.id for found in me.faults()] == [rule.id for rule in loaded.rules]
    assert {rule.rule["scenario"] for rule in loaded.rules} == {"rate-limited"}
    assert {rule.rule["match"]["credential"] for rule in loaded.rules} == {me.credential}
    assert [call(server, me).status_code for _ in range(4)] == [200, 429, 200, 429]
    again = me.load_scenario("rate-limited")
    assert len(me.faults()) == len(again.rules)
    me.unload_scenario("rate-limited")
    assert me.faults() == []
    assert refusal(lambda: me.unload_scenario("rate-limited")) == (
        404, "no rule of a scenario rate-limited is active",
    )  # fmt: skip


def test_a_scenario_that_is_loaded_many_times_at_once_has_its_rules_once(me: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        loaded = list(pool.map(lambda _: me.load_scenario("rate-limited"), range(16)))
    # One of them was the last, and its rules are all that there are.
    assert [found.id for found in me.faults()] in [[rule.id for rule in one.rules] for one in loaded]


def test_ones_own_scenario_sets_everything_for_one(server: Listening, me: Client) -> None:
    document = {
        "name": "mine",
        "progression": {"mode": "after_polls", "polls": 1},
        "credentials": {str(me.credential): "revoked"},
        "rules": [{"match": {"operation": "feature_cost", "nth": 2}, "effect": {"proxy_page": 599}}],
    }
    loaded = me.load_scenario(Scenario.model_validate(document))
    assert loaded.name == "mine"
    assert me.set_progression("real").mode is Mode.REAL
    assert [call(server, me).status_code for _ in range(3)] == [401, 599, 401]


def test_a_scenario_that_names_a_credential_is_replaced_too_when_it_is_loaded_again(
    server: Listening, me: Client
) -> None:
    everybody = Client(server.base_url)
    rules = [{"match": {"credential": me.credential, "nth": 2}, "effect": "slow"}]
    scenario = Scenario.model_validate({"name": f"of-{me.credential}", "rules": rules})
    everybody.load_scenario(scenario)
    again = everybody.load_scenario(scenario)
    assert [rule.id for rule in me.faults()] == [rule.id for rule in again.rules]
    everybody.unload_scenario(scenario.name)
    everybody.close()
    assert me.faults() == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_scenario_that_comes_along_can_be_loaded(me: Client, name: str) -> None:
    loaded = me.load_scenario(name)
    assert len(loaded.rules) == len(SHIPPED[name].rules) == len(me.faults())


def test_an_unknown_scenario_is_refused_and_a_wrong_one_changes_nothing(me: Client) -> None:
    names = ", ".join(SHIPPED)
    assert refusal(lambda: me.load_scenario("chaos")) == (
        404,
        f"there is no scenario chaos; there are {names}",
    )
    wrong = {
        "name": "wrong",
        "progression": {"mode": "manual"},
        "rules": [{"effect": "slow"}, {"effect": "oops"}],
    }
    status, detail = refusal(lambda: me.load_scenario(Scenario.model_validate(wrong)))
    assert (status, "named oops" in detail) == (422, True)
    assert me.faults() == []


def test_a_scenario_can_say_how_long_things_live(me: Client) -> None:
    before = me.lifetimes()
    short = {"name": "short", "lifetimes": {"perfectcorp": {"url_seconds": 60}}}
    me.load_scenario(Scenario.model_validate(short))
    assert me.lifetimes() == {**before, "perfectcorp": {**before["perfectcorp"], "url_seconds": 60}}
    wrong = {"name": "wrong", "lifetimes": {"perfectcorp": {"url_seconds": 0}}, "rules": [{"effect": "slow"}]}
    status, detail = refusal(lambda: me.load_scenario(Scenario.model_validate(wrong)))
    assert (status, detail) == (422, "perfectcorp: url_seconds: Input should be greater than or equal to 1")
    assert me.faults() == []
    assert me.reset_lifetimes() == before


def test_scenarios_are_listed_and_shown(client: httpx.Client) -> None:
    listed = {one["name"]: one["description"] for one in client.get("/_emulator/scenarios").json()}
    core = {"flaky-network", "rate-limited", "out-of-credits", "slow-vendor", "vendor-outage"}
    assert set(listed) == {*core, "full-house"}
    shown = client.get("/_emulator/scenarios/slow-vendor").json()
    assert Scenario.model_validate(shown) == SHIPPED["slow-vendor"]
    assert client.get("/_emulator/scenarios/chaos").status_code == 404


# --- Tasks ---


def create(server: Listening, me: Client) -> str:
    return str(call(server, me, "POST", TASK, json=NEW_TASK).json()["data"]["task_id"])


def polled(server: Listening, me: Client, task_id: str) -> dict[str, Any]:
    data: dict[str, Any] = call(server, me, path=f"{TASK}/{task_id}").json()["data"]
    return data


def test_progression_is_ones_own_and_given_up_again(me: Client) -> None:
    assert me.set_progression("after_polls", polls=3).polls == 3
    assert me.set_progression("after_seconds", seconds=1.5).seconds == 1.5
    assert me.set_progression("manual").mode is Mode.MANUAL
    assert me.reset_progression().mode is Mode.REAL
    for mode, details in (("after_polls", {}), ("manual", {"polls": 3}), ("after_polls", {"polls": -1})):
        assert refusal(partial(me.set_progression, mode, **details))[0] == 422
    assert "goes with the mode" in refusal(lambda: me.set_progression("after_seconds"))[1]


def test_a_task_that_is_ended_by_hand_ends_so(server: Listening, me: Client) -> None:
    me.set_progression("manual")
    as_it_comes, otherwise = create(server, me), create(server, me)
    assert [task.id for task in me.tasks()] == [as_it_comes, otherwise]
    assert {task.credential for task in me.tasks()} == {me.credential}
    deadline = time.monotonic() + 60
    while {task.state for task in me.tasks()} != {TaskState.HELD}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert polled(server, me, as_it_comes)["task_status"] == "running"
    ended = me.finish_task(as_it_comes)
    assert (ended.state, ended.error) == (TaskState.FAILED, "error_download_image")
    assert me.finish_task(otherwise, "error_pose").error == "error_pose"
    assert polled(server, me, otherwise)["error"] == "error_pose"
    assert refusal(lambda: me.finish_task(otherwise)) == (409, f"task {otherwise} has failed already")


def test_a_task_is_ended_only_if_it_is_there_and_with_an_error_of_a_task(
    server: Listening, client: httpx.Client, me: Client
) -> None:
    me.set_progression("manual")
    task_id = create(server, me)
    status, detail = refusal(lambda: me.finish_task(task_id, "TooManyRequests"))
    assert (status, detail.startswith("no task ends with TooManyRequests; there are error_no_face, ")) == (
        422,
        True,
    )
    unknown = "there is no task unknown; GET /_emulator/tasks lists them"
    assert refusal(lambda: me.finish_task("unknown")) == (404, unknown)
    assert client.get("/_emulator/tasks/unknown").json() == {"error": unknown}
    assert client.get(f"/_emulator/tasks/{task_id}").json()["id"] == task_id
    text = b'{"error": "\\ud800"}'
    assert client.post(f"/_emulator/tasks/{task_id}/finish", content=text).status_code == 422


# --- Credentials and the rest ---


def test_a_credential_is_what_it_is_listed_as(server: Listening, client: httpx.Client, me: Client) -> None:
    for state, status in ((CredentialState.REVOKED, 401), (CredentialState.VALID, 200)):
        me.list_credential(str(me.credential), state)
        assert {"credential": me.credential, "state": state} in client.get("/_emulator/credentials").json()
        assert call(server, me).status_code == status
    me.list_credential(str(me.credential), CredentialState.EXPIRED)
    me.reset()
    assert call(server, me).status_code == 200
    assert all(one["credential"] != me.credential for one in client.get("/_emulator/credentials").json())


@pytest.mark.parametrize("path", ["clock", "faults", "progression", "tasks"])
def test_a_credential_without_a_letter_is_refused(client: httpx.Client, path: str) -> None:
    assert client.get(f"/_emulator/{path}", params={"credential": ""}).status_code == 422


def test_an_unknown_path_says_where_the_paths_are(client: httpx.Client) -> None:
    answer = client.get("/_emulator/nothing")
    assert answer.status_code == 404
    assert answer.json()["control"] == "/_emulator/openapi.json"
    with Client(f"{client.base_url}/facepp") as stranger:
        status, reason = refusal(stranger.clock)
        assert (status, reason.endswith("/facepp/_emulator/clock answers as no emulator does")) == (404, True)
