"""Counts of the calls and units that a vendor would bill, and their cost at the prices in the settings.

A unit is a vendor's currency, such as a credit. The vendors' code decides what is billed and when. The meter
has no billing rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from emulator.backends.records import Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import Check, EntryCheck, Stateful, Stored, require, strictly
from emulator.clock import ALL_CREDENTIALS, Count

KIND = "meter"

UNIT = "unit"
"""Key of the price of one unit in a price table. A unit is a vendor's currency, such as a credit."""


def _amount(value: object) -> object:
    """Convert a float to text, because ``Decimal(0.1)`` has the digits of the float's rounding error."""
    return str(value) if isinstance(value, float) else value


class Price(BaseModel):
    """Price of one call or one unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Annotated[Decimal, BeforeValidator(_amount), Field(ge=0, allow_inf_nan=False)]
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="ISO 4217 code.")


PriceTable = Mapping[str, Price]
"""Price of a call, by operation. The key ``unit`` has the price of one unit."""


@dataclass(frozen=True)
class Usage:
    """The counts of one operation and one credential.

    A call that creates a task is first authorized. At the end of the task, the call is billed or voided. A
    voided call costs nothing.

    Attributes
    ----------
    vendor, operation, credential : str
        Operation and credential of the counted calls. ``credential`` is empty for calls without one.
    calls : int
        Number of billed calls.
    units : int
        Number of the vendor's units that these calls cost.
    authorized : mapping of str to int
        Units of each authorized call, by the item that the call created, such as a task id.
    """

    vendor: str
    operation: str
    credential: str
    calls: Count = 0
    units: Count = 0
    authorized: Mapping[str, Count] = field(default_factory=dict)

    def bill(self, units: int) -> Usage:
        """Return the usage with one more billed call."""
        return replace(self, calls=self.calls + 1, units=self.units + units)

    def authorize(self, item: str, units: int) -> Usage:
        """Return the usage with one more authorized call. ``item`` is what the call created."""
        return replace(self, authorized={**self.authorized, item: units})

    def capture(self, item: str) -> Usage:
        """Return the usage with the authorized call of ``item`` billed."""
        return self.void(item).bill(self.authorized[item]) if item in self.authorized else self

    def void(self, item: str) -> Usage:
        """Return the usage without the authorized call of ``item``."""
        left = {other: units for other, units in self.authorized.items() if other != item}
        return replace(self, authorized=left)

    @property
    def all_calls(self) -> int:
        """Number of billed calls, plus number of calls that are authorized but not yet billed."""
        return self.calls + len(self.authorized)

    @property
    def all_units(self) -> int:
        """Number of units of all billed and authorized calls."""
        return self.units + sum(self.authorized.values())


@dataclass(frozen=True)
class Cost:
    """The cost of one operation.

    Attributes
    ----------
    vendor, operation : str
        Names of the vendor and the operation.
    calls, units : int
        Number of billed and authorized calls, and of their units.
    amounts : mapping of str to Decimal
        Cost by currency; empty if the settings have no price.
    """

    vendor: str
    operation: str
    calls: int
    units: int
    amounts: Mapping[str, Decimal]


USAGE = TypeAdapter(Usage)


class Meter(Stateful):
    """The counts of all billed and authorized calls, and of their units.

    Parameters
    ----------
    records : Records
        Storage of the counts.
    prices : mapping
        The price table of each vendor.
    """

    def __init__(self, records: Records, prices: Mapping[str, PriceTable]) -> None:
        self._cache: RecordCache[Usage] = RecordCache(records, KIND, asdict, USAGE.validate_python)
        self._prices = prices
        self._since_start: dict[str, Usage] = {}

    async def bill(self, vendor: str, operation: str, credential: str | None, *, units: int = 0) -> None:
        """Count a billed call."""
        await self._change(vendor, operation, credential, lambda usage: usage.bill(units))

    async def authorize(
        self, vendor: str, operation: str, credential: str | None, item: str, *, units: int
    ) -> None:
        """Count an authorized call. Later, ``capture`` bills it, or ``void`` removes it from the counts.

        ``item`` is what the call created, such as a task id. A repeated item is counted once. ``capture``
        and ``void`` do nothing for an item that is not authorized.
        """
        await self._change(vendor, operation, credential, lambda usage: usage.authorize(item, units))

    async def capture(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Bill the authorized call that created ``item``."""
        await self._change(vendor, operation, credential, lambda usage: usage.capture(item))

    async def void(self, vendor: str, operation: str, credential: str | None, item: str) -> None:
        """Remove the authorized call that created ``item`` from the counts."""
        await self._change(vendor, operation, credential, lambda usage: usage.void(item))

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored counts."""
        return self._cache.checks

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key must name the vendor, the operation and the credential."""
        return {KIND: _check_entry}

    async def load(self) -> None:
        """Read the counts from the database."""
        await self._cache.load()

    async def forget(self, credential: str | None) -> None:
        """Delete the counts of ``credential``, or all counts if it is None."""
        await self._cache.forget(credential)

    def costs(self, credential: str | None = None, *, since_start: bool = False) -> list[Cost]:
        """Return the costs of ``credential``, or of all credentials, sorted by vendor and operation.

        With ``since_start``, count all calls since the start of this process, and ignore resets and restores.
        """
        kept = [entry.value for entry in self._cache.items().values()]
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for usage in self._since_start.values() if since_start else kept:
            if credential in {None, usage.credential} and (usage.all_calls or usage.all_units):
                calls, units = sums.get((usage.vendor, usage.operation), (0, 0))
                counted = (calls + usage.all_calls, units + usage.all_units)
                sums[usage.vendor, usage.operation] = counted
        return [
            Cost(vendor, operation, calls, units, self._amounts(vendor, operation, calls, units))
            for (vendor, operation), (calls, units) in sorted(sums.items())
        ]

    async def _change(
        self, vendor: str, operation: str, credential: str | None, change: Callable[[Usage], Usage]
    ) -> None:
        counted_for = credential or ALL_CREDENTIALS
        key = f"{vendor}\n{operation}\n{counted_for}"
        none = Usage(vendor, operation, counted_for)
        self._since_start[key] = change(self._since_start.get(key, none))
        before = self._cache.get(key) or none
        after = change(before)
        if after != before:
            await self._cache.put(key, counted_for, after)

    def _amounts(self, vendor: str, operation: str, calls: int, units: int) -> dict[str, Decimal]:
        table = self._prices.get(vendor, {})
        amounts: dict[str, Decimal] = {}
        for name, count in ((operation, calls), (UNIT, units)):
            price = table.get(name)
            if price is not None and count:
                amounts[price.currency] = amounts.get(price.currency, Decimal(0)) + price.amount * count
        return amounts


def _check_entry(entry: Stored) -> None:
    usage = strictly(USAGE, entry.document)
    key = f"{usage.vendor}\n{usage.operation}\n{usage.credential}"
    require((key, usage.credential) == (entry.key, entry.credential), "the key must name what is counted")


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
