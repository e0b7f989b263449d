from __future__ import annotations

import re

import httpx
import pytest
from vendor_data import VENDORS, ledger_of

from emulator.control.ledger import read_facts
from emulator.world.error_catalogue import Mark


@pytest.mark.parametrize("vendor", VENDORS)
def test_it_has_every_marked_row_of_the_contract(client: httpx.Client, vendor: str) -> None:
    text = ledger_of(VENDORS[vendor])
    facts = client.get("/_emulator/ledger", params={"vendor": vendor}).json()
    assert facts
    for mark in Mark:
        expected = len(re.findall(rf"\| {mark} \|", text))
        found = client.get("/_emulator/ledger", params={"vendor": vendor, "mark": mark}).json()
        assert len(found) == expected
        assert found == [fact for fact in facts if fact["mark"] == mark]
    assert all(fact["fact"] and fact["source"] and fact["test"] and fact["section"] for fact in facts)


def test_a_cell_can_contain_an_escaped_line() -> None:
    head = "## Part\n\n| fact | mark | source | test |\n| --- | --- | --- | --- |\n"
    ledger = f"{head}| `a \\| b` | GUESS | c | d |\n"
    (fact,) = read_facts("v", ledger)
    assert (fact.section, fact.fact, fact.mark, fact.source, fact.test) == (
        "Part",
        "`a \\| b`",
        "GUESS",
        "c",
        "d",
    )


def test_a_table_without_marks_has_no_facts() -> None:
    assert list(read_facts("v", "| a | b |\n| --- | --- |\n| GUESS | CONFIRMED |\n")) == []
