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
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from weakref import WeakValueDictionary

from pydantic import TypeAdapter

from emulator.backends.records import Change, Create, Record, Records
from emulator.backends.records.purge import BATCH, delete_old
from emulator.backends.replicas import OnlyReplica, Replicas
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
from emulator.backends.unavailable import StoreUnavailable, until_stored
from emulator.background import Background
from emulator.clock import Clock, Stopwatch, machine_time
from emulator.ids import SeededIds
from emulator.webhooks.delivery import (
    ENDED,
    Attempt,
    AttemptResult,
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

SWEEP_SECONDS: Final = 2.0
"""Real seconds between two searches for deliveries whose owner is dead."""

UNREACHABLE: Final = "its endpoint was removed or disabled"

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


@dataclass(frozen=True)
class _Kept:
    """A delivery, and the record that it was read from."""

    record: Record
    delivery: Delivery

    @property
    def serial(self) -> int:
        """Number of the record. A delivery that is deleted and created again gets a new number."""
        return self.record.serial

    def is_same(self, other: _Kept | None) -> bool:
        """Return whether the delivery was not changed between the two reads."""
        return other is not None and (self.serial, self.record.version) == (
            other.serial,
            other.record.version,
        )


class Outbox(Stateful):
    """All endpoints of webhooks, and all deliveries to them.

    Parameters
    ----------
    records, clock, ids, sender
        Storage of the deliveries, the clock that dates them, the source of ids, and the HTTP client.
    replicas
        The processes that share the deliveries.

    Attributes
    ----------
    attempted : Counter
        Number of attempts since the start of the process, by vendor and result. A reset does not change it.
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
        self._sender = sender
        self._replicas: Replicas = replicas or OnlyReplica()
        self.endpoints = Endpoints(records, ids)
        self.attempted: Counter[tuple[str, AttemptResult]] = Counter()
        self._lanes: dict[str, Lane] = {}
        self._background = Background("the end of a webhook could not be recorded")
        self._is_loaded = False
        self._sweeper: asyncio.Task[None] | None = None
        # The serial numbers of the deliveries that this process releases or sends.
        self._sending: set[int] = set()
        # Those of them that wait for their next attempt.
        self._asleep: dict[int, asyncio.Task[None]] = {}
        self._announcing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Own deliveries that nothing sent during the last sweep.
        self._idle: set[int] = set()

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
        """Read the endpoints, and resume unfinished deliveries, at startup and after a restore.

        At startup, other replicas may send deliveries, so ``sweep`` resumes those whose owner is dead. A
        restore has replaced all deliveries, so this process resumes all of them.
        """
        await self._background.cancel()
        await self.endpoints.load()
        if self._is_loaded or not self._records.is_shared:
            for record in await self._unfinished():
                await self._take(record)
        self._is_loaded = True
        if self._records.is_shared and self._sweeper is None:
            self._sweeper = asyncio.create_task(self._keep_sweeping())

    async def sweep(self) -> None:
        """Resume the deliveries that no living replica sends.

        These are the deliveries whose owner is dead, and those of this replica that nothing has sent since
        the previous sweep, for example because the answer to a write was lost.
        """
        asleep = set(self._asleep)
        await self._records.catch_up()
        found = await self._unfinished()
        # Afterwards, because an owner that has just started must not seem to be dead.
        living = {*await self._replicas.living(), self._replicas.me}
        mine = [each for each in found if _owner(each) == self._replicas.me]
        for serial in asleep - {each.serial for each in mine}:
            if serial in self._asleep:  # it was ended or deleted, or belongs to another replica now
                self._asleep[serial].cancel()
        idle = {each.serial for each in mine if self._is_idle(each)}
        left = [each for each in found if each.serial in idle & self._idle or _owner(each) not in living]
        self._idle = idle
        for number, each in enumerate(left):
            if number % BATCH == BATCH - 1:
                await asyncio.sleep(0)
            try:
                await self._take(each)
            except StoreUnavailable:
                raise
            except Exception:
                logger.exception("the delivery %s could not be resumed", each.key)

    async def unfinished(self) -> Mapping[DeliveryState, int]:
        """Return the number of unfinished deliveries of all replicas, by state."""
        found = Counter(DeliveryState(each.document["state"]) for each in await self._unfinished())
        return {state: found[state] for state in DeliveryState if state not in ENDED}

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
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
            self._sweeper = None
        await self._background.cancel()
        await self._sender.close()

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint, and return whether it existed. Its unfinished deliveries fail."""
        known = await self.endpoints.remove(endpoint_id)
        await self._fail_deliveries(endpoint_id, "the endpoint was removed")
        return known

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None if it does not exist."""
        kept = await self._read(delivery_id)
        return None if kept is None else kept.delivery

    async def deliveries(self, credential: str | None = None) -> list[Delivery]:
        """Return the deliveries of ``credential``, or of all credentials, the oldest first."""
        return [Delivery.from_document(kept.document) for kept in await self._records.find(KIND, credential)]

    async def prepared(self, vendor: str, credential: str, task_id: str) -> list[Change]:
        """Return the changes that record, for the end of a task, a delivery to each endpoint.

        There are none for deliveries that exist.
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

        ``holder`` is the replica whose plan decides when they are sent: the deliveries are held back until
        ``send`` or ``release_held`` is called, or this replica dies. ``decide`` is called for each delivery.
        It returns the fault of the delivery, and what requested the fault.
        """
        await self._records.catch_up()
        for endpoint in self.endpoints.listening(vendor, credential):
            number = delivery_id(task_id, endpoint.id)
            # ``sweep`` may announce the same end at the same time.
            async with self._announcing.setdefault(number, asyncio.Lock()):
                prepared = await self._read(number)
                if prepared is not None and await self._is_mine_to_announce(prepared.delivery):
                    fault, source = await decide()
                    await self._send_prepared(prepared, message, fault, source, holder)

    async def send(self, delivery_id: str) -> Delivery | None:
        """Send a delivery now, and return it after the attempt. Return None if the delivery was deleted.

        A held delivery is retried as usual if the endpoint does not accept the webhook. A delivery in another
        state is sent once more, as by ``replay``.
        """
        await self._records.catch_up()
        held = await self._read(delivery_id)
        if held is None or held.delivery.state is not DeliveryState.HELD:
            return None if held is None else await self.replay(delivery_id)
        first = asyncio.Event()
        work = self._spawn_held(held, self._clock.now(held.delivery.credential), first)
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
            await self._change(held, lose)

    async def replay(self, delivery_id: str) -> Delivery | None:
        """Send a delivery again without faults, and return it after the attempt.

        Return None if the delivery was deleted.

        Raises
        ------
        ReplayRefused
            If the delivery has no message yet, or its endpoint was removed.
        """
        await self._records.catch_up()
        kept = await self._read(delivery_id)
        if kept is None:
            return None
        delivery = kept.delivery
        if delivery.message is None:
            raise ReplayRefused(delivery_id, "the end of its task is not recorded yet")
        if self.endpoints.get(delivery.endpoint_id) is None:
            raise ReplayRefused(delivery_id, "its endpoint was removed")

        async def find_endpoint() -> Endpoint | None:
            await self._records.catch_up()
            exists = await self._read(delivery_id, kept.serial) is not None
            return self.endpoints.get(delivery.endpoint_id) if exists else None

        number = delivery.attempts[-1].number if delivery.attempts else 1
        attempt = await self._attempt(delivery, delivery.message, number, "good", find_endpoint)
        if attempt is None:
            if await self._read(delivery_id, kept.serial) is None:
                return None
            raise ReplayRefused(delivery_id, "its endpoint was removed")
        policy = self._policy(delivery)
        noted = await self._change(
            kept, lambda current: record(current, [replace(attempt, is_replay=True)], policy)
        )
        return None if noted is None else noted.delivery

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreUnavailable:
                logger.debug("the deliveries of dead replicas cannot be looked for now", exc_info=True)
            except Exception:
                logger.exception("the deliveries of dead replicas could not be looked for")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _unfinished(self, credential: str | None = None) -> list[Record]:
        return await self._records.find(KIND, credential, unset="ended")

    def _is_idle(self, record: Record) -> bool:
        """Return whether an own delivery may have to be resumed. A plan of this process resumes held ones."""
        state = record.document["state"]
        return state == DeliveryState.PREPARED or (
            state == DeliveryState.WAITING and record.serial not in self._sending
        )

    async def _take(self, record: Record) -> None:
        """Become the owner of an unfinished delivery, if it has not changed, and resume it."""
        kept = _Kept(record, Delivery.from_document(record.document))
        if kept.delivery.owner != self._replicas.me:
            # The plan that held it back was lost with its owner.
            taken = await self._replace(kept, unheld(replace(kept.delivery, owner=self._replicas.me)))
            if taken is None:
                return  # another replica was faster
            kept = taken
        delivery = kept.delivery
        if delivery.state is DeliveryState.WAITING:
            self._spawn(kept)
        elif delivery.state is DeliveryState.HELD:
            self._spawn_held(kept)
        elif self._endpoint(delivery) is not None:
            await self.endpoints.sources[delivery.vendor].announce_again(delivery.task_id)
        else:
            await self._change(kept, lambda current: fail(current, UNREACHABLE))

    async def _is_mine_to_announce(self, prepared: Delivery) -> bool:
        """Return whether this replica announces a delivery: whether no other living one owns it."""
        if prepared.state is not DeliveryState.PREPARED:
            return False
        return prepared.owner == self._replicas.me or prepared.owner not in await self._replicas.living()

    async def _send_prepared(
        self, prepared: _Kept, message: Message, fault: WebhookFault, source: str | None, holder: str | None
    ) -> None:
        """Add the message to a prepared delivery, and send it unless ``holder`` holds it back."""
        now = self._clock.now(prepared.delivery.credential)

        def change(current: Delivery) -> Delivery:
            changed = with_message(current, message, fault, source, now, hold=holder is not None)
            owner = self._replicas.me if holder is None else holder
            return changed if changed == current else replace(changed, owner=owner)

        released = await self._change(prepared, change)
        if released is not None and self._is_mine(released):
            self._spawn(released)

    async def _held(self, credential: str, task_id: str | None) -> list[_Kept]:
        return [
            _Kept(record, Delivery.from_document(record.document))
            for record in await self._unfinished(credential)
            if record.document["state"] == DeliveryState.HELD
            and task_id in {None, record.document["task_id"]}
        ]

    def _spawn_held(
        self, held: _Kept, at: float | None = None, first: asyncio.Event | None = None
    ) -> asyncio.Task[None]:
        """Start a background task that releases a held delivery and sends it, and return this task.

        ``at`` replaces the time of the first attempt. ``first`` is set after the first attempt. One task does
        both, because a cancelled caller could otherwise leave a released delivery that nothing sends.
        """

        async def send() -> None:
            def change(current: Delivery) -> Delivery:
                released = unheld(current, at)
                return current if released == current else replace(released, owner=self._replicas.me)

            waiting = await until_stored(lambda: self._change(held, change))
            if waiting is not None:
                await self._deliver_or_fail(waiting, first)

        return self._background.start(held.delivery.credential, self._alone(held, send))

    def _spawn(self, waiting: _Kept) -> asyncio.Task[None]:
        work = self._alone(waiting, lambda: self._deliver_or_fail(waiting))
        return self._background.start(waiting.delivery.credential, work)

    async def _alone(self, kept: _Kept, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that sends a delivery, unless this process already does such work."""
        if kept.serial in self._sending:
            return
        self._sending.add(kept.serial)
        try:
            await work()
        finally:
            self._sending.discard(kept.serial)

    async def _deliver_or_fail(self, waiting: _Kept, first: asyncio.Event | None = None) -> None:
        """Make the attempts of a delivery. After an unexpected exception, mark the delivery as failed.

        If it were not marked, it would stay unfinished until a restart, because nothing retries it.
        """
        try:
            await self._deliver(waiting, first)
        except Exception as error:
            logger.exception("a webhook could not be delivered")
            reason = f"it could not be sent: {type(error).__name__}: {error}"
            await until_stored(lambda: self._change(waiting, lambda current: fail(current, reason)))

    async def _deliver(self, waiting: _Kept, first: asyncio.Event | None) -> None:
        """Make attempts until the delivery has ended. Set ``first`` after the first attempt."""
        kept: _Kept | None = waiting
        while kept is not None and self._is_mine(kept):
            await self._wait(kept)
            sent = await self._send_copies(kept)
            kept = await until_stored(partial(self._note, kept, sent))
            if any(attempt.is_gone for attempt in sent):
                endpoint_id = waiting.delivery.endpoint_id
                await until_stored(partial(self.endpoints.disable, endpoint_id, "it answered 410"))
                gone = "the endpoint answered 410"
                await until_stored(partial(self._fail_deliveries, endpoint_id, gone))
            if first is not None:
                first.set()

    def _is_mine(self, kept: _Kept) -> bool:
        """Return whether this replica sends a delivery."""
        delivery = kept.delivery
        return delivery.state is DeliveryState.WAITING and delivery.owner == self._replicas.me

    async def _wait(self, kept: _Kept) -> None:
        """Wait until the next attempt is due. ``sweep`` cancels the wait if the delivery was lost."""
        task = asyncio.current_task()
        if task is not None:
            self._asleep[kept.serial] = task
        try:
            await self._clock.wait_until(kept.delivery.next_at, kept.delivery.credential)
        finally:
            self._asleep.pop(kept.serial, None)

    async def _note(self, kept: _Kept, sent: Sequence[Attempt]) -> _Kept | None:
        """Record what was sent, and return the delivery, or None if it was deleted.

        If nothing was sent, fail the delivery. But if another replica has changed it, return it as it is.
        """
        if not sent:
            failed = await self._replace(kept, fail(kept.delivery, UNREACHABLE))
            return failed or await self._read(kept.record.key, kept.serial)
        policy = self._policy(kept.delivery)

        def note(current: Delivery) -> Delivery:
            # A write can succeed although its answer is lost. Then it must not happen again.
            is_noted = current.attempts[-len(sent) :] == tuple(sent)
            return current if is_noted else record(current, sent, policy)

        return await self._change(kept, note)

    async def _send_copies(self, kept: _Kept) -> list[Attempt]:
        """Make the next attempt and its copies, and return them.

        Return an empty list if the endpoint was removed or disabled, or if the delivery was changed.
        """
        delivery = kept.delivery
        scheduled = [attempt for attempt in delivery.attempts if not attempt.is_replay]
        number = scheduled[-1].number + 1 if scheduled else 1

        async def find_endpoint() -> Endpoint | None:
            # During the wait, the delivery may have been deleted, replayed, or taken by another replica.
            await self._records.catch_up()
            is_unchanged = kept.is_same(await self._read(delivery.id, kept.serial))
            return self._endpoint(delivery) if is_unchanged else None

        injected = delivery.fault.model_dump(exclude_defaults=True)
        sent: list[Attempt] = []
        for _ in range(delivery.fault.copies):
            if delivery.message is None:
                break
            attempt = await self._attempt(
                delivery,
                delivery.message,
                number,
                delivery.fault.signature,
                lambda: until_stored(find_endpoint),
            )
            if attempt is None:
                break
            sent.append(
                replace(attempt, injected={**injected, "source": delivery.source} if injected else None)
            )
        return sent

    async def _attempt(
        self,
        delivery: Delivery,
        message: Message,
        number: int,
        signature: Signature,
        find_endpoint: Callable[[], Awaitable[Endpoint | None]],
    ) -> Attempt | None:
        """Make one attempt when it is its turn. Make none if ``find_endpoint`` then returns None."""
        source = self.endpoints.sources[delivery.vendor]
        answered: dict[str, Any]
        async with self._lanes.setdefault(delivery.endpoint_id, Lane()).turn() as on_sent:
            endpoint = await find_endpoint()
            if endpoint is None:
                return None
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
        attempt = Attempt(number, at, stopwatch.elapsed_ms(), **answered)
        self.attempted[delivery.vendor, attempt.result] += 1
        return attempt

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        """Return the endpoint of a delivery, or None if it was removed or disabled."""
        endpoint = self.endpoints.get(delivery.endpoint_id)
        return None if endpoint is None or endpoint.disabled is not None else endpoint

    async def _fail_deliveries(self, endpoint_id: str, reason: str) -> None:
        for found in await self._unfinished():
            if found.document["endpoint_id"] == endpoint_id:
                kept = _Kept(found, Delivery.from_document(found.document))
                await self._change(kept, lambda current: fail(current, reason))

    def _check(self, document: Mapping[str, Any]) -> None:
        delivery = Delivery.from_document(document)
        if delivery.vendor not in self.endpoints.sources:
            raise ValueError(f"{delivery.vendor!r} has no webhooks")
        strictly(STORED, document)
        needs_message = {DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.DELIVERED}
        require(delivery.message is not None or delivery.state not in needs_message, "the message is missing")
        require(delivery.has_ended or not document.get("ended"), "it has not ended")

    def _check_entry(self, entry: Stored) -> None:
        delivery = Delivery.from_document(entry.document)
        stored = (delivery.id, delivery.credential)
        require(stored == (entry.key, entry.credential), "the id must be the key")

    def _policy(self, delivery: Delivery) -> Policy:
        return self.endpoints.sources[delivery.vendor].policy

    async def _read(self, delivery_id: str, serial: int | None = None) -> _Kept | None:
        """Return a delivery, or None if it was deleted: if it does not exist, or has another number."""
        found = await self._records.get(KIND, delivery_id)
        if found is None or serial not in {None, found.serial}:
            return None
        return _Kept(found, Delivery.from_document(found.document))

    async def _replace(self, kept: _Kept, after: Delivery) -> _Kept | None:
        """Replace a delivery, and return it. Return None if it was changed or deleted in the meantime."""
        replaced = await self._records.replace(KIND, kept.record, after.to_document())
        return None if replaced is None else _Kept(replaced, after)

    async def _change(self, kept: _Kept, change: Callable[[Delivery], Delivery]) -> _Kept | None:
        """Apply ``change`` to a delivery. Return the changed delivery, or None if it was deleted."""
        # ``replace`` fails if the delivery was changed concurrently. Then try again.
        while (found := await self._read(kept.record.key, kept.serial)) is not None:
            after = change(found.delivery)
            if after == found.delivery:
                return found
            changed = await self._replace(found, after)
            if changed is not None:
                return changed
        return None


def _owner(record: Record) -> str:
    return str(record.document.get("owner", ""))
