"""What clients are billed for, counted; and what it would have cost by the prices of the settings.

Vendors say what they bill when they bill it: the meter knows calls and units, and no rule of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.clock import EVERYBODY

KIND = "meter"

UNIT = "unit"
"""Under which name a price table says what one unit costs."""


def _amount(value: object) -> object:
    """Return a float as it is written: nobody means its binary digits."""
    return str(value) if isinstance(value, float) else value


class Price(BaseModel):
    """What one call, or one unit, costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Annotated[Decimal, BeforeValidator(_amount), Field(ge=0, allow_inf_nan=False)]
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="ISO 4217.")


PriceTable = Mapping[str, Price]
"""Prices by operation, and of a ``unit``."""


@dataclass(frozen=True)
class Reading:
    """What one credential is billed for of one operation.

    Attributes
    ----------
    vendor, operation, credential : str
        Whose, of what; an empty credential is nobody's.
    calls : int
        How often it is billed.
    units : int
        How many of the vendor's units that took.
    """

    vendor: str
    operation: str
    credential: str
    calls: int = 0
    units: int = 0


@dataclass(frozen=True)
class Cost:
    """What one operation would have cost.

    Attributes
    ----------
    vendor, operation : str
        Of what.
    calls, units : int
        What is billed.
    amounts : mapping of str to Decimal
        Money by currency; empty where the settings have no price.
    """

    vendor: str
    operation: str
    calls: int
    units: int
    amounts: Mapping[str, Decimal]


READING = TypeAdapter(Reading)


class Meter:
    """Counts what is billed.

    Parameters
    ----------
    records : Records
        Where the counts survive, if records do.
    prices : mapping
        The vendors' price tables, by vendor.
    """

    def __init__(self, records: Records, prices: Mapping[str, PriceTable]) -> None:
        self.kept: Kept[Reading] = Kept(records, KIND, asdict, READING.validate_python)
        self._prices = prices

    async def bill(
        self, vendor: str, operation: str, credential: str | None, *, calls: int = 1, units: int = 0
    ) -> None:
        """Count a call that is billed; with negative numbers, take back one that is not after all."""
        whose = credential or EVERYBODY
        key = f"{vendor}\n{operation}\n{whose}"
        before = self.kept.get(key) or Reading(vendor, operation, whose)
        # Taken back after a reset, what was never counted is not owed either.
        after = replace(before, calls=max(before.calls + calls, 0), units=max(before.units + units, 0))
        await self.kept.put(key, whose, after)

    async def clear(self, credential: str | None = None) -> None:
        """Forget the counts of one credential, or all."""
        await self.kept.clear(credential)

    def costs(self, credential: str | None = None) -> list[Cost]:
        """Return what was billed, of one credential or of all, by vendor and operation."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for entry in self.kept.items().values():
            reading = entry.value
            if credential in {None, reading.credential} and (reading.calls or reading.units):
                calls, units = sums.get((reading.vendor, reading.operation), (0, 0))
                counted = (calls + reading.calls, units + reading.units)
                sums[reading.vendor, reading.operation] = counted
        return [
            Cost(vendor, operation, calls, units, self._amounts(vendor, operation, calls, units))
            for (vendor, operation), (calls, units) in sorted(sums.items())
        ]

    def _amounts(self, vendor: str, operation: str, calls: int, units: int) -> dict[str, Decimal]:
        table = self._prices.get(vendor, {})
        amounts: dict[str, Decimal] = {}
        for name, count in ((operation, calls), (UNIT, units)):
            price = table.get(name)
            if price is not None and count:
                amounts[price.currency] = amounts.get(price.currency, Decimal(0)) + price.amount * count
        return amounts


def totals(costs: list[Cost]) -> dict[str, Decimal]:
    """Return the money of all, by currency."""
    sums: dict[str, Decimal] = {}
    for cost in costs:
        for currency, amount in cost.amounts.items():
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return dict(sorted(sums.items()))


def plain(amount: Decimal) -> str:
    """Return an amount as people write it: digits and a point, never an exponent."""
    return f"{amount:f}"


def check_prices(prices: PriceTable, operations: tuple[str, ...]) -> None:
    """Raise unless the prices are of operations that there are.

    Raises
    ------
    ValueError
        If one is not.
    """
    known = (*operations, UNIT)
    for name in prices:
        if name not in known:
            raise ValueError(f"there is no operation {name} to have a price; there are {', '.join(known)}")


def to_document(cost: Cost) -> dict[str, Any]:
    """Return a cost as a JSON object; money is text, which no reader rounds."""
    amounts = {currency: plain(amount) for currency, amount in cost.amounts.items()}
    return {**asdict(cost), "amounts": amounts}
