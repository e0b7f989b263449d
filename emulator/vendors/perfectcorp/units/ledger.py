"""The units of the keys. Units are the credits with which a key pays for tasks.

Units are reserved when a task is created. If the task succeeds, they are spent; if it fails, they are
refunded.

A grant is an amount of units that a key received at one time, with an expiry. A task first uses the grant
that expires first. If several grants expire at the same time, the task first uses the oldest of them.

The record of a grant contains the reservations of its units. They are written in one transaction with the
task: reserved when it is created, and spent or refunded when it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from emulator.backends.records import Change, Put, Record, Replace
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

    def reserve(self, task_id: str, amount: int) -> Grant:
        """Return the grant with ``amount`` of its units reserved for a task."""
        return replace(self, amount=self.amount - amount, reserved={**self.reserved, task_id: amount})

    def refund(self, task_id: str) -> Grant:
        """Return the grant after the refund of the units that are reserved for a task."""
        return replace(self, amount=self.amount + self.reserved[task_id], reserved=self._without(task_id))

    def spend(self, task_id: str) -> Grant:
        """Return the grant after the units that are reserved for a task were spent."""
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


@dataclass(frozen=True)
class Units(Stateful):
    """The grants and charges of all keys. ``operations`` returns the operations that cost units."""

    world: World
    settings: PerfectCorpSettings
    operations: Callable[[], frozenset[str]]

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validators of stored grants and charges."""
        return {GRANT: Grant.from_document, CHARGE: self._check_charge}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a grant must be ``<credential>/first``."""
        return {GRANT: lambda entry: require(entry.key == f"{entry.credential}/first", "the key is invalid")}

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

    async def reservation(
        self, credential: str, task_id: str, operation: str, action: str, cost: int
    ) -> Sequence[Change]:
        """Return the changes that reserve ``cost`` units for a task, and record the charge.

        ``action`` is the name of ``operation`` in the vendor's unit history.

        Raises
        ------
        UnitsInsufficient
            If the key has fewer units than ``cost``.
        """
        changes: list[Change] = []
        taken: list[Part] = []
        for record, grant in await self._unexpired(credential):
            amount = min(cost - sum(part.amount for part in taken), grant.amount)
            if amount > 0:
                changes.append(Replace(GRANT, record, grant.reserve(task_id, amount).to_document()))
                taken.append(Part(grant.id, amount))
        if sum(part.amount for part in taken) < cost:
            raise UnitsInsufficient
        number = int.from_bytes(await self.world.ids.draw(credential, CHARGE, 8), "big") % 10**17
        charge = Charge(number, self.world.clock.now(credential), operation, action, tuple(taken))
        changes.append(Put(CHARGE, task_id, credential, asdict(charge)))
        return [*changes, *self.world.meter.authorizing(VENDOR, operation, credential, task_id, units=cost)]

    async def refund(self, credential: str, task_id: str) -> Sequence[Change]:
        """Return the changes that refund the units of a task, or no changes if they were refunded before."""
        changes = await self._end_reservation(credential, task_id, Grant.refund)
        record = await self.world.records.get(CHARGE, task_id)
        if record is not None and not record.document["refunded"]:
            charge = Charge.from_document(record.document)
            changes.append(Replace(CHARGE, record, asdict(replace(charge, refunded=True))))
        return [*changes, *await self.world.meter.voiding(VENDOR, task_id)]

    async def spend(self, credential: str, task_id: str) -> Sequence[Change]:
        """Return the changes that spend the units of a task, or no changes if they were spent before."""
        changes = await self._end_reservation(credential, task_id, Grant.spend)
        return [*changes, *await self.world.meter.capturing(VENDOR, task_id)]

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

    async def _end_reservation(
        self, credential: str, task_id: str, end: Callable[[Grant, str], Grant]
    ) -> list[Change]:
        records = await self.world.records.find(GRANT, credential)
        found = [(record, Grant.from_document(record.document)) for record in records]
        return [
            Replace(GRANT, record, end(grant, task_id).to_document())
            for record, grant in found
            if task_id in grant.reserved
        ]
