"""Units: reserved when a task is created, spent or given back when it ends.

What a task costs is the `billing` of the operation that creates it.

A key has grants, each with an amount and an expiry. A charge takes from the grant that expires
first, of several from the oldest.

A grant knows by task what is reserved of it: to give back, or to spend, is to change one document,
and a process that dies amid it can be followed by another that does it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from emulator.backends.records import Record
from emulator.backends.stateful import Check, Stateful
from emulator.vendors.perfectcorp.settings import VENDOR, PerfectCorpSettings
from emulator.vendors.perfectcorp.units.errors import UnitsInsufficient
from emulator.world.world import World

GRANT, CHARGE = "perfectcorp/grant", "perfectcorp/charge"


@dataclass(frozen=True)
class Grant:
    """Units that a key was given.

    Attributes
    ----------
    id : int
        The vendor's number for it.
    amount : int
        How many are left.
    expires_at : float
        Until when they are good, by the key's clock.
    reserved : mapping of str to int
        How many more each task that is not over has taken.
    """

    id: int
    amount: int
    expires_at: float
    reserved: Mapping[str, int]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Grant:
        """Return the grant that a JSON object is.

        Raises
        ------
        ValueError
            If it is none.
        """
        return _GRANT.validate_python(document)

    def reserve(self, task_id: str, amount: int) -> Grant | None:
        """Return the grant with ``amount`` taken for a task, or None if there is not so much."""
        if self.amount < amount:
            return None
        return replace(self, amount=self.amount - amount, reserved={**self.reserved, task_id: amount})

    def give_back(self, task_id: str) -> Grant | None:
        """Return the grant with what a task took, or None if that took nothing."""
        if task_id not in self.reserved:
            return None
        return replace(self, amount=self.amount + self.reserved[task_id], reserved=self._without(task_id))

    def spend(self, task_id: str) -> Grant | None:
        """Return the grant with what a task took gone for good, or None if that took nothing."""
        if task_id not in self.reserved:
            return None
        return replace(self, reserved=self._without(task_id))

    def _without(self, task_id: str) -> dict[str, int]:
        return {task: amount for task, amount in self.reserved.items() if task != task_id}


@dataclass(frozen=True)
class Part:
    """What a charge took from one grant, by the grant's number."""

    id: int
    amount: int


@dataclass(frozen=True)
class Charge:
    """What a task took.

    Attributes
    ----------
    id : int
        The vendor's number for it.
    timestamp : float
        When, by the key's clock.
    operation : str
        What for.
    action : str
        The same, as the unit history calls it.
    parts : tuple of Part
        From which grants.
    refunded : bool
        Whether all of it was given back.
    """

    id: int
    timestamp: float
    operation: str
    action: str
    parts: tuple[Part, ...]
    refunded: bool = False

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Charge:
        """Return the charge that a JSON object is.

        Raises
        ------
        ValueError
            If it is none.
        """
        return _CHARGE.validate_python(document)


_GRANT, _CHARGE = TypeAdapter(Grant), TypeAdapter(Charge)

Change = Callable[[Grant], Grant | None]
"""Returns what a grant is to become, or None if it is to stay as it is."""


