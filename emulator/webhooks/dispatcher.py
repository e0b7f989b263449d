"""``Dispatcher``, which sends deliveries when they are due, and retries them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from emulator.backends.replicas import Replicas
from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.clock import Clock, Stopwatch, machine_time
from emulator.webhooks.deliveries import Deliveries, Kept
from emulator.webhooks.delivery import (
    Attempt,
    AttemptResult,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    fail,
    record,
    unheld,
)
from emulator.webhooks.endpoints import Endpoints
from emulator.webhooks.fault import STALE_SECONDS, Signature
from emulator.webhooks.lane import Lane
from emulator.webhooks.sender import Sender, SendFailed

logger = logging.getLogger(__name__)

UNREACHABLE: Final = "its endpoint was removed or disabled"


class Dispatcher:
    """Sends the deliveries that this process owns, in the background.

    Parameters
    ----------
    deliveries, endpoints
        The stored deliveries, and the endpoints that they are sent to.
    clock, sender
        The clock that dates the attempts, and the HTTP client.
    replicas
        The processes that share the deliveries.

    Attributes
    ----------
    attempted : Counter
        Number of attempts since the start of the process, by vendor and result. A reset does not change it.
    """

    def __init__(
        self, deliveries: Deliveries, endpoints: Endpoints, clock: Clock, sender: Sender, replicas: Replicas
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._clock = clock
        self._sender = sender
        self._replicas = replicas
        self.attempted: Counter[tuple[str, AttemptResult]] = Counter()
        self._lanes: dict[str, Lane] = {}
        self._background = Background("the result of a webhook could not be recorded")
        # The serial numbers of the deliveries that this process releases or sends.
        self._sending: set[int] = set()
        # The asyncio tasks of the deliveries that wait for their next attempt, by serial number.
        self._asleep: dict[int, asyncio.Task[None]] = {}

    async def cancel(self, credential: str | None = None) -> None:
        """Cancel the deliveries of ``credential``, or all deliveries."""
        await self._background.cancel(credential)

    async def close(self) -> None:
        """Cancel the running deliveries and close the connections."""
        await self._background.cancel()
        await self._sender.close()

    def is_sending(self, serial: int) -> bool:
        """Return whether this process releases or sends the delivery whose record has this number."""
        return serial in self._sending

    @property
    def asleep(self) -> set[int]:
        """The numbers of the records of the deliveries that wait for their next attempt."""
        return set(self._asleep)

    def drop(self, serial: int) -> None:
        """Stop a delivery if it waits for its next attempt."""
        if serial in self._asleep:
            self._asleep[serial].cancel()

    def is_mine(self, kept: Kept) -> bool:
        """Return whether this replica sends a delivery."""
        delivery = kept.delivery
        return delivery.state is DeliveryState.WAITING and delivery.owner == self._replicas.me

    def start(self, waiting: Kept) -> None:
        """Start sending a delivery."""
        work = self._alone(waiting, lambda: self._deliver_or_fail(waiting))
        self._background.start(waiting.delivery.credential, work)

    def start_held(
        self, held: Kept, at: float | None = None, first: asyncio.Event | None = None
    ) -> asyncio.Task[None]:
        """Start a background task that releases a held delivery and sends it, and return this task.

        ``at`` replaces the time of the first attempt. ``first`` is set after the first attempt. One task does
        both, because a cancelled caller could otherwise leave a released delivery that nothing sends.
        """

        async def send() -> None:
            def change(current: Delivery) -> Delivery:
                released = unheld(current, at)
                return current if released == current else replace(released, owner=self._replicas.me)

            waiting = await until_stored(lambda: self._deliveries.change(held, change))
            if waiting is not None:
                await self._deliver_or_fail(waiting, first)

        return self._background.start(held.delivery.credential, self._alone(held, send))

    async def attempt(
        self,
        delivery: Delivery,
        message: Message,
        number: int,
        signature: Signature,
        find_endpoint: Callable[[], Awaitable[Endpoint | None]],
    ) -> Attempt | None:
        """Wait for the turn of an attempt, and make it, unless ``find_endpoint`` then returns None."""
        source = self._endpoints.sources[delivery.vendor]
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

    async def _alone(self, kept: Kept, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that sends a delivery, unless this process already does such work."""
        if kept.serial in self._sending:
            return
        self._sending.add(kept.serial)
        try:
            await work()
        finally:
            self._sending.discard(kept.serial)

    async def _deliver_or_fail(self, waiting: Kept, first: asyncio.Event | None = None) -> None:
        """Make the attempts of a delivery. After an unexpected exception, mark the delivery as failed.

        If it were not marked, it would stay unfinished until a restart, because nothing retries it.
        """
        try:
            await self._deliver(waiting, first)
        except Exception as error:
            logger.exception("a webhook could not be delivered")
            reason = f"it could not be sent: {type(error).__name__}: {error}"
            await until_stored(
                lambda: self._deliveries.change(waiting, lambda current: fail(current, reason))
            )

    async def _deliver(self, waiting: Kept, first: asyncio.Event | None) -> None:
        """Make attempts until the delivery has ended. Set ``first`` after the first attempt."""
        kept: Kept | None = waiting
        while kept is not None and self.is_mine(kept):
            await self._wait(kept)
            sent = await self._send_copies(kept)
            kept = await until_stored(partial(self._note, kept, sent))
            if any(attempt.is_gone for attempt in sent):
                endpoint_id = waiting.delivery.endpoint_id
                await until_stored(partial(self._endpoints.disable, endpoint_id, "it answered 410"))
                gone = "the endpoint answered 410"
                await until_stored(partial(self._deliveries.fail_all, endpoint_id, gone))
            if first is not None:
                first.set()

    async def _wait(self, kept: Kept) -> None:
        """Wait until the next attempt is due. ``drop`` cancels the wait."""
        task = asyncio.current_task()
        if task is not None:
            self._asleep[kept.serial] = task
        try:
            await self._clock.wait_until(kept.delivery.next_at, kept.delivery.credential)
        finally:
            self._asleep.pop(kept.serial, None)

    async def _note(self, kept: Kept, sent: Sequence[Attempt]) -> Kept | None:
        """Record what was sent, and return the delivery, or None if it was deleted.

        If nothing was sent, let the delivery fail, unless another replica has changed it.
        """
        if not sent:
            failed = await self._deliveries.replace(kept, fail(kept.delivery, UNREACHABLE))
            return failed or await self._deliveries.read(kept.record.key, kept.serial)
        policy = self._endpoints.sources[kept.delivery.vendor].policy

        def note(current: Delivery) -> Delivery:
            # An earlier write may have succeeded although its result was lost. Record the attempts only once.
            is_noted = current.attempts[-len(sent) :] == tuple(sent)
            return current if is_noted else record(current, sent, policy)

        return await self._deliveries.change(kept, note)

    async def _send_copies(self, kept: Kept) -> list[Attempt]:
        """Make the next attempt and its copies, and return them.

        Return an empty list if the endpoint was removed or disabled, or if the delivery was changed.
        """
        delivery = kept.delivery
        scheduled = [attempt for attempt in delivery.attempts if not attempt.is_replay]
        number = scheduled[-1].number + 1 if scheduled else 1

        async def find_endpoint() -> Endpoint | None:
            # During the wait, the delivery may have been deleted, replayed, or taken by another replica.
            is_unchanged = kept.is_same(await self._deliveries.read_latest(delivery.id, kept.serial))
            return self._endpoints.get_enabled(delivery.endpoint_id) if is_unchanged else None

        injected = delivery.fault.model_dump(exclude_defaults=True)
        sent: list[Attempt] = []
        for _ in range(delivery.fault.copies):
            if delivery.message is None:
                break
            attempt = await self.attempt(
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
