"""The outbox, which stores webhook deliveries and sends them when they are due.

The delivery is recorded in one transaction with the end of its task, and then the webhook is sent. So no
webhook is lost if the process dies in between, and no webhook announces an end that polls do not report yet.
If the process dies during an attempt, the attempt is repeated with the same message id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from emulator.backends.records import Change, Create, Record, Records
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import (
    Check,
    EntryCheck,
    Oldest,
    Stateful,
    Stored,
    bare_url,
    require,
    strictly,
)
from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.clock import Clock, Stopwatch, machine_time
from emulator.ids import SeededIds
from emulator.webhooks.delivery import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    Policy,
    delivery_id,
    fail,
    lose,
    record,
    unheld,
    with_message,
)
from emulator.webhooks.endpoints import Endpoints
from emulator.webhooks.fault import STALE_SECONDS, Signature, WebhookFault
from emulator.webhooks.lane import Lane
from emulator.webhooks.sender import Sender, SendFailed

logger = logging.getLogger(__name__)

KIND = "webhook/delivery"

ENDED = frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.LOST})
"""States of deliveries that are never sent again, unless a tester requests it."""

STORED = TypeAdapter(Delivery)
"""Validates the types of a stored delivery."""


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
    """

    def __init__(self, records: Records, clock: Clock, ids: SeededIds, sender: Sender) -> None:
        self._records = records
        self._clock = clock
        self._sender = sender
        self.endpoints = Endpoints(records, ids)
        self._lanes: dict[str, Lane] = {}
        self._background = Background("the end of a webhook could not be recorded")

    @property
    def checks(self) -> Mapping[str, Check]:
        """Validators of stored endpoints and deliveries.

        The vendor of a delivery must send webhooks, and the times must be numbers.
        """
        return {KIND: self._check, **self.endpoints.checks}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """A delivery and an endpoint must be stored under their ids."""
        return {KIND: self._check_entry, **self.endpoints.entry_checks}

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an endpoint or a delivery without its secret, and without the secret parts of its URL."""
        if kind == KIND:
            return {**document, "url": bare_url(document["url"])}
        return self.endpoints.without_secrets(kind, document)

    async def load(self) -> None:
        """Resume all unfinished deliveries, at startup and after a restore."""
        await self._background.cancel()
        await self.endpoints.load()
        for kept in await self._records.find(KIND):
            delivery = Delivery.from_document(kept.document)
            if delivery.state is DeliveryState.PREPARED:
                await self.endpoints.sources[delivery.vendor].announce_again(delivery.task_id)
            elif delivery.state is DeliveryState.WAITING:
                self._spawn(delivery)
            elif delivery.state is DeliveryState.HELD:
                self._spawn_held(delivery)  # the plan that held it back was lost on the restart

    async def forget(self, credential: str | None) -> None:
        """Delete the deliveries and endpoints of ``credential``, or of all credentials.

        Endpoints from the settings remain.
        """
        await self._background.cancel(credential)
        for kept in await self._records.find(KIND, credential):
            await self._records.delete(KIND, kept.key)
        await self.endpoints.forget(credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished deliveries whose last attempt is too old."""

        def is_old(record: Record) -> bool:
            document = record.document
            moments = [document["next_at"], *(attempt["at"] for attempt in document["attempts"])]
            return document["state"] in ENDED and max(moments) < oldest(record.credential)

        await delete_old(self._records, KIND, is_old)

    async def close(self) -> None:
        """Cancel the running deliveries and close the connections."""
        await self._background.cancel()
        await self._sender.close()

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint, and return whether it existed. Its unfinished deliveries fail."""
        known = await self.endpoints.remove(endpoint_id)
        await self._fail_deliveries(endpoint_id, "the endpoint was removed")
        return known

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None if it does not exist."""
        kept = await self._records.get(KIND, delivery_id)
        return None if kept is None else Delivery.from_document(kept.document)

    async def deliveries(self, credential: str | None = None) -> list[Delivery]:
        """Return the deliveries of ``credential``, or of all credentials, the oldest first."""
        return [Delivery.from_document(kept.document) for kept in await self._records.find(KIND, credential)]

    async def prepare(self, vendor: str, credential: str, task_id: str) -> None:
        """For the end of a task, record a delivery to each endpoint. Existing deliveries do not change."""
        await self._records.write(await self.prepared(vendor, credential, task_id))

    async def prepared(self, vendor: str, credential: str, task_id: str) -> list[Change]:
        """Return the changes that record, for the end of a task, a delivery to each endpoint.

        There are none for deliveries that exist.
        """
        changes: list[Change] = []
        for endpoint in self.endpoints.listening(vendor, credential):
            delivery = Delivery(
                delivery_id(task_id, endpoint.id), credential, vendor, task_id, endpoint.id, endpoint.url
            )
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
        hold: bool = False,
    ) -> None:
        """Send ``message`` to each endpoint with a prepared delivery for the task.

        With ``hold``, the deliveries are held back until ``send`` or ``release_held`` is called. ``decide``
        is called for each delivery. It returns the fault of the delivery, and what requested the fault.
        """
        for endpoint in self.endpoints.listening(vendor, credential):
            prepared = await self.find(delivery_id(task_id, endpoint.id))
            if prepared is not None and prepared.state is DeliveryState.PREPARED:
                fault, source = await decide()
                await self._send_prepared(prepared, message, fault, source, hold=hold)

    async def send(self, delivery_id: str) -> Delivery | None:
        """Send a delivery now, and return it after the attempt. Return None if the delivery was deleted.

        A held delivery is retried as usual if the endpoint does not accept the webhook. A delivery in another
        state is sent once more, as by ``replay``.
        """
        held = await self.find(delivery_id)
        if held is None or held.state is not DeliveryState.HELD:
            return held if held is None else await self.replay(delivery_id)
        first = asyncio.Event()
        work = self._spawn_held(held, self._clock.now(held.credential), first)
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
        for held in await self._held(credential, task_id):
            self._spawn_held(held)

    async def lose(self, credential: str, task_id: str) -> None:
        """Change the held deliveries of a task to the state ``lost``, so that they are never sent."""
        for held in await self._held(credential, task_id):
            await self._change(held.id, lose)

    async def replay(self, delivery_id: str) -> Delivery | None:
        """Send a delivery again without faults, and return it after the attempt.

        Return None if the delivery was deleted.

        Raises
        ------
        ReplayRefused
            If the delivery has no message yet, or its endpoint was removed.
        """
        delivery = await self.find(delivery_id)
        if delivery is None:
            return None
        if delivery.message is None:
            raise ReplayRefused(delivery_id, "the end of its task is not recorded yet")
        endpoint = self.endpoints.get(delivery.endpoint_id)
        if endpoint is None:
            raise ReplayRefused(delivery_id, "its endpoint was removed")
        number = delivery.attempts[-1].number if delivery.attempts else 1
        attempt = await self._attempt(delivery, delivery.message, endpoint, number, "good")
        return await self._note(delivery, [replace(attempt, is_replay=True)])

    async def _send_prepared(
        self, prepared: Delivery, message: Message, fault: WebhookFault, source: str | None, *, hold: bool
    ) -> None:
        now = self._clock.now(prepared.credential)
        released = await self._change(
            prepared.id, lambda current: with_message(current, message, fault, source, now, hold=hold)
        )
        if released is not None and released.state is DeliveryState.WAITING:
            self._spawn(released)

    async def _held(self, credential: str, task_id: str | None) -> list[Delivery]:
        return [
            delivery
            for delivery in await self.deliveries(credential)
            if delivery.state is DeliveryState.HELD and task_id in {None, delivery.task_id}
        ]

    def _spawn_held(
        self, held: Delivery, at: float | None = None, first: asyncio.Event | None = None
    ) -> asyncio.Task[None]:
        """Start a background task that releases a held delivery and sends it, and return this task.

        ``at`` replaces the time of the first attempt. ``first`` is set after the first attempt. One task does
        both, because a cancelled caller could otherwise leave a released delivery that nothing sends.
        """

        async def send() -> None:
            is_first = False

            def change(current: Delivery) -> Delivery:
                nonlocal is_first
                is_first = current.state is DeliveryState.HELD
                return unheld(current, at)

            waiting = await until_stored(lambda: self._change(held.id, change))
            if waiting is not None and is_first:  # otherwise another task sends it
                await self._deliver_or_fail(waiting, first)

        return self._background.start(held.credential, send())

    def _spawn(self, delivery: Delivery) -> asyncio.Task[None]:
        return self._background.start(delivery.credential, self._deliver_or_fail(delivery))

    async def _deliver_or_fail(self, waiting: Delivery, first: asyncio.Event | None = None) -> None:
        """Make the attempts of a delivery. After an unexpected exception, mark the delivery as failed.

        If it were not marked, it would stay unfinished until a restart, because nothing retries it.
        """
        try:
            await self._deliver(waiting, first)
        except Exception as error:
            logger.exception("a webhook could not be delivered")
            reason = f"it could not be sent: {type(error).__name__}: {error}"
            await until_stored(lambda: self._change(waiting.id, lambda current: fail(current, reason)))

    async def _deliver(self, waiting: Delivery, first: asyncio.Event | None) -> None:
        """Make attempts until the delivery has ended. Set ``first`` after the first attempt."""
        delivery: Delivery | None = waiting
        delivery_id = waiting.id
        while delivery is not None and delivery.state is DeliveryState.WAITING:
            await self._clock.wait_until(delivery.next_at, delivery.credential)
            # During the wait, the delivery may have been replayed, or its endpoint removed.
            delivery = await until_stored(lambda: self.find(delivery_id))
            if delivery is None or delivery.state is not DeliveryState.WAITING:
                break
            sent = await self._send_copies(delivery)
            delivery = await until_stored(partial(self._note, delivery, sent))
            if any(attempt.is_gone for attempt in sent):
                await until_stored(partial(self.endpoints.disable, waiting.endpoint_id, "it answered 410"))
                gone = "the endpoint answered 410"
                await until_stored(partial(self._fail_deliveries, waiting.endpoint_id, gone))
            if first is not None:
                first.set()

    async def _note(self, delivery: Delivery, sent: Sequence[Attempt]) -> Delivery | None:
        policy = self._policy(delivery)
        if not sent:
            return await self._change(
                delivery.id, lambda current: fail(current, "its endpoint was removed or disabled")
            )
        return await self._change(delivery.id, lambda current: record(current, sent, policy))

    async def _send_copies(self, delivery: Delivery) -> list[Attempt]:
        """Make the next attempt and its copies, and return them.

        Return an empty list if the endpoint was removed or disabled.
        """
        scheduled = [attempt for attempt in delivery.attempts if not attempt.is_replay]
        number = scheduled[-1].number + 1 if scheduled else 1
        sent: list[Attempt] = []
        for _ in range(delivery.fault.copies):
            endpoint = self.endpoints.get(delivery.endpoint_id)
            if endpoint is None or endpoint.disabled is not None or delivery.message is None:
                break
            attempt = await self._attempt(
                delivery, delivery.message, endpoint, number, delivery.fault.signature
            )
            injected = delivery.fault.model_dump(exclude_defaults=True)
            sent.append(
                replace(attempt, injected={**injected, "source": delivery.source} if injected else None)
            )
        return sent

    async def _attempt(
        self, delivery: Delivery, message: Message, endpoint: Endpoint, number: int, signature: Signature
    ) -> Attempt:
        source = self.endpoints.sources[delivery.vendor]
        answered: dict[str, Any]
        async with self._lanes.setdefault(endpoint.id, Lane()).turn() as on_sent:
            try:
                at = self._clock.now(delivery.credential)
                sent_at = int(at if endpoint.timestamps == "clock" else machine_time())
                sent_at -= STALE_SECONDS if signature == "stale" else 0
                stopwatch = Stopwatch()
                answer = await self._sender.post(
                    endpoint.url,
                    source.headers(endpoint.secret, message, sent_at, signature),
                    message.body,
                    timeout_s=source.policy.timeout_s,
                    on_sent=on_sent,
                )
                answered = {"status": answer.status, "retry_after": answer.retry_after}
            except SendFailed as error:
                answered = {"error": error.reason}
        return Attempt(number, at, stopwatch.elapsed_ms(), **answered)

    async def _fail_deliveries(self, endpoint_id: str, reason: str) -> None:
        for delivery in await self.deliveries():
            if delivery.endpoint_id == endpoint_id:
                await self._change(delivery.id, lambda current: fail(current, reason))

    def _check(self, document: Mapping[str, Any]) -> None:
        delivery = Delivery.from_document(document)
        if delivery.vendor not in self.endpoints.sources:
            raise ValueError(f"{delivery.vendor!r} has no webhooks")
        strictly(STORED, document)
        needs_message = {DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.DELIVERED}
        require(delivery.message is not None or delivery.state not in needs_message, "the message is missing")

    def _check_entry(self, entry: Stored) -> None:
        delivery = Delivery.from_document(entry.document)
        stored = (delivery.id, delivery.credential)
        require(stored == (entry.key, entry.credential), "the id must be the key")

    def _policy(self, delivery: Delivery) -> Policy:
        return self.endpoints.sources[delivery.vendor].policy

    async def _change(self, delivery_id: str, change: Callable[[Delivery], Delivery]) -> Delivery | None:
        """Apply ``change`` to a delivery. Return the changed delivery, or None if it was deleted."""
        # ``replace`` fails if the delivery was changed concurrently. Then try again.
        while (kept := await self._records.get(KIND, delivery_id)) is not None:
            before = Delivery.from_document(kept.document)
            after = change(before)
            if after == before or await self._records.replace(KIND, kept, after.to_document()):
                return after
        return None