@dataclass(frozen=True)
class Units(Stateful):
    """The units of all keys; ``operations`` are those that they are spent on."""

    world: World
    settings: PerfectCorpSettings
    operations: frozenset[str]

    @property
    def checks(self) -> Mapping[str, Check]:
        """Recorded grants and charges have to be some."""
        return {GRANT: Grant.from_document, CHARGE: self._check_charge}

    async def load(self) -> None:
        """Give back what was taken for tasks that never came to be: the process died in between."""
        for record in await self.world.records.find(GRANT):
            for task_id in Grant.from_document(record.document).reserved:
                if await self.world.tasks.find(task_id) is None:
                    await self.refund(record.credential, task_id)

    async def grants(self, credential: str) -> list[Grant]:
        """Return a key's grants that are still good, the one to be used first at the front.

        A key that is seen for the first time gets the grant of the settings.
        """
        return [grant for _, grant in await self._good(credential)]

    async def reserve(self, credential: str, task_id: str, operation: str, action: str, cost: int) -> None:
        """Take ``cost`` units for a task that an operation creates; the history calls it ``action``.

        Raises
        ------
        UnitsInsufficient
            If there are not so many; then nothing is taken.
        """
        taken: list[Part] = []
        for record, grant in await self._good(credential):
            amount = min(cost - sum(part.amount for part in taken), grant.amount)
            if amount > 0 and await self._change(record, _reserving(task_id, amount)):
                taken.append(Part(grant.id, amount))
        if sum(part.amount for part in taken) < cost:
            await self._end_reservation(credential, _giving_back(task_id))
            raise UnitsInsufficient
        await self._note(credential, task_id, operation, action, taken)
        await self.world.meter.authorize(VENDOR, operation, credential, task_id, units=cost)

    async def refund(self, credential: str, task_id: str) -> None:
        """Give back what a task took; a second time does nothing."""
        record = await self.world.records.get(CHARGE, task_id)
        if record is not None:
            charge = Charge.from_document(record.document)
            await self.world.meter.void(VENDOR, charge.operation, credential, task_id)
            if not charge.refunded:
                await self.world.records.replace(CHARGE, record, asdict(replace(charge, refunded=True)))
        # Last: as long as something is reserved, ``load`` finds it.
        await self._end_reservation(credential, _giving_back(task_id))

    async def spend(self, credential: str, task_id: str) -> None:
        """Let go for good what a task took; a second time does nothing."""
        await self._end_reservation(credential, _spending(task_id))
        record = await self.world.records.get(CHARGE, task_id)
        if record is not None:
            charge = Charge.from_document(record.document)
            await self.world.meter.capture(VENDOR, charge.operation, credential, task_id)

    async def history(self, credential: str) -> list[tuple[str, Charge]]:
        """Return a key's charges that were not given back, each after its task's id, the newest first."""
        records = await self.world.records.find(CHARGE, credential)
        charges = [(record.key, Charge.from_document(record.document)) for record in reversed(records)]
        return [(task_id, charge) for task_id, charge in charges if not charge.refunded]

    def _check_charge(self, document: Mapping[str, Any]) -> None:
        operation = Charge.from_document(document).operation
        if operation not in self.operations:
            raise ValueError(f"units are not spent on {operation!r}")

    async def _good(self, credential: str) -> list[tuple[Record, Grant]]:
        records = await self.world.records.find(GRANT, credential)
        if not records:
            await self._grant(credential)
            records = await self.world.records.find(GRANT, credential)
        now = self.world.clock.now(credential)
        found = [(record, Grant.from_document(record.document)) for record in records]
        good = [(record, grant) for record, grant in found if grant.expires_at > now]
        return sorted(good, key=lambda each: each[1].expires_at)

    async def _grant(self, credential: str) -> None:
        number = int.from_bytes(await self.world.ids.draw(credential, GRANT, 8), "big") % 10**17
        days = self.world.lifetimes.of(VENDOR, credential, self.settings).units_days
        expires_at = self.world.clock.now(credential) + days * 86400
        grant = Grant(number, self.settings.units, expires_at, reserved={})
        # Of two first calls at once, one grants.
        with contextlib.suppress(KeyError):
            await self.world.records.create(GRANT, f"{credential}/first", credential, asdict(grant))

    async def _end_reservation(self, credential: str, end: Change) -> None:
        for record in await self.world.records.find(GRANT, credential):
            await self._change(record, end)

    async def _change(self, record: Record, change: Change) -> bool:
        """Change a grant, and return whether there was anything to change."""
        current: Record | None = record
        while current is not None:
            changed = change(Grant.from_document(current.document))
            if changed is None:
                return False
            if await self.world.records.replace(GRANT, current, asdict(changed)):
                return True
            current = await self.world.records.get(GRANT, current.key)
        return False

    async def _note(
        self, credential: str, task_id: str, operation: str, action: str, parts: Sequence[Part]
    ) -> None:
        number = int.from_bytes(await self.world.ids.draw(credential, CHARGE, 8), "big") % 10**17
        charge = Charge(number, self.world.clock.now(credential), operation, action, tuple(parts))
        await self.world.records.create(CHARGE, task_id, credential, asdict(charge))


def _reserving(task_id: str, amount: int) -> Change:
    return lambda grant: grant.reserve(task_id, amount)


def _giving_back(task_id: str) -> Change:
    return lambda grant: grant.give_back(task_id)


def _spending(task_id: str) -> Change:
    return lambda grant: grant.spend(task_id)
