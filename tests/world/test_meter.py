from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.world.meter import Cost, Meter, Price, plain, totals

Play = Callable[[Meter], Coroutine[Any, Any, None]]
PRICES = {"v": {"a": Price(amount=Decimal("0.1")), "unit": Price(amount=Decimal(2), currency="EUR")}}


def metered(path: Path, *lives: Play) -> Meter:
    """Run each life with a new meter and the same records, and return the last meter."""

    async def count() -> Meter:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        try:
            for life in lives:
                meter = Meter(records, PRICES)
                await meter.load()
                await life(meter)
                again = Meter(records, PRICES)
                await again.load()
                assert again.costs() == meter.costs()
        finally:
            await records.close()
        return meter

    return asyncio.run(count())


def counted(costs: list[Cost]) -> dict[str, tuple[int, int]]:
    return {cost.operation: (cost.calls, cost.units) for cost in costs}


def test_calls_and_units_are_priced_each_in_its_currency(tmp_path: Path) -> None:
    async def life(meter: Meter) -> None:
        await meter.bill("v", "a", "k", units=3)
        await meter.bill("v", "a", "k")
        await meter.authorize("v", "a", "k", "t", units=0)
        await meter.bill("v", "b", None)

    meter = metered(tmp_path, life)
    first, second = meter.costs()
    assert (first.calls, first.units) == (3, 3)
    assert first.amounts == {"USD": Decimal("0.3"), "EUR": Decimal(6)}
    assert (second.operation, second.amounts) == ("b", {})
    assert totals(meter.costs()) == {"EUR": Decimal(6), "USD": Decimal("0.3")}
    assert meter.costs("k") == [first]


def test_voided_calls_are_not_billed_and_captured_calls_are(tmp_path: Path) -> None:
    async def life(meter: Meter) -> None:
        for item in ("good", "bad", "open"):
            await meter.authorize("v", "a", "k", item, units=2)
        assert counted(meter.costs()) == {"a": (3, 6)}
        for _ in range(2):
            await meter.capture("v", "a", "k", "good")
            await meter.void("v", "a", "k", "bad")
            await meter.void("v", "a", "k", "never")
        await meter.void("v", "a", "k", "good")

    assert counted(metered(tmp_path, life).costs()) == {"a": (2, 4)}


def test_voiding_a_call_from_before_a_reset_changes_nothing(tmp_path: Path) -> None:
    async def life(meter: Meter) -> None:
        await meter.authorize("v", "a", "k", "before", units=1)
        await meter.forget("k")
        await meter.authorize("v", "a", "k", "after", units=1)
        await meter.void("v", "a", "k", "before")

    meter = metered(tmp_path, life)
    assert counted(meter.costs()) == counted(meter.costs(since_start=True)) == {"a": (1, 1)}


def test_costs_since_the_start_include_cleared_calls(tmp_path: Path) -> None:
    async def first(meter: Meter) -> None:
        await meter.bill("v", "a", "k")

    async def second(meter: Meter) -> None:
        await meter.bill("v", "b", "k", units=2)
        await meter.bill("v", "b", "j")
        await meter.forget(None)
        await meter.bill("v", "b", "k")

    meter = metered(tmp_path, first, second)
    assert counted(meter.costs()) == {"b": (1, 0)}
    assert counted(meter.costs(since_start=True)) == {"b": (3, 2)}
    assert counted(meter.costs("j", since_start=True)) == {"b": (1, 0)}


@pytest.mark.parametrize(("given", "text"), [(0.1, "0.1"), ("1E+3", "1000"), ("0.30", "0.30"), (7, "7")])
def test_amounts_are_printed_as_plain_decimals(given: object, text: str) -> None:
    assert plain(Price.model_validate({"amount": given}).amount) == text
