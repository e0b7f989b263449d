"""What keeps deliveries until they are over, and sends them when they are due.

A delivery is recorded before the end of its task is, and sent after: a process that dies in between
loses nothing, and nobody hears of an end that a poll does not tell. One that dies in the middle of
an attempt repeats it; the message's id is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from emulator.backends.records import Records
from emulator.backends.records.kept import Kept
from emulator.clock import EVERYBODY, Clock, Stopwatch, machine_time
from emulator.ids import SeededIds, hash_text
from emulator.webhooks.delivery import (
    Attempt,
    Delivery,
    DeliveryState,
    Endpoint,
    Message,
    Policy,
    Timestamps,
    delivery_id,
    fail,
    record,
    release,
)
from emulator.webhooks.fault import STALE_SECONDS, Signature, WebhookFault
from emulator.webhooks.sender import Sender, SendFailed

logger = logging.getLogger(__name__)

ENDPOINT, DELIVERY = "webhook/endpoint", "webhook/delivery"

IN_FLIGHT = 8
"""How many requests are under way to one endpoint."""

HEAD_START_SECONDS = 0.1
"""How long the next request to an endpoint waits for the answer to the one before, in real time.

Two that arrive together may be handled in any order by an endpoint with several threads.
"""


class EndpointRefused(Exception):
    """The endpoint cannot be added; ``reason`` says why."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class WrongSecret(Exception):
    """The secret is not spelled as the vendor spells them."""


class NothingToReplay(Exception):
    """The delivery says nothing yet, or there is nobody to say it to."""

    def __init__(self, delivery_id: str, reason: str) -> None:
        super().__init__(delivery_id, reason)
        self.delivery_id = delivery_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.reason}"


@dataclass(frozen=True)
class ConfiguredEndpoint:
    """An endpoint of the settings."""

    url: str
    secret: str
    owner: str = EVERYBODY
    timestamps: Timestamps = "machine"


@dataclass(frozen=True)
class Source:
    """What a vendor knows of its webhooks.

    Attributes
    ----------
    policy : Policy
        How hard they are tried.
    configured : tuple of ConfiguredEndpoint
        Those that the settings name.
    headers : (secret, Message, sent_at: int, Signature) -> mapping of str to str
        Signs a message at the moment of its sending.
    announce_again : async (task_id) -> None
        Calls ``announce`` for a task if that is over; the process may have died before it came to that.
    new_secret : (drawn: bytes) -> str
        Spells a secret from 32 bytes.
    check_secret : (str) -> None
        Raises ``WrongSecret`` unless it is one.
    """

    policy: Policy
    headers: Callable[[str, Message, int, Signature], Mapping[str, str]]
    announce_again: Callable[[str], Awaitable[None]]
    new_secret: Callable[[bytes], str]
    check_secret: Callable[[str], None]
    configured: tuple[ConfiguredEndpoint, ...] = ()


@dataclass
class _Lane:
    """The way to one endpoint: some requests at once, that go out one after the other."""

    in_flight: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    going_out: asyncio.Lock = field(default_factory=asyncio.Lock)


