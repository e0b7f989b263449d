"""Counts of the calls and units that a vendor would bill, and their cost at the prices in the settings.

A unit is a vendor's currency, such as a credit. The vendors' code decides what is billed and when. The meter
has no billing rules of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from emulator.backends.records import Change, Counter, CountUp, Create, Records, Remove
from emulator.backends.records.kept import RecordCache
from emulator.backends.stateful import (
    Check,
    EntryCheck,
    Stateful,
    Stored,
    belongs_to_its_key,
    require,
    strictly,
)
from emulator.clock import ALL_CREDENTIALS, Count
from emulator.deferral import DeferredAdapter

KIND = "meter/authorized"

PREFIX, CALLS, UNITS = "meter/", "calls", "units"
"""Parts of the names of counters: ``meter/<kind>/<vendor>/<operation>``. The kinds are calls and units. After
``forget``, the number of the period follows the kind, such as ``calls.3``."""

PERIOD = "cost-period"
"""Kind of the numbers of periods, by credential, and name of the counter of these numbers."""

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

    A vendor that stores the units of each task can also count the call when it is created, and take it back
    if the task fails. This needs no document.

    The billed calls are counted in the database, so that several processes can count at the same time. The
    period of a credential ends when its counts are deleted. Each period has counters of its own, so that a
    call of an earlier period can still be taken back.

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
        self._periods: RecordCache[int] = RecordCache(
            records, PERIOD, lambda number: {"number": number}, _number_of
        )
        self._since_start: _Sums = {}
        # The authorized calls by item, so that ``forget_item`` can subtract them from the counts.
        self._open: OrderedDict[str, tuple[str, Authorized]] = OrderedDict()

    async def bill(self, vendor: str, operation: str, credential: str | None, *, units: int = 0) -> None:
        """Count a billed call."""
        whose = credential or ALL_CREDENTIALS
        await self._records.write(_billing(vendor, operation, whose, units, self.period(whose)))
        self._count(Authorized(vendor, operation, units), whose, 1)

    def period(self, credential: str) -> int:
        """Return the number of the current period of a credential. It increases with each ``forget``."""
        return max(self._periods.get(credential) or 0, self._periods.get(ALL_CREDENTIALS) or 0)

    def counting(
        self, vendor: str, operation: str, credential: str, item: str, *, units: int, period: int
    ) -> Sequence[Change]:
        """Return the changes that count the call that creates ``item``, in a period of the credential.

        Later, ``taking_back`` undoes this if the item fails, and ``keep`` is called otherwise. The caller
        makes sure that this happens once.
        """
        self._open_call(credential, item, Authorized(vendor, operation, units))
        return _billing(vendor, operation, credential, units, period)

    def taking_back(
        self, vendor: str, operation: str, credential: str, item: str, *, units: int, period: int
    ) -> Sequence[Change]:
        """Return the changes that undo ``counting``."""
        self.forget_item(item)
        return _billing(vendor, operation, credential, units, period, -1)

    def keep(self, item: str) -> None:
        """Record that the call that created ``item`` is not taken back."""
        self._open.pop(item, None)

    def authorizing(
        self, vendor: str, operation: str, credential: str, item: str, *, units: int
    ) -> Sequence[Change]:
        """Return the changes that count an authorized call.

        Later, ``capturing`` bills it, or ``voiding`` removes it from the counts. ``item`` is what the call
        created, such as a task id.
        """
        self._open_call(credential, item, Authorized(vendor, operation, units))
        document = {"vendor": vendor, "operation": operation, "units": units}
        return [Create(KIND, f"{vendor}\n{item}", credential, document)]

    async def capturing(self, vendor: str, item: str) -> Sequence[Change]:
        """Return the changes that bill the authorized call that created ``item``, if there is such a call."""
        self._open.pop(item, None)
        record = await self._records.get(KIND, f"{vendor}\n{item}")
        if record is None:
            return []
        authorized = AUTHORIZED.validate_python(record.document)
        whose = record.credential
        billing = _billing(vendor, authorized.operation, whose, authorized.units, self.period(whose))
        return [Remove(KIND, record), *billing]

    async def voiding(self, vendor: str, item: str) -> Sequence[Change]:
        """Return the changes that remove the authorized call of ``item`` from the counts."""
        self.forget_item(item)
        record = await self._records.get(KIND, f"{vendor}\n{item}")
        return [] if record is None else [Remove(KIND, record)]

    def is_open(self, item: str) -> bool:
        """Return whether the call of ``item`` is counted, and its end is not known."""
        return item in self._open

    def _open_call(self, credential: str, item: str, call: Authorized) -> None:
        """Count the call that creates ``item`` since the start, once."""
        if item not in self._open:
            self._open[item] = credential, call
            self._count(call, credential, 1)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)

    def forget_item(self, item: str) -> None:
        """Remove the call of ``item`` from the counts since the start: it was voided, or not authorized."""
        credential, authorized = self._open.pop(item, ("", None))
        if authorized is not None:
            self._count(authorized, credential, -1)

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validators of stored authorized calls and periods."""
        return {KIND: AUTHORIZED.validate_python, PERIOD: _number_of}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a call must begin with its vendor, and the key of a period must be the credential."""
        return {KIND: _check_entry, PERIOD: belongs_to_its_key}

    async def load(self) -> None:
        """Read the periods from the database."""
        await self._periods.load()

    async def forget(self, credential: str | None) -> None:
        """Delete the counts of ``credential``, or all counts if it is None."""
        for record in await self._records.find(KIND, credential):
            await self._records.delete(KIND, record.key)
        counters = await self._records.counters(PREFIX, credential)
        # The counters stay, because tasks of this period that fail later subtract from them.
        if any(calls or units for _, _, calls, units in map(self._read, counters)):
            number = await self._records.count_up(PERIOD)
            whose = ALL_CREDENTIALS if credential is None else credential
            await self._periods.put(whose, whose, number)

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
            vendor, operation, calls, units = self._read(counter)
            _add(sums, (vendor, operation, counter.credential), calls, units)
        for record in open_calls:
            found = AUTHORIZED.validate_python(record.document)
            _add(sums, (found.vendor, found.operation, record.credential), 1, found.units)
        return sums

    def _read(self, counter: Counter) -> tuple[str, str, int, int]:
        """Return the vendor, the operation, and the calls or units of the current period in a counter."""
        # A counter of a snapshot can have any name.
        what, vendor, operation = [*counter.name.removeprefix(PREFIX).split("/", 2), "", ""][:3]
        period = self.period(counter.credential)
        calls = counter.value * (what == _kind(CALLS, period))
        units = counter.value * (what == _kind(UNITS, period))
        return vendor, operation, calls, units

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


def _billing(
    vendor: str, operation: str, credential: str, units: int, period: int, by: int = 1
) -> list[Change]:
    """Return the changes that count a call and its units, or subtract them if ``by`` is -1."""
    place = f"{vendor}/{operation}"
    calls = CountUp(f"{PREFIX}{_kind(CALLS, period)}/{place}", credential, by)
    if not units:
        return [calls]
    return [calls, CountUp(f"{PREFIX}{_kind(UNITS, period)}/{place}", credential, by * units)]


def _kind(kind: str, period: int) -> str:
    """Return the kind of counter in a period."""
    return f"{kind}.{period}" if period else kind


def _number_of(document: Mapping[str, Any]) -> int:
    """Return the number of a stored period. Raise ValueError if it is invalid."""
    number = document.get("number")
    require(document.keys() == {"number"} and type(number) is int and 0 < number < 2**63, "not a period")
    return int(document["number"])


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
