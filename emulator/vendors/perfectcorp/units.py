"""Units: what tasks cost, reserved when they are created and given back when they fail.

A key has grants, each with an amount and an expiry. A charge takes from the grant that expires
first, of several from the oldest.

A grant knows by task what is reserved of it: to give back, or to spend, is to change one document,
and a process that dies amid it can be followed by another that does it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.backends.records import Record
from emulator.vendors.perfectcorp.errors import UnitsInsufficient
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.web.services import Services

GRANT, CHARGE = "perfectcorp/grant", "perfectcorp/charge"

Change = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Returns what a grant is to become, or None if it is to stay as it is."""

RESHAPE_ACTION, PRE_PROCESS_ACTION = "api_face_reshape", "api_face_reshape_pre_process"
"""How the unit history calls what units were spent on. A guess: the vendor's list has no such value."""

OPERATIONS = {RESHAPE_ACTION: "create_reshape", PRE_PROCESS_ACTION: "create_pre_process"}


@dataclass(frozen=True)
class Units:
    """The units of all keys."""

    services: Services
    settings: PerfectCorpSettings

    async def grants(self, owner: str) -> list[Record]:
        """Return a key's grants that are still good, the one to be used first at the front.

        A key that is seen for the first time gets the grant of the settings.
        """
        records = await self.services.records.find(GRANT, owner)
        if not records:
            await self._grant(owner)
            records = await self.services.records.find(GRANT, owner)
        now = self.services.clock.now(owner)
        good = [record for record in records if record.document["expires_at"] > now]
        return sorted(good, key=lambda record: float(record.document["expires_at"]))

    async def reserve(self, owner: str, task_id: str, action: str, cost: int) -> None:
        """Take ``cost`` units for a task.

        Raises
        ------
        UnitsInsufficient
            If there are not so many; then nothing is taken.
        """
        taken: list[dict[str, int]] = []
        for record in await self.grants(owner):
            missing = cost - sum(part["amount"] for part in taken)
            amount = min(missing, record.document["amount"])
            if amount > 0 and await self._change(record, _reserve(task_id, amount)):
                taken.append({"id": record.document["id"], "amount": amount})
        if sum(part["amount"] for part in taken) < cost:
            await self._end_reservation(owner, task_id, _give_back)
            raise UnitsInsufficient
        await self._note(owner, task_id, action, taken)
        await self.services.meter.bill("perfectcorp", OPERATIONS[action], owner, units=cost)

    async def refund(self, owner: str, task_id: str) -> None:
        """Give back what a task took; a second time does nothing."""
        record = await self.services.records.get(CHARGE, task_id)
        if record is None or record.document["refunded"]:
            return
        await self._end_reservation(owner, task_id, _give_back)
        if await self.services.records.replace(CHARGE, record, {**record.document, "refunded": True}):
            units = sum(part["amount"] for part in record.document["parts"])
            operation = OPERATIONS[record.document["action"]]
            await self.services.meter.bill("perfectcorp", operation, owner, calls=-1, units=-units)

    async def spend(self, owner: str, task_id: str) -> None:
        """Let go for good what a task took; a second time does nothing."""
        await self._end_reservation(owner, task_id, _spend)

    async def history(self, owner: str) -> list[Record]:
        """Return a key's charges that were not given back, the newest first."""
        records = await self.services.records.find(CHARGE, owner)
        return [record for record in reversed(records) if not record.document["refunded"]]

    async def _grant(self, owner: str) -> None:
        number = int.from_bytes(await self.services.ids.draw(owner, GRANT, 8), "big") % 10**17
        now = self.services.clock.now(owner)
        document = {
            "id": number,
            "amount": self.settings.units,
            "expires_at": now + self.settings.units_days * 86400,
            "reserved": {},
        }
        # Of two first calls at once, one grants.
        with contextlib.suppress(KeyError):
            await self.services.records.create(GRANT, f"{owner}/first", owner, document)

    async def _end_reservation(self, owner: str, task_id: str, end: Callable[[str], Change]) -> None:
        for record in await self.services.records.find(GRANT, owner):
            await self._change(record, end(task_id))

    async def _change(self, record: Record, change: Change) -> bool:
        """Change a grant, and return whether there was anything to change."""
        current: Record | None = record
        while current is not None:
            changed = change(current.document)
            if changed is None:
                return False
            if await self.services.records.replace(GRANT, current, changed):
                return True
            current = await self.services.records.get(GRANT, current.key)
        return False

    async def _note(self, owner: str, task_id: str, action: str, parts: Sequence[dict[str, int]]) -> None:
        number = int.from_bytes(await self.services.ids.draw(owner, CHARGE, 8), "big") % 10**17
        document: dict[str, Any] = {
            "id": number,
            "timestamp": self.services.clock.now(owner),
            "action": action,
            "parts": list(parts),
            "refunded": False,
        }
        await self.services.records.create(CHARGE, task_id, owner, document)


def _reserve(task_id: str, amount: int) -> Change:
    def change(grant: Mapping[str, Any]) -> dict[str, Any] | None:
        if grant["amount"] < amount:
            return None
        reserved = {**grant["reserved"], task_id: amount}
        return {**grant, "amount": grant["amount"] - amount, "reserved": reserved}

    return change


def _give_back(task_id: str) -> Change:
    def change(grant: Mapping[str, Any]) -> dict[str, Any] | None:
        spent = _spend(task_id)(grant)
        return spent and {**spent, "amount": grant["amount"] + grant["reserved"][task_id]}

    return change


def _spend(task_id: str) -> Change:
    def change(grant: Mapping[str, Any]) -> dict[str, Any] | None:
        if task_id not in grant["reserved"]:
            return None
        return {**grant, "reserved": {task: n for task, n in grant["reserved"].items() if task != task_id}}

    return change
