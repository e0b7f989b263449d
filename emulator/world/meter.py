"""Counts of the calls and units that a vendor would bill, and their cost at the prices in the settings.

A unit is a vendor's currency, such as a credit. The vendors' code decides what is billed and when. The meter
has no billing rules of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from emulator.backends.records import Change, CountUp, Create, Records, Remove
from emulator.backends.stateful import Check, EntryCheck, Stateful, Stored, require, strictly
from emulator.clock import ALL_CREDENTIALS, Count
from emulator.deferral import DeferredAdapter

KIND = "meter/authorized"

PREFIX, CALLS = "meter/", "calls"
"""Parts of the names of counters: ``meter/<kind>/<vendor>/<operation>``. The kinds are calls and units."""

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
class Authorized:
    """A call that created an item, such as a task, and is billed if the item succeeds.

    Attributes
    ----------
    vendor, operation : str
        Names of the vendor and the operation.
    units : int
        Number of the vendor's units that the call costs.
    """

    vendor: str
    operation: str
    units: Count


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


AUTHORIZED = DeferredAdapter(Authorized)

MOST_READS = 5
"""Number of attempts to read all counts without a change of the authorized calls in between."""

MOST_OPEN = 10_000
"""Largest number of authorized calls in memory. If another replica ends a task, its call stays in memory."""

_Sums = dict[tuple[str, str, str], tuple[int, int]]
"""Numbers of calls and of units, by vendor, operation and credential."""


class Meter(Stateful):
    """The counts of all billed and authorized calls, and of their units.

    A call that creates a task is first authorized. At the end of the task, the call is billed or voided. A
    voided call costs nothing.

    The billed calls are counted in the database, so that several processes can count at the same time.

    Parameters
    ----------
    records : Records
        Storage of the counts.
    prices : mapping
        The price table of each vendor.
    """

    def __init__(self, records: Records, prices: Mapping[str, PriceTable]) -> None:
        self._records = records
        self._prices = prices
        self._since_start: _Sums = {}
        # The authorized calls by item, so that ``forget_item`` can subtract them from the counts.
        self._open: dict[str, tuple[str, Authorized]] = {}

    async def bill(self, vendor: str, operation: str, credential: str | None, *, units: int = 0) -> None:
        """Count a billed call."""
        await self._records.write(_billing(vendor, operation, credential or ALL_CREDENTIALS, units))
        self._count(Authorized(vendor, operation, units), credential or ALL_CREDENTIALS, 1)

    def authorizing(
        self, vendor: str, operation: str, credential: str, item: str, *, units: int
    ) -> Sequence[Change]:
        """Return the changes that count an authorized call.

        Later, ``capturing`` bills it, or ``voiding`` removes it from the counts. ``item`` is what the call
        created, such as a task id.
        """
        authorized = Authorized(vendor, operation, units)
        if item not in self._open:
            self._open[item] = credential, authorized
            self._count(authorized, credential, 1)
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]
        document = {"vendor": vendor, "operation": operation, "units": units}
        return [Create(KIND, f"{vendor}\n{item}", credential, document)]

    async def capturing(self, vendor: str, item: str) -> Sequence[Change]:
        """Return the changes that bill the authorized call that created ``item``, if there is such a call."""
        self._open.pop(item, None)
        record = await self._records.get(KIND, f"{vendor}\n{item}")
        if record is None:
            return []
        authorized = AUTHORIZED.validate_python(record.document)
        billing = _billing(vendor, authorized.operation, record.credential, authorized.units)
        return [Remove(KIND, record), *billing]

    async def voiding(self, vendor: str, item: str) -> Sequence[Change]:
        """Return the changes that remove the authorized call of ``item`` from the counts."""
        self.forget_item(item)
        record = await self._records.get(KIND, f"{vendor}\n{item}")
        return [] if record is None else [Remove(KIND, record)]

    def is_open(self, item: str) -> bool:
        """Return whether the call of ``item`` is counted, and neither billed nor voided."""
        return item in self._open

    def forget_item(self, item: str) -> None:
        """Remove the call of ``item`` from the counts since the start: it was voided, or not authorized."""
        credential, authorized = self._open.pop(item, ("", None))
        if authorized is not None:
            self._count(authorized, credential, -1)

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored authorized calls."""
        return {KIND: AUTHORIZED.validate_python}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of an authorized call must begin with its vendor."""
        return {KIND: _check_entry}

    async def forget(self, credential: str | None) -> None:
        """Delete the counts of ``credential``, or all counts if it is None."""
        for record in await self._records.find(KIND, credential):
            await self._records.delete(KIND, record.key)
        counters = await self._records.counters(PREFIX, credential)
        await self._records.write(
            [CountUp(counter.name, counter.credential, -counter.value) for counter in counters]
        )

    async def costs(self, credential: str | None = None, *, since_start: bool = False) -> list[Cost]:
        """Return the costs of ``credential``, or of all credentials, sorted by vendor and operation.

        With ``since_start``, count all calls that this process has answered since its start, and ignore
        resets and restores. A task that fails in another process is not subtracted.
        """
        counted = self._since_start if since_start else await self._stored(credential)
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for (vendor, operation, whose), (calls, units) in counted.items():
            if credential in {None, whose} and (calls or units):
                before = sums.get((vendor, operation), (0, 0))
                sums[vendor, operation] = (before[0] + calls, before[1] + units)
        return [
            Cost(vendor, operation, calls, units, self._amounts(vendor, operation, calls, units))
            for (vendor, operation), (calls, units) in sorted(sums.items())
        ]

    async def _stored(self, credential: str | None) -> _Sums:
        sums: _Sums = {}
        open_calls = await self._records.find(KIND, credential)
        for _ in range(MOST_READS):
            counters = await self._records.counters(PREFIX, credential)
            before, open_calls = open_calls, await self._records.find(KIND, credential)
            # A call that is billed between the two reads would be counted twice or not at all.
            if [record.serial for record in before] == [record.serial for record in open_calls]:
                break
        for counter in counters:
            # A counter of a snapshot can have any name.
            what, vendor, operation = [*counter.name.removeprefix(PREFIX).split("/", 2), "", ""][:3]
            calls = counter.value if what == CALLS else 0
            _add(sums, (vendor, operation, counter.credential), calls, counter.value - calls)
        for record in open_calls:
            found = AUTHORIZED.validate_python(record.document)
            _add(sums, (found.vendor, found.operation, record.credential), 1, found.units)
        return sums

    def _count(self, call: Authorized, credential: str, by: int) -> None:
        _add(self._since_start, (call.vendor, call.operation, credential), by, by * call.units)

    def _amounts(self, vendor: str, operation: str, calls: int, units: int) -> dict[str, Decimal]:
        table = self._prices.get(vendor, {})
        amounts: dict[str, Decimal] = {}
        for name, count in ((operation, calls), (UNIT, units)):
            price = table.get(name)
            if price is not None and count:
                amounts[price.currency] = amounts.get(price.currency, Decimal(0)) + price.amount * count
        return amounts


def _billing(vendor: str, operation: str, credential: str, units: int) -> list[Change]:
    calls = CountUp(f"{PREFIX}{CALLS}/{vendor}/{operation}", credential)
    return [calls, CountUp(f"{PREFIX}units/{vendor}/{operation}", credential, units)] if units else [calls]


def _add(sums: _Sums, key: tuple[str, str, str], calls: int, units: int) -> None:
    before = sums.get(key, (0, 0))
    sums[key] = before[0] + calls, before[1] + units


def _check_entry(entry: Stored) -> None:
    authorized = strictly(AUTHORIZED, entry.document)
    require(entry.key.startswith(f"{authorized.vendor}\n"), "the key must name the vendor")


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
