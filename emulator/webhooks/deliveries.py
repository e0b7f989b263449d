"""Storage of webhook deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.backends.records import Record, Records
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Oldest, Stored, require, strictly
from emulator.deferral import DeferredAdapter
from emulator.webhooks.delivery import ENDED, Delivery, DeliveryState, fail

KIND = "webhook/delivery"

STORED = DeferredAdapter(Delivery)
"""Validates the types of a stored delivery."""


@dataclass(frozen=True)
class Kept:
    """A delivery, and the record that it was read from."""

    record: Record
    delivery: Delivery

    @classmethod
    def read_from(cls, record: Record) -> Kept:
        """Return the delivery in a record."""
        return cls(record, Delivery.from_document(record.document))

    @property
    def serial(self) -> int:
        """Number of the record. A delivery that is deleted and created again gets a new number."""
        return self.record.serial

    def is_same(self, other: Kept | None) -> bool:
        """Return whether the delivery was not changed between the two reads."""
        return other is not None and (self.serial, self.record.version) == (
            other.serial,
            other.record.version,
        )


class Deliveries:
    """The stored deliveries of all credentials.

    Parameters
    ----------
    records
        Storage of the deliveries.
    vendors
        The vendors that send webhooks.
    """

    def __init__(self, records: Records, vendors: Collection[str]) -> None:
        self._records = records
        self._vendors = vendors

    async def read(self, delivery_id: str, serial: int | None = None) -> Kept | None:
        """Return a delivery, or None if it was deleted. With ``serial``, another number counts as deleted."""
        found = await self._records.get(KIND, delivery_id)
        if found is None or serial not in {None, found.serial}:
            return None
        return Kept.read_from(found)

    async def read_latest(self, delivery_id: str, serial: int | None = None) -> Kept | None:
        """Return a delivery as ``read`` does, with all changes that any replica made before this call."""
        await self._records.catch_up()
        return await self.read(delivery_id, serial)

    async def all(self, credential: str | None = None) -> list[Delivery]:
        """Return the deliveries of ``credential``, or of all credentials, the oldest first."""
        return [Delivery.from_document(kept.document) for kept in await self._records.find(KIND, credential)]

    async def unfinished(self, credential: str | None = None) -> list[Record]:
        """Return the records of the unfinished deliveries of ``credential``, or of all credentials."""
        return await self._records.find(KIND, credential, unset="ended")

    async def count_unfinished(self) -> Mapping[DeliveryState, int]:
        """Return the number of unfinished deliveries, by state."""
        found = Counter(DeliveryState(each.document["state"]) for each in await self.unfinished())
        return {state: found[state] for state in DeliveryState if state not in ENDED}

    async def held(self, credential: str, task_id: str | None) -> list[Kept]:
        """Return the held deliveries of ``credential``, or of only one of its tasks."""
        return [
            Kept.read_from(record)
            for record in await self.unfinished(credential)
            if record.document["state"] == DeliveryState.HELD
            and task_id in {None, record.document["task_id"]}
        ]

    async def replace(self, kept: Kept, after: Delivery) -> Kept | None:
        """Replace a delivery, and return it. Return None if it was changed or deleted in the meantime."""
        replaced = await self._records.replace(KIND, kept.record, after.to_document())
        return None if replaced is None else Kept(replaced, after)

    async def change(self, kept: Kept, change: Callable[[Delivery], Delivery]) -> Kept | None:
        """Apply ``change`` to a delivery. Return the changed delivery, or None if it was deleted."""
        # ``replace`` fails if the delivery was changed concurrently. Then try again.
        while (found := await self.read(kept.record.key, kept.serial)) is not None:
            after = change(found.delivery)
            if after == found.delivery:
                return found
            changed = await self.replace(found, after)
            if changed is not None:
                return changed
        return None

    async def fail_all(self, endpoint_id: str, reason: str) -> None:
        """Change all unfinished deliveries to an endpoint to the state ``failed``."""
        for found in await self.unfinished():
            if found.document["endpoint_id"] == endpoint_id:
                await self.change(Kept.read_from(found), lambda current: fail(current, reason))

    async def forget(self, credential: str | None) -> None:
        """Delete the deliveries of ``credential``, or of all credentials."""
        for kept in await self._records.find(KIND, credential):
            await self._records.delete(KIND, kept.key)

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished deliveries whose last attempt is too old."""

        def is_old(record: Record) -> bool:
            document = record.document
            moments = [document["next_at"], *(attempt["at"] for attempt in document["attempts"])]
            return document["state"] in ENDED and max(moments) < oldest(record.credential)

        await delete_old(self._records, KIND, is_old)

    def check(self, document: Mapping[str, Any]) -> None:
        """Check a stored delivery. Its vendor must send webhooks, and its times must be numbers."""
        delivery = Delivery.from_document(document)
        if delivery.vendor not in self._vendors:
            raise ValueError(f"{delivery.vendor!r} has no webhooks")
        strictly(STORED, document)
        needs_message = {DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.DELIVERED}
        require(delivery.message is not None or delivery.state not in needs_message, "the message is missing")
        require(delivery.has_ended or not document.get("ended"), "it has not ended")

    def check_entry(self, entry: Stored) -> None:
        """Check that a delivery is stored under its id and its credential."""
        delivery = Delivery.from_document(entry.document)
        stored = (delivery.id, delivery.credential)
        require(stored == (entry.key, entry.credential), "the id must be the key")
