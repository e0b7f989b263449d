"""Built-in scenarios, and scenarios of a tester."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tester import call, refusal
from vendor_data import VENDORS

from emulator.control.scenario_files import Scenario, shipped_scenarios
from emulator.server import Listening
from face_api_emulator.client import Client
from face_api_emulator.client.models import Mode

SHIPPED = shipped_scenarios(list(VENDORS.values()))


def test_a_shipped_scenario_is_loaded_for_one_credential_and_unloaded(server: Listening, me: Client) -> None:
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
        404, "no rule of the scenario rate-limited is active; GET /_emulator/faults lists the rules",
    )  # fmt: skip


def test_concurrent_loads_of_a_scenario_leave_its_rules_once(me: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        loaded = list(pool.map(lambda _: me.load_scenario("rate-limited"), range(16)))
    # The rules of the last load are the only ones.
    assert [found.id for found in me.faults()] in [[rule.id for rule in one.rules] for one in loaded]


def test_a_testers_own_scenario_sets_rules_credentials_and_progression(server: Listening, me: Client) -> None:
    document = {
        "name": "mine",
        "progression": {"mode": "after_polls", "polls": 1},
        "credentials": {str(me.credential): "revoked"},
        "rules": [{"match": {"operation": "feature_cost", "nth": 2}, "effect": {"proxy_page": 599}}],
    }
    loaded = me.load_scenario(document)
    assert loaded.name == "mine"
    assert me.set_progression("real").mode == Mode.REAL
    assert [call(server, me).status_code for _ in range(3)] == [401, 599, 401]


def test_loading_a_scenario_again_also_replaces_rules_that_name_a_credential(
    server: Listening, me: Client
) -> None:
    everybody = Client(server.base_url)
    rules = [{"match": {"credential": me.credential, "nth": 2}, "effect": "slow"}]
    scenario = {"name": f"of-{me.credential}", "rules": rules}
    everybody.load_scenario(scenario)
    again = everybody.load_scenario(scenario)
    assert [rule.id for rule in me.faults()] == [rule.id for rule in again.rules]
    everybody.unload_scenario(f"of-{me.credential}")
    everybody.close()
    assert me.faults() == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_scenario_can_be_loaded(me: Client, name: str) -> None:
    loaded = me.load_scenario(name)
    assert len(loaded.rules) == len(SHIPPED[name].rules) == len(me.faults())


def test_an_unknown_scenario_is_refused_and_an_invalid_one_changes_nothing(me: Client) -> None:
    names = ", ".join(SHIPPED)
    assert refusal(lambda: me.load_scenario("chaos")) == (
        404,
        f"there is no built-in scenario chaos; choose one of {names}",
    )
    wrong = {
        "name": "wrong",
        "progression": {"mode": "manual"},
        "rules": [{"effect": "slow"}, {"effect": "oops"}],
    }
    status, detail = refusal(lambda: me.load_scenario(wrong))
    assert (status, "named oops" in detail) == (422, True)
    assert me.faults() == []


def test_a_scenario_is_loaded_from_a_file(me: Client, client: httpx.Client, tmp_path: Path) -> None:
    files = {"monday.yaml": "rules: [{effect: slow}]", "monday.toml": 'rules = [{effect = "slow"}]'}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert [rule.rule["scenario"] for rule in me.load_scenario(tmp_path / name).rules] == ["monday"]
    (tmp_path / "wrong.toml").write_text("rules = 3")
    status, detail = refusal(lambda: me.load_scenario(tmp_path / "wrong.toml"))
    assert status == 422
    assert detail.startswith(
        "the scenario wrong.toml cannot be read: 1 validation error for Scenario\nrules\n"
    )
    answer = client.post("/_emulator/scenario-files/monday.json", content=b"{}")
    assert (answer.status_code, answer.json()["error"]) == (
        422, "file_name: must end in .toml, .yaml or .yml",
    )  # fmt: skip
    answer = client.post("/_emulator/scenario-files/monday.toml", content=b"\xff")
    assert (answer.status_code, answer.json()["error"]) == (
        422, "the scenario monday.toml cannot be read: it is not UTF-8",
    )  # fmt: skip


def test_a_scenario_can_set_lifetimes(me: Client) -> None:
    before = me.lifetimes()
    short = {"name": "short", "lifetimes": {"perfectcorp": {"url_seconds": 60}}}
    me.load_scenario(short)
    assert me.lifetimes() == {**before, "perfectcorp": {**before["perfectcorp"], "url_seconds": 60}}
    wrong = {"name": "wrong", "lifetimes": {"perfectcorp": {"url_seconds": 0}}, "rules": [{"effect": "slow"}]}
    status, detail = refusal(lambda: me.load_scenario(wrong))
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
