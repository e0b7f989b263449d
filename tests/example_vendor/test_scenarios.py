"""Built-in scenarios with parts from the vendors, and scenarios of a vendor."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import httpx
import pytest
from vendor_data import VENDORS, is_shipped

from emulator.control.scenario_error import ScenarioUnreadable
from emulator.control.scenario_files import shipped_scenarios
from emulator.web.vendor import discover_vendors
from face_api_emulator.client import Client

KEY = {"X-Example-Key": "sk-example"}
COUNT, CROP = "/example/v1/count", "/example/v1/crops/unknown"
SHIPPED = [vendor for vendor in VENDORS.values() if is_shipped(vendor)]
EXAMPLE = VENDORS["example_vendor"]


def rules_of(name: str, *, without_example: bool = False) -> list[tuple[str | None, str | None, int | None]]:
    """Return the vendor, the error and the ``every`` of each rule of a scenario."""
    vendors = SHIPPED if without_example else [*VENDORS.values()]
    rules = shipped_scenarios(vendors)[name].rules
    return [(rule.match.vendor, rule.effect.error, rule.match.every) for rule in rules]


def test_the_core_scenarios_name_no_vendor() -> None:
    for file in resources.files("emulator.control").joinpath("scenarios").iterdir():
        for vendor in VENDORS:
            assert vendor not in file.read_text("utf-8"), file.name


def test_every_vendor_adds_its_rules_in_a_fixed_order() -> None:
    out = [
        ("faceplusplus", "INSUFFICIENT_BALANCE", None),
        ("metahuman", "FAIL_AUTHORIZATION", None),
        ("metahuman", "AUTHORIZATION_FAIL", None),
        ("perfectcorp", "CreditInsufficiency", None),
    ]
    assert rules_of("out-of-credits", without_example=True) == out
    assert rules_of("out-of-credits") == [*out, ("example_vendor", "bad_key", None)]


def test_a_vendor_that_adds_no_rule_gets_the_general_rule() -> None:
    limited = [
        ("faceplusplus", "CONCURRENCY_LIMIT_EXCEEDED", 2),
        ("perfectcorp", "TooManyRequests", 2),
        ("metahuman", None, 2),
    ]
    assert rules_of("rate-limited", without_example=True) == limited
    assert rules_of("rate-limited") == [*limited, ("example_vendor", None, 2)]


def test_a_scenario_of_one_vendor_has_only_its_rules() -> None:
    found = shipped_scenarios([EXAMPLE])
    rules = found["out-of-credits"].rules + found["rate-limited"].rules
    assert [rule.match.vendor for rule in rules] == ["example_vendor"] * 2
    assert found["full-house"].description.startswith("Every picture shows a crowd")


def test_built_in_scenarios_and_those_of_vendors_can_be_loaded(client: httpx.Client, me: Client) -> None:
    me.load_scenario("rate-limited")
    assert [client.get(CROP, headers=KEY).status_code for _ in range(4)] == [410, 503, 410, 503]
    me.unload_scenario("rate-limited")
    loaded = me.load_scenario("full-house")
    assert [rule.rule["match"] for rule in loaded.rules] == [
        {"vendor": "example_vendor", "operation": "count", "credential": "sk-example"}
    ]
    assert client.post(COUNT, headers=KEY).json()["problem"] == "crowd"
    assert me.lifetimes()["example_vendor"] == {"crop_days": 0.04}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '[[rules]]\nmatch = { vendor = "perfectcorp" }\neffect = "slow"',
            "of strange_one, but names another",
        ),
        ("lifetimes.perfectcorp = { url_seconds = 5 }", "it is in the folder of strange_one"),
        ('[[otherwise]]\neffect = "slow"', "Extra inputs are not permitted"),
        ("[[rules]", "cannot be read"),
    ],
)
def test_a_scenario_about_another_vendor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    folder = tmp_path / "strange_one"
    (folder / "scenarios").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from dataclasses import replace\nimport example_vendor\n"
        "original = example_vendor.vendor\n"
        "vendor = replace(original, package=__name__, apis=original.loaded_apis)"
    )
    (folder / "scenarios" / "odd.toml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "strange_one", raising=False)
    with pytest.raises(ScenarioUnreadable, match=reason):
        shipped_scenarios(discover_vendors(["strange_one"]))
