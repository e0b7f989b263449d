"""The units of the keys. Units are the credits with which a key pays for tasks.

Units are reserved when a task is created. If the task succeeds, they are spent; if it fails, they are
refunded.

A grant is an amount of units that a key received at one time, with an expiry. A task first uses the grant
that expires first. If several grants expire at the same time, the task first uses the oldest of them.

The record of a grant contains the reservations of its units. So a refund is a single write to each grant,
which another process can repeat after a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any
from weakref import WeakValueDictionary

from pydantic import Field, TypeAdapter

from emulator.backends.records import Record
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful, require, strictly
from emulator.clock import Count, Moment
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings
from emulator.vendors.perfectcorp.units.errors import UnitsInsufficient
from emulator.world.world import World

GRANT, CHARGE = "perfectcorp/grant", "perfectcorp/charge"


@dataclass(frozen=True)
class Grant:
    """An amount of units that a key received at one time.

    Attributes
    ----------
    id : int
        The vendor's number of the grant.
    amount : int
        The units that are neither reserved nor spent.
    expires_at : float
        When the units expire, in seconds since the Unix epoch, by the key's clock.
    reserved : mapping of str to int
        The numbers of units that are reserved for unfinished tasks, by task id.
    """

    id: Count
    amount: Count
    expires_at: Annotated[float, Field(allow_inf_nan=False)]
    reserved: Mapping[str, Count]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grant:
        """Return a grant from a JSON object.

        Raises
        ------
        ValueError
            If the object is not a grant.
        """
        return strictly(_GRANT, document)

    def to_document(self) -> dict[str, Any]:
        """Return the grant as a JSON object."""
        return {
            "id": self.id,
            "amount": self.amount,
            "expires_at": self.expires_at,
            "reserved": dict(self.reserved),
        }

    def reserve(self, task_id: str, amount: int) -> Grant | None:
        """Return the grant with ``amount`` units reserved for a task, or None if it has too few units."""
        if self.amount < amount:
            return None
        return replace(self, amount=self.amount - amount, reserved={**self.reserved, task_id: amount})

    def refund(self, task_id: str) -> Grant | None:
        """Return the grant with a task's units refunded, or None if nothing is reserved for the task."""
        if task_id not in self.reserved:
            return None
        return replace(self, amount=self.amount + self.reserved[task_id], reserved=self._without(task_id))

    def spend(self, task_id: str) -> Grant | None:
        """Return the grant with a task's units spent, or None if nothing is reserved for the task."""
        if task_id not in self.reserved:
            return None
        return replace(self, reserved=self._without(task_id))

    def _without(self, task_id: str) -> dict[str, int]:
        return {task: amount for task, amount in self.reserved.items() if task != task_id}


@dataclass(frozen=True)
class Part:
    """The units of a charge that come from one grant. ``id`` is the number of the grant."""

    id: Count
    amount: Count


@dataclass(frozen=True)
class Charge:
    """The units that were charged for a task.

    Attributes
    ----------
    id : int
        The vendor's number of the charge.
    timestamp : float
        The time of the charge, in seconds since the Unix epoch, by the key's clock.
    operation : str
        The name of the operation that created the task.
    action : str
        The name of the operation in the vendor's unit history.
    parts : tuple of Part
        The units from each grant.
    refunded : bool
        Whether the units were refunded.
    """

    id: Count
    timestamp: Moment
    operation: str
    action: str
    parts: tuple[Part, ...]
    refunded: bool = False

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Charge:
        """Return a charge from a JSON object.

        Raises
        ------
        ValueError
            If the object is not a charge.
        """
        return strictly(_CHARGE, document)


_GRANT, _CHARGE = TypeAdapter(Grant), TypeAdapter(Charge)

Change = Callable[[Grant], Grant | None]
"""A function that returns a changed grant, or None if there is nothing to change."""


