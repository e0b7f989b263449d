from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.web.meter import Meter, Price, plain, totals


def metered(path: Path, *bills: tuple[str, str | None, int, int]) -> Meter:
    """Return a meter that has counted ``bills``: operation, credential, calls and units of each."""
    prices = {"v": {"a": Price(amount=Decimal("0.1")), "unit": Price(amount=Decimal(2), currency="EUR")}}

    async def count() -> Meter:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        meter = Meter(records, prices)
        await meter.kept.load()
        for operation, credential, calls, units in bills:
            await meter.bill("v", operation, credential, calls=calls, units=units)
        again = Meter(records, prices)
        await again.kept.load()
        assert again.costs() == meter.costs()
        await records.close()
        return meter

    return asyncio.run(count())


def test_calls_and_units_are_priced_each_in_its_currency(tmp_path: Path) -> None:
    meter = metered(tmp_path, ("a", "k", 1, 3), ("a", "k", 2, 0), ("b", None, 1, 0))
    first, second = meter.costs()
    assert (first.calls, first.units) == (3, 3)
    assert first.amounts == {"USD": Decimal("0.3"), "EUR": Decimal(6)}
    assert (second.operation, second.amounts) == ("b", {})
    assert totals(meter.costs()) == {"EUR": Decimal(6), "USD": Decimal("0.3")}
    assert meter.costs("k") == [first]


def test_what_is_taken_back_is_not_billed_and_never_owed(tmp_path: Path) -> None:
    assert metered(tmp_path, ("a", "k", 1, 3), ("a", "k", -1, -3)).costs() == []
    assert metered(tmp_path, ("a", "j", -1, -3)).costs() == []


@pytest.mark.parametrize(("given", "text"), [(0.1, "0.1"), ("1E+3", "1000"), ("0.30", "0.30"), (7, "7")])
def test_amounts_are_what_is_written(given: object, text: str) -> None:
    assert plain(Price.model_validate({"amount": given}).amount) == text
