"""Counts of billed calls and units, and their cost at the prices in the settings.

The vendors' code decides what is billed and when. The meter has no billing rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, Stateful
from emulator.clock import ALL_CREDENTIALS

KIND = "meter"

UNIT = "unit"
"""Key of the price of one unit in a price table. Some vendors bill units, such as credits, for a call."""


def _amount(value: object) -> object:
    """Convert a float to text, so that the Decimal has the digits as written."""
    return str(value) if isinstance(value, float) else value


class Price(BaseModel):
    """Price of one call or one unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Annotated[Decimal, BeforeValidator(_amount), Field(ge=0, allow_inf_nan=False)]
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="ISO 4217 code.")


PriceTable = Mapping[str, Price]
"""Prices by operation, and the price of a ``unit``."""


@dataclass(frozen=True)
class Reading:
    """The billed calls and units of one operation and one credential.

    Attributes
    ----------
    vendor, operation, credential : str
        Operation and credential of the counted calls. ``credential`` is empty for calls without one.
    calls : int
        Number of calls that are billed and can no longer be voided.
    units : int
        Number of the vendor's units that are billed for these calls.
    authorized : mapping of str to int
        Units of each call that can still be voided, by the item that the call created, such as a task id.
    """

    vendor: str
    operation: str
    credential: str
    calls: int = 0
    units: int = 0
    authorized: Mapping[str, int] = field(default_factory=dict)

    def bill(self, units: int) -> Reading:
        """Return the reading with one more billed call."""
        return replace(self, calls=self.calls + 1, units=self.units + units)

    def authorize(self, item: str, units: int) -> Reading:
        """Return the reading with one more call that can be voided. ``item`` identifies the call."""
        return replace(self, authorized={**self.authorized, item: units})

    def capture(self, item: str) -> Reading:
        """Return the reading with the call of ``item`` billed permanently."""
        return self.void(item).bill(self.authorized[item]) if item in self.authorized else self

    def void(self, item: str) -> Reading:
        """Return the reading without the call of ``item``."""
        left = {other: units for other, units in self.authorized.items() if other != item}
        return replace(self, authorized=left)

    @property
    def all_calls(self) -> int:
        """Number of calls, including those that can still be voided."""
        return self.calls + len(self.authorized)

    @property
    def all_units(self) -> int:
        """Number of units, including those that can still be voided."""
        return self.units + sum(self.authorized.values())


@dataclass(frozen=True)
class Cost:
    """The cost of one operation.

    Attributes
    ----------
    vendor, operation : str
        Names of the vendor and the operation.
    calls, units : int
        Number of billed calls and units.
    amounts : mapping of str to Decimal
        Cost by currency; empty if the settings have no price.
    """

    vendor: str
    operation: str
    calls: int
    units: int
    amounts: Mapping[str, Decimal]


READING = TypeAdapter(Reading)


class Meter(Stateful):
    """The counts of all billed calls and units.

    Parameters
    ----------
    records : Records
        Storage of the counts.
    prices : mapping
        The vendors' price tables, by vendor.
    """

    def __init__(self, records: Records, prices: Mapping[str, PriceTable]) -> None:
        self._cache: RecordCache[Reading] = RecordCache(records, KIND, asdict, READING.validate_python)
        self._prices = prices
        self._since_start: dict[str, Reading] = {}

    async def bill(self, vendor: str, operation: str, credential: str | None, *, units: int = 0) -> None:
        """Count a billed call."""
        await self._change(vendor, operation, credential, lambda reading: reading.bill(units))

    async def authorize(
        self, vendor: str, operation: str, credential: str | None, item: str, *, units: int
    ) -> None:
        """Count a call that is billed unless it is voided. A repeated ``item`` is counted once.

        Afterwards, ``capture`` bills the call permanently, or ``void`` removes it. Both do nothing for an
        item that is completed or unknown.
        """
        await self._change(vendor, operation, credential, lambda reading: reading.authorize(item, units))

    async def capture(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Bill an authorized call permanently."""
        await self._change(vendor, operation, credential, lambda reading: reading.capture(item))

    async def void(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Remove an authorized call from the counts."""
        await self._change(vendor, operation, credential, lambda reading: reading.void(item))

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored counts."""
        return self._cache.checks

    async def load(self) -> None:
        """Read the counts from the records."""
        await self._cache.load()

    async def forget(self, credential: str | None) -> None:
        """Delete the counts of ``credential``, or all counts if it is None."""
        await self._cache.forget(credential)

    def costs(self, credential: str | None = None, *, since_start: bool = False) -> list[Cost]:
        """Return the costs of ``credential``, or of all credentials, sorted by vendor and operation.

        ``since_start`` counts everything since the start of this process, regardless of resets and restores.
        """
        kept = [entry.value for entry in self._cache.items().values()]
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
        whose = credential or ALL_CREDENTIALS
        key = f"{vendor}\n{operation}\n{whose}"
        none = Reading(vendor, operation, whose)
        self._since_start[key] = change(self._since_start.get(key, none))
        before = self._cache.get(key) or none
        after = change(before)
        if after != before:
            await self._cache.put(key, whose, after)

    def _amounts(self, vendor: str, operation: str, calls: int, units: int) -> dict[str, Decimal]:
        table = self._prices.get(vendor, {})
        amounts: dict[str, Decimal] = {}
        for name, count in ((operation, calls), (UNIT, units)):
            price = table.get(name)
            if price is not None and count:
                amounts[price.currency] = amounts.get(price.currency, Decimal(0)) + price.amount * count
        return amounts


def totals(costs: list[Cost]) -> dict[str, Decimal]:
    """Return the sum of all costs, by currency."""
    sums: dict[str, Decimal] = {}
    for cost in costs:
        for currency, amount in cost.amounts.items():
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return dict(sorted(sums.items()))


def plain(amount: Decimal) -> str:
    """Return an amount as text with digits and a point, without an exponent."""
    return f"{amount:f}"


def check_prices(prices: PriceTable, operations: tuple[str, ...]) -> None:
    """Check that each price is for an existing operation or for a unit.

    Raises
    ------
    ValueError
        If a price is for something else.
    """
    known = (*operations, UNIT)
    for name in prices:
        if name not in known:
            raise ValueError(f"prices: there is no operation {name}; there are {', '.join(known)}")


def to_document(cost: Cost) -> dict[str, Any]:
    """Return a cost as a JSON object. Amounts are strings, because JSON parsers may round numbers."""
    amounts = {currency: plain(amount) for currency, amount in cost.amounts.items()}
    return {**asdict(cost), "amounts": amounts}
