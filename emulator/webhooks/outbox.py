"""The outbox, which stores webhook deliveries and sends them when they are due.

The delivery is recorded in one transaction with the end of its task, and then the webhook is sent. So no
webhook is lost if the process dies in between, and no webhook announces an end that polls do not report yet.
If the process dies during an attempt, the attempt is repeated with the same message id.

If several processes, called replicas, share the database, each unfinished delivery has an owner: the replica
that announces the end of the task, and sends the webhook. Every replica looks regularly for deliveries whose
owner is dead, and becomes their owner by a compare-and-swap on the record, so that only one replica succeeds.
An owner reads the record before each attempt, and sends nothing if another replica has changed it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from emulator.backends.records import Change, Create, Records
from emulator.backends.replicas import OnlyReplica, Replicas
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful, bare_url
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.webhooks.deliveries import KIND, Deliveries, Kept
from emulator.webhooks.delivery import (
    AttemptResult,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    delivery_id,
    lose,
    record,
    with_message,
)
from emulator.webhooks.dispatcher import Dispatcher
from emulator.webhooks.endpoints import Endpoints
from emulator.webhooks.fault import WebhookFault
from emulator.webhooks.sender import Sender
from emulator.webhooks.takeover import Takeover


class ReplayRefused(Exception):
    """The delivery cannot be sent again: it has no message yet, or its endpoint was removed."""

    def __init__(self, delivery_id: str, reason: str) -> None:
        super().__init__(delivery_id, reason)
        self.delivery_id = delivery_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.reason}"


class Outbox(Stateful):
    """All endpoints of webhooks, and all deliveries to them.

    Parameters
    ----------
    records, clock, ids, sender
        Storage of the deliveries, the clock that dates them, the source of ids, and the HTTP client.
    replicas
        The processes that share the deliveries.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        ids: SeededIds,
        sender: Sender,
        replicas: Replicas | None = None,
    ) -> None:
        self._records = records
        self._clock = clock
        self._replicas: Replicas = replicas or OnlyReplica()
        self.endpoints = Endpoints(records, ids)
        self._deliveries = Deliveries(records, self.endpoints.sources.keys())
        self._dispatcher = Dispatcher(self._deliveries, self.endpoints, clock, sender, self._replicas)
        self._takeover = Takeover(records, self._deliveries, self.endpoints, self._dispatcher, self._replicas)
        self._is_loaded = False
        self._announcing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def attempted(self) -> Counter[tuple[str, AttemptResult]]:
        """Number of attempts since the start of the process, by vendor and result.

        A reset does not change it.
        """
        return self._dispatcher.attempted

    @property
    def checks(self) -> Mapping[str, Check]:
        """Validators of stored endpoints and deliveries.

        The vendor of a delivery must send webhooks, and the times must be numbers.
        """
        return {KIND: self._deliveries.check, **self.endpoints.checks}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """A delivery and an endpoint must be stored under their ids."""
        return {KIND: self._deliveries.check_entry, **self.endpoints.entry_checks}

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an endpoint or a delivery without its secret, and without the secret parts of its URL."""
        if kind == KIND:
            return {**document, "url": bare_url(document["url"])}
        return self.endpoints.without_secrets(kind, document)

    async def load(self) -> None:
        """Read the endpoints, and resume unfinished deliveries, at startup and after a restore.

        At startup, other replicas may send deliveries, so ``sweep`` resumes those whose owner is dead. A
        restore has replaced all deliveries, so this process resumes all of them.
        """
        await self._dispatcher.cancel()
        await self.endpoints.load()
        if self._is_loaded or not self._records.is_shared:
            await self._takeover.take_all()
        self._is_loaded = True
        self._takeover.start()

    async def sweep(self) -> None:
        """Resume the deliveries that no live replica sends."""
        await self._takeover.sweep()

    async def unfinished(self) -> Mapping[DeliveryState, int]:
        """Return the number of unfinished deliveries of all replicas, by state."""
        return await self._deliveries.count_unfinished()

    async def forget(self, credential: str | None) -> None:
        """Delete the deliveries and endpoints of ``credential``, or of all credentials.

        Endpoints from the settings remain.
        """
        await self._dispatcher.cancel(credential)
        await self._deliveries.forget(credential)
        await self.endpoints.forget(credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished deliveries whose last attempt is too old."""
        await self._deliveries.purge(oldest)

    async def close(self) -> None:
        """Cancel the running deliveries and close the connections."""
        await self._takeover.close()
        await self._dispatcher.close()

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint, and return whether it existed. Its unfinished deliveries fail."""
        known = await self.endpoints.remove(endpoint_id)
        await self._deliveries.fail_all(endpoint_id, "the endpoint was removed")
        return known

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None if it does not exist."""
        kept = await self._deliveries.read(delivery_id)
        return None if kept is None else kept.delivery

    async def deliveries(self, credential: str | None = None) -> list[Delivery]:
        """Return the deliveries of ``credential``, or of all credentials, the oldest first."""
        return await self._deliveries.all(credential)

    async def prepared(self, vendor: str, credential: str, task_id: str) -> list[Change]:
        """Return the changes that store a delivery to each endpoint, together with the end of a task.

        Deliveries that already exist are left out.
        """
        await self._records.catch_up()  # an endpoint may have been added by another replica
        changes: list[Change] = []
        for endpoint in self.endpoints.listening(vendor, credential):
            delivery = Delivery(
                delivery_id(task_id, endpoint.id), credential, vendor, task_id, endpoint.id, endpoint.url,
                owner=self._replicas.me,
            )  # fmt: skip
            if await self.find(delivery.id) is None:
                changes.append(Create(KIND, delivery.id, credential, delivery.to_document()))
        return changes

    async def announce(
        self,
        vendor: str,
        credential: str,
        task_id: str,
        message: Message,
        decide: Callable[[], Awaitable[tuple[WebhookFault, str | None]]],
        *,
        holder: str | None = None,
    ) -> None:
        """Send ``message`` to each endpoint with a prepared delivery for the task.

        If a plan decides when they are sent, ``holder`` is the replica that follows the plan. The deliveries
        are held back until ``send`` or ``release_held`` is called, or this replica dies. ``decide`` is called
        for each delivery. It returns the fault of the delivery, and what requested the fault.
        """
        await self._records.catch_up()
        for endpoint in self.endpoints.listening(vendor, credential):
            number = delivery_id(task_id, endpoint.id)
            # ``sweep`` may announce the same end at the same time.
            async with self._announcing.setdefault(number, asyncio.Lock()):
                prepared = await self._deliveries.read(number)
                if prepared is not None and await self._is_mine_to_announce(prepared.delivery):
                    fault, source = await decide()
                    await self._send_prepared(prepared, message, fault, source, holder)

    async def send(self, delivery_id: str) -> Delivery | None:
        """Send a delivery now, and return it after the attempt. Return None if the delivery was deleted.

        A held delivery is retried as usual if the endpoint does not accept the webhook. A delivery in another
        state is sent once more, as by ``replay``.
        """
        held = await self._deliveries.read_latest(delivery_id)
        if held is None or held.delivery.state is not DeliveryState.HELD:
            return None if held is None else await self.replay(delivery_id)
        first = asyncio.Event()
        work = self._dispatcher.start_held(held, self._clock.now(held.delivery.credential), first)
        attempted = asyncio.create_task(first.wait())
        try:
            await asyncio.wait({work, attempted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            attempted.cancel()
        return await self.find(delivery_id)

    async def release_held(self, credential: str, task_id: str | None = None) -> None:
        """Release the held deliveries of ``credential``, or of only one of its tasks.

        Each is sent when its first attempt is due.
        """
        for held in await self._deliveries.held(credential, task_id):
            self._dispatcher.start_held(held)

    async def lose(self, credential: str, task_id: str) -> None:
        """Change the held deliveries of a task to the state ``lost``, so that they are never sent."""
        for held in await self._deliveries.held(credential, task_id):
            await self._deliveries.change(held, lose)

    async def replay(self, delivery_id: str) -> Delivery | None:
        """Send a delivery again without faults, and return it after the attempt.

        Return None if the delivery was deleted.

        Raises
        ------
        ReplayRefused
            If the delivery has no message yet, or its endpoint was removed.
        """
        kept = await self._deliveries.read_latest(delivery_id)
        if kept is None:
            return None
        delivery = kept.delivery
        if delivery.message is None:
            raise ReplayRefused(delivery_id, "the end of its task is not recorded yet")
        if self.endpoints.get(delivery.endpoint_id) is None:
            raise ReplayRefused(delivery_id, "its endpoint was removed")

        async def find_endpoint() -> Endpoint | None:
            exists = await self._deliveries.read_latest(delivery_id, kept.serial) is not None
            return self.endpoints.get(delivery.endpoint_id) if exists else None

        number = delivery.attempts[-1].number if delivery.attempts else 1
        attempt = await self._dispatcher.attempt(delivery, delivery.message, number, "good", find_endpoint)
        if attempt is None:
            if await self._deliveries.read(delivery_id, kept.serial) is None:
                return None
            raise ReplayRefused(delivery_id, "its endpoint was removed")
        policy = self.endpoints.sources[delivery.vendor].policy
        noted = await self._deliveries.change(
            kept, lambda current: record(current, [replace(attempt, is_replay=True)], policy)
        )
        return None if noted is None else noted.delivery

    async def _is_mine_to_announce(self, prepared: Delivery) -> bool:
        """Return whether this replica announces a delivery: it is the owner, or the owner is dead."""
        if prepared.state is not DeliveryState.PREPARED:
            return False
        return prepared.owner == self._replicas.me or prepared.owner not in await self._replicas.living()

    async def _send_prepared(
        self, prepared: Kept, message: Message, fault: WebhookFault, source: str | None, holder: str | None
    ) -> None:
        """Add the message to a prepared delivery, and send it unless ``holder`` holds it back."""
        now = self._clock.now(prepared.delivery.credential)

        def change(current: Delivery) -> Delivery:
            changed = with_message(current, message, fault, source, now, hold=holder is not None)
            owner = self._replicas.me if holder is None else holder
            return changed if changed == current else replace(changed, owner=owner)

        released = await self._deliveries.change(prepared, change)
        if released is not None and self._dispatcher.is_mine(released):
            self._dispatcher.start(released)