class Outbox:
    """All endpoints, and all deliveries to them.

    Parameters
    ----------
    records, clock, ids, sender
        What it stands on.
    """

    def __init__(self, records: Records, clock: Clock, ids: SeededIds, sender: Sender) -> None:
        self._records = records
        self._clock = clock
        self._ids = ids
        self._sender = sender
        self._sources: dict[str, Source] = {}
        self.kept: Kept[Endpoint] = Kept(records, ENDPOINT, Endpoint.to_document, Endpoint.from_document)
        self._lanes: dict[str, _Lane] = {}
        self._under_way: dict[asyncio.Task[None], str] = {}

    @property
    def vendors(self) -> tuple[str, ...]:
        """The vendors that have webhooks."""
        return tuple(self._sources)

    def register(self, vendor: str, source: Source) -> None:
        """Say what a vendor knows of its webhooks.

        Raises
        ------
        EndpointRefused
            If a configured endpoint cannot be one.
        """
        for configured in source.configured:
            _check(configured.url, configured.secret, source)
        self._sources[vendor] = source

    async def start(self) -> None:
        """Take up all that is recorded and not over: at the start, and after a restore."""
        await self.stop()
        await self.kept.load()
        await self._keep_configured()
        for kept in await self._records.find(DELIVERY):
            delivery = Delivery.from_document(kept.document)
            if delivery.state is DeliveryState.PREPARED:
                await self._sources[delivery.vendor].announce_again(delivery.task_id)
            elif delivery.state is DeliveryState.WAITING:
                self._spawn(delivery)

    async def stop(self, owner: str | None = None) -> None:
        """Give up what is under way, of an owner or all; it stays recorded as it was."""
        given_up = [work for work, whose in self._under_way.items() if owner in {None, whose}]
        for work in given_up:
            work.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)

    async def clear(self, owner: str | None = None) -> None:
        """Forget the endpoints and deliveries of an owner, or all; the settings' endpoints stay."""
        await self.stop(owner)
        for kept in await self._records.find(DELIVERY, owner):
            await self._records.delete(DELIVERY, kept.key)
        await self.kept.clear(owner)
        await self._keep_configured()

    async def close(self) -> None:
        """Stop, and close the connections."""
        await self.stop()
        await self._sender.close()

    def endpoints(self, owner: str | None = None) -> list[Endpoint]:
        """Return the endpoints of an owner, or all, the oldest first."""
        return [entry.value for entry in self.kept.items().values() if owner is None or entry.scope == owner]

    async def add_endpoint(
        self,
        vendor: str,
        url: str,
        owner: str = EVERYBODY,
        secret: str | None = None,
        timestamps: Timestamps = "machine",
    ) -> Endpoint:
        """Add an endpoint, with a secret that is made up if none is given, and return it.

        Raises
        ------
        EndpointRefused
            If there is no such vendor, the URL or the secret is none, or the owner has enough of them.
        """
        source = self._sources.get(vendor)
        if source is None:
            raise EndpointRefused(url, f"{vendor} has no webhooks; {', '.join(self._sources)} has")
        if secret is None:
            secret = source.new_secret(await self._ids.draw(owner, "webhook/secret", 32))
        _check(url, secret, source)
        number = await self._ids.draw(owner, ENDPOINT, 12)
        # Nothing is waited for from here until it is seen: many that come at once are counted too.
        count = sum(endpoint.vendor == vendor for endpoint in self.endpoints(owner))
        if count >= source.policy.most_endpoints:
            raise EndpointRefused(url, f"there are {count} endpoints already, which is the most")
        endpoint = Endpoint(f"ep_{number.hex()}", owner, vendor, url, secret, timestamps)
        await self.kept.put(endpoint.id, owner, endpoint)
        return endpoint

    async def remove_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint, give up what was on its way to it, and return whether it was there."""
        known = await self.kept.delete(endpoint_id)
        await self._give_up(endpoint_id, "the endpoint was removed")
        return known

    async def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None."""
        kept = await self._records.get(DELIVERY, delivery_id)
        return None if kept is None else Delivery.from_document(kept.document)

    async def deliveries(self, owner: str | None = None) -> list[Delivery]:
        """Return the deliveries of an owner, or all, the oldest first."""
        return [Delivery.from_document(kept.document) for kept in await self._records.find(DELIVERY, owner)]

    async def prepare(self, vendor: str, owner: str, task_id: str) -> None:
        """Record that all who want to hear of a task have to; a second time does nothing."""
        for endpoint in self._listening(vendor, owner):
            delivery = Delivery(
                delivery_id(task_id, endpoint.id), owner, vendor, task_id, endpoint.id, endpoint.url
            )
            with contextlib.suppress(KeyError):
                await self._records.create(DELIVERY, delivery.id, owner, delivery.to_document())

    async def announce(
        self,
        vendor: str,
        owner: str,
        task_id: str,
        message: Message,
        decide: Callable[[], Awaitable[tuple[WebhookFault, str | None]]],
        *,
        hold: bool = False,
    ) -> None:
        """Send ``message`` to all for whom that was prepared, or hold it until ``send`` is called.

        ``decide`` says for each delivery what goes wrong with it, and on whose account.
        """
        for endpoint in self._listening(vendor, owner):
            prepared = await self.find(delivery_id(task_id, endpoint.id))
            if prepared is not None and prepared.state is DeliveryState.PREPARED:
                fault, source = await decide()
                await self._release(prepared, message, fault, source, hold=hold)

    async def send(self, delivery_id: str) -> Delivery | None:
        """Send a held delivery now, any other once more; return it after that attempt, None if it is gone.

        If the endpoint does not take a held one, it is tried again like every other.
        """
        held = await self.find(delivery_id)
        if held is None or held.state is not DeliveryState.HELD:
            return held if held is None else await self.replay(delivery_id)
        now = self._clock.now(held.owner)
        waiting = await self._change(
            delivery_id, lambda current: replace(current, state=DeliveryState.WAITING, next_at=now)
        )
        if waiting is None:
            return None
        first = asyncio.Event()
        work = self._spawn(waiting, first)
        attempted = asyncio.create_task(first.wait())
        try:
            await asyncio.wait({work, attempted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            attempted.cancel()
        return await self.find(delivery_id)

    async def replay(self, delivery_id: str) -> Delivery | None:
        """Send a delivery once more, with nothing wrong, and return it after that; None if it is gone.

        Raises
        ------
        NothingToReplay
            If it says nothing yet, or its endpoint is gone.
        """
        delivery = await self.find(delivery_id)
        if delivery is None:
            return None
        if delivery.message is None:
            raise NothingToReplay(delivery_id, "the end of its task is not recorded yet")
        endpoint = self.kept.get(delivery.endpoint_id)
        if endpoint is None:
            raise NothingToReplay(delivery_id, "its endpoint is gone")
        number = delivery.attempts[-1].number if delivery.attempts else 1
        attempt = await self._attempt(delivery, delivery.message, endpoint, number, "good")
        return await self._note(delivery, [replace(attempt, is_replay=True)])

    async def _release(
        self, prepared: Delivery, message: Message, fault: WebhookFault, source: str | None, *, hold: bool
    ) -> None:
        now = self._clock.now(prepared.owner)
        released = await self._change(
            prepared.id, lambda current: release(current, message, fault, source, now, hold=hold)
        )
        if released is not None and released.state is DeliveryState.WAITING:
            self._spawn(released)

    def _spawn(self, delivery: Delivery, first: asyncio.Event | None = None) -> asyncio.Task[None]:
        work = asyncio.create_task(self._deliver_or_fail(delivery, first))
        self._under_way[work] = delivery.owner
        work.add_done_callback(self._end)
        return work

    def _end(self, work: asyncio.Task[None]) -> None:
        self._under_way.pop(work, None)
        if not work.cancelled() and work.exception() is not None:
            logger.error("a webhook's end could not be recorded", exc_info=work.exception())

    async def _deliver_or_fail(self, waiting: Delivery, first: asyncio.Event | None) -> None:
        """Try until it is over, also by a defect of the emulator's: nobody would try again, or say why."""
        try:
            await self._deliver(waiting, first)
        except Exception as error:
            logger.exception("a webhook could not be delivered")
            reason = f"it could not be sent: {type(error).__name__}: {error}"
            await self._change(waiting.id, lambda current: fail(current, reason))

    async def _deliver(self, waiting: Delivery, first: asyncio.Event | None) -> None:
        """Try until it is over."""
        delivery: Delivery | None = waiting
        while delivery is not None and delivery.state is DeliveryState.WAITING:
            await self._clock.wait_until(delivery.next_at, delivery.owner)
            # Meanwhile somebody may have replayed it, or removed its endpoint.
            delivery = await self.find(delivery.id)
            if delivery is None or delivery.state is not DeliveryState.WAITING:
                break
            sent = await self._send_copies(delivery)
            delivery = await self._note(delivery, sent)
            if any(attempt.is_gone for attempt in sent):
                await self._disable(waiting.endpoint_id)
            if first is not None:
                first.set()

    async def _note(self, delivery: Delivery, sent: Sequence[Attempt]) -> Delivery | None:
        policy = self._policy(delivery)
        if not sent:
            return await self._change(delivery.id, lambda current: fail(current, "its endpoint is gone"))
        return await self._change(delivery.id, lambda current: record(current, sent, policy))

    async def _send_copies(self, delivery: Delivery) -> list[Attempt]:
        """Return what came of the next attempt, copy by copy; nothing if there is nobody to send it to."""
        scheduled = [attempt for attempt in delivery.attempts if not attempt.is_replay]
        number = scheduled[-1].number + 1 if scheduled else 1
        sent: list[Attempt] = []
        for _ in range(delivery.fault.copies):
            endpoint = self.kept.get(delivery.endpoint_id)
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
        lane = self._lanes.setdefault(endpoint.id, _Lane())
        source = self._sources[delivery.vendor]
        is_out = False

        def let_next() -> None:
            nonlocal is_out
            if not is_out:
                is_out = True
                lane.going_out.release()

        def on_sent() -> None:
            asyncio.get_running_loop().call_later(HEAD_START_SECONDS, let_next)

        answered: dict[str, Any]
        async with lane.in_flight:
            # Requests to one endpoint go out in the order of events: the next begins a moment after
            # this one is on the wire, whether it is answered or not.
            await lane.going_out.acquire()
            try:
                at = self._clock.now(delivery.owner)
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
            finally:
                let_next()
        return Attempt(number, at, stopwatch.elapsed_ms(), **answered)

    async def _disable(self, endpoint_id: str) -> None:
        endpoint = self.kept.get(endpoint_id)
        if endpoint is not None:
            disabled = replace(endpoint, disabled="it answered 410")
            await self.kept.put(endpoint_id, endpoint.owner, disabled)
            await self._give_up(endpoint_id, "the endpoint answered 410")

    async def _give_up(self, endpoint_id: str, reason: str) -> None:
        for delivery in await self.deliveries():
            if delivery.endpoint_id == endpoint_id:
                await self._change(delivery.id, lambda current: fail(current, reason))

    async def _keep_configured(self) -> None:
        wanted = {
            f"ep_{hash_text(f'{vendor} {configured.owner} {configured.url}')[:24]}": (vendor, configured)
            for vendor, source in self._sources.items()
            for configured in source.configured
        }
        for endpoint in self.endpoints():
            if endpoint.is_configured and endpoint.id not in wanted:
                await self.kept.delete(endpoint.id)
        for endpoint_id, (vendor, configured) in wanted.items():
            kept = self.kept.get(endpoint_id)
            if kept is None or (kept.secret, kept.timestamps) != (configured.secret, configured.timestamps):
                endpoint = Endpoint(
                    endpoint_id,
                    configured.owner,
                    vendor,
                    configured.url,
                    configured.secret,
                    configured.timestamps,
                    is_configured=True,
                )
                await self.kept.put(endpoint_id, configured.owner, endpoint)

    def _listening(self, vendor: str, owner: str) -> Sequence[Endpoint]:
        return [
            endpoint
            for endpoint in self.endpoints()
            if endpoint.vendor == vendor
            and endpoint.owner in {owner, EVERYBODY}
            and endpoint.disabled is None
        ]

    def _policy(self, delivery: Delivery) -> Policy:
        return self._sources[delivery.vendor].policy

    async def _change(self, delivery_id: str, change: Callable[[Delivery], Delivery]) -> Delivery | None:
        """Record ``change`` of a delivery, however often others are faster, and return it; None if gone."""
        while (kept := await self._records.get(DELIVERY, delivery_id)) is not None:
            before = Delivery.from_document(kept.document)
            after = change(before)
            if after == before or await self._records.replace(DELIVERY, kept, after.to_document()):
                return after
        return None


def _check(url: str, secret: str, source: Source) -> None:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise EndpointRefused(url, "that is no URL of the web")
    try:
        source.check_secret(secret)
    except WrongSecret as error:
        raise EndpointRefused(url, str(error)) from error
