from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.world.meter import MOST_OPEN, Cost, Meter, Price, plain, totals

Play = Callable[["Counted"], Coroutine[Any, Any, None]]
PRICES = {"v": {"a": Price(amount=Decimal("0.1")), "unit": Price(amount=Decimal(2), currency="EUR")}}


class Counted:
    """The meter of a test, which writes its changes at once."""

    def __init__(self, records: SqliteRecords) -> None:
        self.records = records
        self.meter = Meter(records, PRICES)
        self.bill, self.forget, self.costs = self.meter.bill, self.meter.forget, self.meter.costs

    async def authorize(self, operation: str, credential: str, item: str, *, units: int) -> None:
        await self.records.write(self.meter.authorizing("v", operation, credential, item, units=units))

    async def capture(self, item: str) -> None:
        await self.records.write(await self.meter.capturing("v", item))

    async def void(self, item: str) -> None:
        await self.records.write(await self.meter.voiding("v", item))

    async def count(self, item: str, *, period: int | None = None) -> int:
        """Count a call with 2 units, and return its period."""
        now = self.meter.period("k") if period is None else period
        await self.records.write(self.meter.counting("v", "a", "k", item, units=2, period=now))
        return now

    async def take_back(self, item: str, period: int) -> None:
        await self.records.write(self.meter.taking_back("v", "a", "k", item, units=2, period=period))


def metered(path: Path, *lives: Play) -> None:
    """Run each life with a new meter and the same records."""

    async def count() -> None:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        try:
            for life in lives:
                meter = Counted(records)
                await meter.meter.load()
                await life(meter)
        finally:
            await records.close()

    asyncio.run(count())


def counted(costs: list[Cost]) -> dict[str, tuple[int, int]]:
    return {cost.operation: (cost.calls, cost.units) for cost in costs}


def test_calls_and_units_are_priced_each_in_its_currency(tmp_path: Path) -> None:
    async def life(meter: Counted) -> None:
        await meter.bill("v", "a", "k", units=3)
        await meter.bill("v", "a", "k")
        await meter.authorize("a", "k", "t", units=0)
        await meter.bill("v", "b", None)
        first, second = await meter.costs()
        assert (first.calls, first.units) == (3, 3)
        assert first.amounts == {"USD": Decimal("0.3"), "EUR": Decimal(6)}
        assert (second.operation, second.amounts) == ("b", {})
        assert totals(await meter.costs()) == {"EUR": Decimal(6), "USD": Decimal("0.3")}
        assert await meter.costs("k") == [first]

    metered(tmp_path, life)


def test_voided_calls_are_not_billed_and_captured_calls_are(tmp_path: Path) -> None:
    async def first(meter: Counted) -> None:
        for item in ("good", "bad", "open"):
            await meter.authorize("a", "k", item, units=2)
        assert counted(await meter.costs()) == {"a": (3, 6)}
        for _ in range(2):
            await meter.capture("good")
            await meter.void("bad")
            await meter.void("never")
        await meter.void("good")
        assert counted(await meter.costs(since_start=True)) == {"a": (2, 4)}

    async def second(meter: Counted) -> None:
        assert counted(await meter.costs()) == {"a": (2, 4)}
        await meter.void("open")
        assert counted(await meter.costs()) == {"a": (1, 2)}
        assert await meter.costs(since_start=True) == []

    metered(tmp_path, first, second)


def test_voiding_a_call_from_before_a_reset_changes_nothing(tmp_path: Path) -> None:
    async def life(meter: Counted) -> None:
        await meter.authorize("a", "k", "before", units=1)
        await meter.forget("k")
        await meter.authorize("a", "k", "after", units=1)
        await meter.void("before")
        assert counted(await meter.costs()) == {"a": (1, 1)}
        assert counted(await meter.costs(since_start=True)) == {"a": (1, 1)}

    metered(tmp_path, life)


def test_a_counted_call_is_taken_back_only_in_its_own_period(tmp_path: Path) -> None:
    async def first(meter: Counted) -> None:
        for item in ("good", "bad", "open"):
            assert await meter.count(item) == 0
        await meter.authorize("a", "k", "other", units=1)
        meter.meter.keep("good")
        await meter.take_back("bad", 0)
        assert counted(await meter.costs()) == counted(await meter.costs(since_start=True)) == {"a": (3, 5)}
        await meter.bill("v", "a", "j")
        await meter.forget("k")
        assert counted(await meter.costs()) == {"a": (1, 0)}
        assert await meter.count("new") == 1
        await meter.take_back("open", 0)
        assert counted(await meter.costs("k")) == {"a": (1, 2)}
        # A snapshot with a negative counter could not be restored.
        assert min(counter.value for counter in await meter.records.counters("meter/")) >= 0

    async def second(meter: Counted) -> None:
        assert counted(await meter.costs("k")) == {"a": (1, 2)}
        await meter.take_back("new", 1)
        assert await meter.costs("k") == []
        await meter.bill("v", "a", "k")
        await meter.forget(None)
        assert await meter.costs() == []
        assert await meter.count("last") == meter.meter.period("j") == 2
        # There is nothing to forget after a reset, so no period ends.
        await meter.records.forget(None)
        await meter.meter.load()
        await meter.forget(None)
        assert await meter.count("first") == 0
        assert counted(await meter.costs()) == {"a": (1, 2)}

    metered(tmp_path, first, second)


def test_costs_since_the_start_include_cleared_calls(tmp_path: Path) -> None:
    async def first(meter: Counted) -> None:
        await meter.bill("v", "a", "k")

    async def second(meter: Counted) -> None:
        await meter.bill("v", "b", "k", units=2)
        await meter.bill("v", "b", "j")
        await meter.forget(None)
        await meter.bill("v", "b", "k")
        assert counted(await meter.costs()) == {"b": (1, 0)}
        assert counted(await meter.costs(since_start=True)) == {"b": (3, 2)}
        assert counted(await meter.costs("j", since_start=True)) == {"b": (1, 0)}

    metered(tmp_path, first, second)


@pytest.mark.parametrize(("given", "text"), [(0.1, "0.1"), ("1E+3", "1000"), ("0.30", "0.30"), (7, "7")])
def test_amounts_are_printed_as_plain_decimals(given: object, text: str) -> None:
    assert plain(Price.model_validate({"amount": given}).amount) == text


def test_authorized_calls_that_another_process_ends_take_a_limited_amount_of_memory(tmp_path: Path) -> None:
    async def life(meter: Counted) -> None:
        calls = range(MOST_OPEN + 3)
        for number in calls:
            meter.meter.authorizing("v", "a", "k", f"t{number}", units=1)
        assert counted(await meter.costs(since_start=True)) == {"a": (len(calls), len(calls))}
        # The first three are forgotten, so they can no longer be subtracted.
        for number in calls:
            meter.meter.forget_item(f"t{number}")
        assert counted(await meter.costs(since_start=True)) == {"a": (3, 3)}

    metered(tmp_path, life)
