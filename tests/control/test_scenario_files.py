from __future__ import annotations

from pathlib import Path

import pytest
from vendor_data import VENDORS

from emulator.control.scenario_error import ScenarioUnreadable
from emulator.control.scenario_files import (
    Scenario,
    find_scenario,
    parse_scenario,
    read_scenario,
    shipped_scenarios,
)

ALL_VENDORS = list(VENDORS.values())
TEXTS = {
    "monday.toml": 'description = "Slow"\nrules = [{effect = "slow"}]',
    "monday.yaml": "description: Slow\nrules: [{effect: slow}]",
    "monday.yml": "description: Slow\nrules: [{effect: slow}]",
}
MONDAY = Scenario.model_validate({"name": "monday", "description": "Slow", "rules": [{"effect": "slow"}]})


@pytest.mark.parametrize("name", TEXTS)
def test_the_suffix_decides_the_format_and_the_file_name_is_the_default_name(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    assert parse_scenario(name, TEXTS[name]) == MONDAY
    assert read_scenario(tmp_path / name) == MONDAY
    assert find_scenario(str(tmp_path / name), ALL_VENDORS) == MONDAY


def test_a_name_in_the_file_wins() -> None:
    assert parse_scenario("monday.toml", 'name = "tuesday"') == Scenario(name="tuesday")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.toml", "rules =", "Invalid value"),
        ("a.yaml", "rules: [", "expected the node content"),
        ("a.yaml", "[]", "it must have members such as `description` and `rules` at its top level"),
        ("a.yaml", "", "it must have members such as `description` and `rules` at its top level"),
        ("a.toml", "rules = 3", "1 validation error for Scenario\nrules\n"),
        ("a.toml", "more = 3", "1 validation error for Scenario\nmore\n"),
        ("a b.toml", "", "1 validation error for Scenario\nname\n"),
    ],
)
def test_invalid_texts_are_refused_with_the_reason(name: str, text: str, reason: str) -> None:
    with pytest.raises(ScenarioUnreadable) as raised:
        parse_scenario(name, text)
    assert str(raised.value).startswith(f"the scenario {name} cannot be read: ")
    assert reason in raised.value.reason


def test_files_that_cannot_be_read_are_refused_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    for path, reason in (
        (tmp_path / "absent.toml", "No such file"),
        (tmp_path / "bytes.toml", "can't decode"),
    ):
        with pytest.raises(ScenarioUnreadable, match=reason) as raised:
            read_scenario(path)
        assert raised.value.name == str(path)


def test_a_scenario_is_found_by_the_name_of_a_built_in_one() -> None:
    shipped = shipped_scenarios(ALL_VENDORS)
    assert {name: find_scenario(name, ALL_VENDORS) for name in shipped} == shipped
    with pytest.raises(ScenarioUnreadable) as raised:
        find_scenario("chaos", ALL_VENDORS)
    assert raised.value.reason == (
        f"choose one of {', '.join(shipped)}, or a file that ends in .toml or .yaml or .yml"
    )
