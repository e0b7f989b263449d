"""The units of the keys. Units are the credits with which a key pays for tasks.

Units are reserved when a task is created. If the task succeeds, they are spent; if it fails, they are
refunded.

A grant is an amount of units that a key received at one time, with an expiry. A key gets one grant, at its
first call. A counter has the number of its units that are reserved or spent. So tasks of one key that are
created or end at the same time do not wait for each other, as they would if each of them changed a document.

The changes are written in one transaction with the task: units are reserved when it is created, and refunded
when it fails.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field

from emulator.backends.records import Change, CountUp, Create, Replace
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful, require, strictly
from emulator.clock import Count, Moment
from emulator.deferral import DeferredAdapter
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
        The units that the key received.
    expires_at : float
        When the units expire, in seconds since the Unix epoch, by the key's clock.
    """

    id: Count
    amount: Count
    expires_at: Annotated[float, Field(allow_inf_nan=False)]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grant:
        """Return a grant from a JSON object.

        Raises
        ------
        ValueError
            If the object is not a grant.
        """
        return strictly(_GRANT, document)


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
    period : int or None
        Period in which the meter has counted the call. None for charges of earlier versions, whose calls have
        a document of the meter until the task ends.
    """

    id: Count
    timestamp: Moment
    operation: str
    action: str
    parts: tuple[Part, ...]
    refunded: bool = False
    period: Count | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Charge:
        """Return a charge from a JSON object.

        Raises
        ------
        ValueError
            If the object is not a charge.
        """
        return strictly(_CHARGE, document)

    def to_document(self) -> dict[str, Any]:
        """Return the charge as a JSON object."""
        # `asdict` takes ten times as long, and a charge is written for each task.
        return {**vars(self), "parts": [vars(part) for part in self.parts]}


_GRANT, _CHARGE = DeferredAdapter(Grant), DeferredAdapter(Charge)


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

    async def grants(self, credential: str) -> list[tuple[Grant, int]]:
        """Return a key's grants that have not expired, each with the units that can still be used.

        A new key first gets a grant, according to the settings ``units`` and ``units_days``.
        """
        grant = await self._grant(credential)
        return [(grant, await self._left(grant, credential))] if self._is_valid(grant, credential) else []

    async def reservation(
        self, credential: str, task_id: str, operation: str, action: str, cost: int, *, counts: bool = True
    ) -> Sequence[Change]:
        """Return the changes that reserve ``cost`` units for a task, and record the charge.

        They cannot be written if the key has fewer units than ``cost``. ``action`` is the name of
        ``operation`` in the vendor's unit history.

        Raises
        ------
        UnitsInsufficient
            If the key has no valid grant or, with ``counts``, fewer units than ``cost``.
        """
        grant = await self._grant(credential)
        if not self._is_valid(grant, credential):
            raise UnitsInsufficient
        if counts and await self._left(grant, credential) < cost:
            raise UnitsInsufficient
        ids = self.world.ids
        drawn, counted = await self.world.records.draw(ids.counter(CHARGE), credential)
        number = int.from_bytes(ids.nth(credential, CHARGE, drawn, 8), "big") % 10**17
        part = Part(grant.id, cost)
        meter = self.world.meter
        period = meter.period(credential)
        charge = Charge(number, self.world.clock.now(credential), operation, action, (part,), period=period)
        return [
            *counted,
            CountUp(_counter(grant.id), credential, cost, most=grant.amount),
            Create(CHARGE, task_id, credential, charge.to_document()),
            *meter.counting(VENDOR, operation, credential, task_id, units=cost, period=period),
        ]

    async def refund(self, credential: str, task_id: str) -> Sequence[Change]:
        """Return the changes that refund the units of a task, or no changes if they were refunded before."""
        record = await self.world.records.get(CHARGE, task_id)
        if record is None:
            return await self.world.meter.voiding(VENDOR, task_id)
        changes: list[Change] = []
        charge = record.document
        if not charge["refunded"]:
            changes.append(Replace(CHARGE, record, {**charge, "refunded": True}))
            changes += [
                CountUp(_counter(part["id"]), credential, -part["amount"]) for part in charge["parts"]
            ]
        if charge.get("period") is None:
            changes += await self.world.meter.voiding(VENDOR, task_id)
        elif changes:
            units = sum(part["amount"] for part in charge["parts"])
            changes += self.world.meter.taking_back(
                VENDOR, charge["operation"], credential, task_id, units=units, period=charge["period"]
            )
        return changes

    async def spend(self, task_id: str) -> Sequence[Change]:
        """Return the changes that spend the units of a task, or no changes if they were spent before."""
        record = await self.world.records.get(CHARGE, task_id)
        if record is None or record.document.get("period") is None:
            return await self.world.meter.capturing(VENDOR, task_id)
        self.world.meter.keep(task_id)
        return []

    async def history(self, credential: str) -> list[tuple[str, Charge]]:
        """Return the charges of a key that were not refunded, newest first, each with the id of its task."""
        records = await self.world.records.find(CHARGE, credential)
        charges = [(record.key, Charge.from_document(record.document)) for record in reversed(records)]
        return [(task_id, charge) for task_id, charge in charges if not charge.refunded]

    def _check_charge(self, document: Mapping[str, Any]) -> None:
        operation = Charge.from_document(document).operation
        if operation not in self.operations():
            raise ValueError(f"{operation!r} is not an operation that costs units")

    async def _grant(self, credential: str) -> Grant:
        """Return the grant of a key. A new key first gets it."""
        key = f"{credential}/first"
        while True:
            record = await self.world.records.get(GRANT, key)
            if record is not None:
                found = record.document
                return Grant(found["id"], found["amount"], found["expires_at"])
            number = int.from_bytes(await self.world.ids.draw(credential, GRANT, 8), "big") % 10**17
            days = self.world.lifetimes.of(VENDOR, credential, self.settings).units_days
            expires_at = self.world.clock.now(credential) + days * 86400
            grant = Grant(number, self.settings.units, expires_at)
            # Two first calls of a key can run at the same time. Only one of them creates the grant.
            with contextlib.suppress(KeyError):
                await self.world.records.create(GRANT, key, credential, asdict(grant))

    def _is_valid(self, grant: Grant, credential: str) -> bool:
        return grant.expires_at > self.world.clock.now(credential)

    async def _left(self, grant: Grant, credential: str) -> int:
        """Return the number of units of a grant that are neither reserved nor spent."""
        return grant.amount - await self.world.records.count(_counter(grant.id), credential)


def _counter(grant_id: int) -> str:
    """Return the name of the counter of the units of a grant that are reserved or spent."""
    return f"{GRANT}/{grant_id}"
