"""What clients are billed for, counted; and what it would have cost by the prices of the settings.

Vendors say what they bill when they bill it: the meter knows calls and units, and no rule of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.backends.stateful import Check, Stateful
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
    authorized : mapping of str to int
        Calls that may still turn out not to be billed, by what they began, with the units of each.
    """

    vendor: str
    operation: str
    credential: str
    calls: int = 0
    units: int = 0
    authorized: Mapping[str, int] = field(default_factory=dict)

    def bill(self, units: int) -> Reading:
        """Return the reading after one more call."""
        return replace(self, calls=self.calls + 1, units=self.units + units)

    def authorize(self, item: str, units: int) -> Reading:
        """Return the reading after one more call, that can be taken back by ``item``."""
        return replace(self, authorized={**self.authorized, item: units})

    def capture(self, item: str) -> Reading:
        """Return the reading once ``item`` cannot be taken back any more."""
        return self.void(item).bill(self.authorized[item]) if item in self.authorized else self

    def void(self, item: str) -> Reading:
        """Return the reading without the call that is known by ``item``."""
        left = {other: units for other, units in self.authorized.items() if other != item}
        return replace(self, authorized=left)

    @property
    def all_calls(self) -> int:
        """How often it is billed as things stand."""
        return self.calls + len(self.authorized)

    @property
    def all_units(self) -> int:
        """How many units it is billed for as things stand."""
        return self.units + sum(self.authorized.values())


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


class Meter(Stateful):
    """Counts what is billed.

    Parameters
    ----------
    records : Records
        Where the counts survive, if records do.
    prices : mapping
        The vendors' price tables, by vendor.
    """

    def __init__(self, records: Records, prices: Mapping[str, PriceTable]) -> None:
        self._kept: Kept[Reading] = Kept(records, KIND, asdict, READING.validate_python)
        self._prices = prices
        self._since_start: dict[str, Reading] = {}

    async def bill(self, vendor: str, operation: str, credential: str | None, *, units: int = 0) -> None:
        """Count a call that is billed."""
        await self._change(vendor, operation, credential, lambda reading: reading.bill(units))

    async def authorize(
        self, vendor: str, operation: str, credential: str | None, item: str, *, units: int
    ) -> None:
        """Count a call that is billed unless it is taken back; the same ``item`` counts once.

        It ends with ``capture`` or ``void``, of which each may come again, or for an item that was never
        counted or is forgotten by now: then it does nothing.
        """
        await self._change(vendor, operation, credential, lambda reading: reading.authorize(item, units))

    async def capture(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Bill for good what was authorized."""
        await self._change(vendor, operation, credential, lambda reading: reading.capture(item))

    async def void(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Take back what was authorized."""
        await self._change(vendor, operation, credential, lambda reading: reading.void(item))

    @property
    def checks(self) -> Mapping[str, Check]:
        """A recorded reading has to be one."""
        return self._kept.checks

    async def load(self) -> None:
        """Read the counts from the records."""
        await self._kept.load()

    async def forget(self, credential: str | None) -> None:
        """Forget the counts of one credential, or all."""
        await self._kept.forget(credential)

    def costs(self, credential: str | None = None, *, since_start: bool = False) -> list[Cost]:
        """Return what was billed, of one credential or of all, by vendor and operation.

        ``since_start`` counts from the start of this process, whatever was cleared or restored meanwhile.
        """
        kept = [entry.value for entry in self._kept.items().values()]
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for reading in self._since_start.values() if since_start else kept:
            if credential in {None, reading.credential} and (reading.all_calls or reading.all_units):
                calls, units = sums.get((reading.vendor, reading.operation), (0, 0))
                counted = (calls + reading.all_calls, units + reading.all_units)
                sums[reading.vendor, reading.operation] = counted
        return [
            Cost(vendor, operation, calls, units, self._amounts(vendor, operation, calls, units))
            for (vendor, operation), (calls, units) in sorted(sums.items())
        ]

    async def _change(
        self, vendor: str, operation: str, credential: str | None, change: Callable[[Reading], Reading]
    ) -> None:
        whose = credential or EVERYBODY
        key = f"{vendor}\n{operation}\n{whose}"
        none = Reading(vendor, operation, whose)
        self._since_start[key] = change(self._since_start.get(key, none))
        before = self._kept.get(key) or none
        after = change(before)
        if after != before:
            await self._kept.put(key, whose, after)

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