@dataclass(frozen=True)
class Units(Stateful):
    """The grants and charges of all keys. ``operations`` returns the operations that cost units."""

    world: World
    settings: PerfectCorpSettings
    operations: Callable[[], frozenset[str]]
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary, repr=False)

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validators of stored grants and charges."""
        return {GRANT: Grant.from_document, CHARGE: self._check_charge}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The first grant of a key has a name of its own."""
        return {GRANT: lambda entry: require(entry.key == f"{entry.credential}/first", "the key is invalid")}

    async def load(self) -> None:
        """Refund units that are reserved for tasks that do not exist.

        This happens if the process ends after it reserves the units, and before it creates the task.
        """
        for record in await self.world.records.find(GRANT):
            for task_id in Grant.from_document(record.document).reserved:
                if await self.world.tasks.find(task_id) is None:
                    await self.refund(record.credential, task_id)

    async def purge(self, oldest: Oldest) -> None:
        """Delete old charges. Keep expired grants, because a key without a grant gets a new one."""
        await delete_old(
            self.world.records,
            CHARGE,
            lambda record: record.document["timestamp"] < oldest(record.credential),
        )

    async def grants(self, credential: str) -> list[Grant]:
        """Return a key's grants that have not expired, in the order in which tasks use them.

        A new key first gets a grant, according to the settings ``units`` and ``units_days``.
        """
        return [grant for _, grant in await self._unexpired(credential)]

    async def reserve(self, credential: str, task_id: str, operation: str, action: str, cost: int) -> None:
        """Reserve ``cost`` units for a task, and record the charge.

        ``action`` is the name of ``operation`` in the vendor's unit history.

        Raises
        ------
        UnitsInsufficient
            If the key has fewer units than ``cost``. In this case, no units are reserved.
        """
        taken: list[Part] = []
        for record, grant in await self._unexpired(credential):
            amount = min(cost - sum(part.amount for part in taken), grant.amount)
            if amount > 0 and await self._change(record, _reserving(task_id, amount)):
                taken.append(Part(grant.id, amount))
        if sum(part.amount for part in taken) < cost:
            await self._end_reservation(credential, _refunding(task_id))
            raise UnitsInsufficient
        await self._record_charge(credential, task_id, operation, action, taken)
        await self.world.meter.authorize(VENDOR, operation, credential, task_id, units=cost)

    async def refund(self, credential: str, task_id: str) -> None:
        """Refund the units of a task. If this was done before, do nothing."""
        record = await self.world.records.get(CHARGE, task_id)
        if record is not None:
            charge = Charge.from_document(record.document)
            await self.world.meter.void(VENDOR, charge.operation, credential, task_id)
            if not charge.refunded:
                await self.world.records.replace(CHARGE, record, asdict(replace(charge, refunded=True)))
        # End the reservation last, because ``load`` completes a refund only if it finds the reservation.
        await self._end_reservation(credential, _refunding(task_id))

    async def spend(self, credential: str, task_id: str) -> None:
        """Spend the units that are reserved for a task. If this was done before, do nothing."""
        await self._end_reservation(credential, _spending(task_id))
        record = await self.world.records.get(CHARGE, task_id)
        if record is not None:
            charge = Charge.from_document(record.document)
            await self.world.meter.capture(VENDOR, charge.operation, credential, task_id)

    async def history(self, credential: str) -> list[tuple[str, Charge]]:
        """Return the charges of a key that were not refunded, newest first, each with the id of its task."""
        records = await self.world.records.find(CHARGE, credential)
        charges = [(record.key, Charge.from_document(record.document)) for record in reversed(records)]
        return [(task_id, charge) for task_id, charge in charges if not charge.refunded]

    def _check_charge(self, document: Mapping[str, Any]) -> None:
        operation = Charge.from_document(document).operation
        if operation not in self.operations():
            raise ValueError(f"{operation!r} is not an operation that costs units")

    async def _unexpired(self, credential: str) -> list[tuple[Record, Grant]]:
        records = await self.world.records.find(GRANT, credential)
        if not records:
            await self._grant(credential)
            records = await self.world.records.find(GRANT, credential)
        now = self.world.clock.now(credential)
        found = [(record, Grant.from_document(record.document)) for record in records]
        unexpired = [(record, grant) for record, grant in found if grant.expires_at > now]
        return sorted(unexpired, key=lambda each: each[1].expires_at)

    async def _grant(self, credential: str) -> None:
        number = int.from_bytes(await self.world.ids.draw(credential, GRANT, 8), "big") % 10**17
        days = self.world.lifetimes.of(VENDOR, credential, self.settings).units_days
        expires_at = self.world.clock.now(credential) + days * 86400
        grant = Grant(number, self.settings.units, expires_at, reserved={})
        # Two first calls of a key can run at the same time. Only one of them creates the grant.
        with contextlib.suppress(KeyError):
            await self.world.records.create(GRANT, f"{credential}/first", credential, grant.to_document())

    async def _end_reservation(self, credential: str, end: Change) -> None:
        for record in await self.world.records.find(GRANT, credential):
            await self._change(record, end)

    async def _change(self, record: Record, change: Change) -> bool:
        """Replace a stored grant by the result of ``change``. Return whether ``change`` returned a grant."""
        # Calls of this process change a grant one after the other, because a call that is overtaken must
        # start again. Another process can still overtake.
        async with self._locks.setdefault(record.key, asyncio.Lock()):
            while (current := await self.world.records.get(GRANT, record.key)) is not None:
                changed = change(Grant.from_document(current.document))
                if changed is None:
                    return False
                if await self.world.records.replace(GRANT, current, changed.to_document()):
                    return True
        return False

    async def _record_charge(
        self, credential: str, task_id: str, operation: str, action: str, parts: Sequence[Part]
    ) -> None:
        number = int.from_bytes(await self.world.ids.draw(credential, CHARGE, 8), "big") % 10**17
        charge = Charge(number, self.world.clock.now(credential), operation, action, tuple(parts))
        await self.world.records.put(CHARGE, task_id, credential, asdict(charge))


def _reserving(task_id: str, amount: int) -> Change:
    return lambda grant: grant.reserve(task_id, amount)


def _refunding(task_id: str) -> Change:
    return lambda grant: grant.refund(task_id)


def _spending(task_id: str) -> Change:
    return lambda grant: grant.spend(task_id)
