"""An outbox whose requests the test receives and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from emulator.backends.records import Records
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.replicas import OnlyReplica, Replicas
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.webhooks import lane
from emulator.webhooks.delivery import Delivery, Message, Policy
from emulator.webhooks.endpoints import ConfiguredEndpoint, Source, WrongSecret
from emulator.webhooks.fault import NO_FAULT, Signature, WebhookFault
from emulator.webhooks.outbox import Outbox
from emulator.webhooks.sender import Answer

NOW = 1_790_000_000.0
MOST_ENDPOINTS = {"v": 3, "w": 2}


class Sent:
    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.url = url
        self.headers = headers
        self.body = body
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class ListSender:
    """A sender that records requests. It answers with ``status``; if that is None, the test answers."""

    def __init__(self, status: int | None = 200) -> None:
        self.sent: list[Sent] = []
        self.status = status
        self.retry_after: str | None = None
        self.goes_out = True
        self._changed = asyncio.Condition()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[], None],
    ) -> Answer:
        assert timeout_s == 15.0
        sent = Sent(url, headers, body)
        async with self._changed:
            self.sent.append(sent)
            self._changed.notify_all()
        if self.goes_out:
            on_sent()
        if self.status is not None:
            return Answer(self.status, self.retry_after)
        return await sent.answer

    async def wait(self, count: int) -> list[Sent]:
        async with self._changed:
            async with asyncio.timeout(10):
                await self._changed.wait_for(lambda: len(self.sent) >= count)
        return self.sent

    async def close(self) -> None:
        pass


class World:
    """An outbox with its dependencies, and the vendors v and w."""

    def __init__(
        self,
        records: Records,
        sender: ListSender,
        configured: tuple[str, ...] = (),
        vendors: tuple[str, ...] = ("v",),
        clock: Clock | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self.records = records
        self.clock = clock or Clock(NOW)
        self.sender = sender
        self.announced_again: list[str] = []
        replicas = replicas or OnlyReplica()
        self.me = replicas.me
        self.outbox = Outbox(records, self.clock, SeededIds(0, records.count_up), sender, replicas)

        for vendor in vendors:
            self.outbox.endpoints.register(vendor, self._source(vendor, configured if vendor == "v" else ()))

    def _source(self, vendor: str, configured: tuple[str, ...]) -> Source:
        def headers(secret: str, message: Message, sent_at: int, signature: Signature) -> dict[str, str]:
            at = str(sent_at)
            return {"id": message.id, "at": at, "how": signature, "secret": secret, "by": vendor}

        async def announce_again(task_id: str) -> None:
            self.announced_again.append(task_id)
            if task_id != "running":
                await self.announce(task_id, vendor=vendor)

        def check(secret: str) -> None:
            if secret.startswith(("bad", f"not {vendor}'s")):
                raise WrongSecret(f"it is bad for {vendor}")

        policy = Policy((0.0, 5.0, 300.0), 15.0, MOST_ENDPOINTS[vendor])
        endpoints = tuple(ConfiguredEndpoint(url, "configured") for url in configured)
        return Source(policy, headers, announce_again, lambda drawn: drawn.hex(), check, endpoints)

    async def prepare(self, task_id: str, credential: str = "me", *, vendor: str = "v") -> None:
        """Record the deliveries for the end of a task, as the end of the task itself does."""
        await self.records.write(await self.outbox.prepared(vendor, credential, task_id))

    async def announce(
        self,
        task_id: str,
        fault: WebhookFault = NO_FAULT,
        credential: str = "me",
        *,
        vendor: str = "v",
        hold: bool = False,
    ) -> None:
        async def decide() -> tuple[WebhookFault, str | None]:
            return fault, None if fault == NO_FAULT else "rule 1"

        message = Message(f"msg_{task_id}", task_id.encode())
        holder = self.me if hold else None
        await self.outbox.announce(vendor, credential, task_id, message, decide, holder=holder)

    async def tell(
        self, task_id: str, fault: WebhookFault = NO_FAULT, credential: str = "me", *, vendor: str = "v"
    ) -> None:
        await self.prepare(task_id, credential, vendor=vendor)
        await self.announce(task_id, fault, credential, vendor=vendor)

    async def only(self) -> Delivery:
        (delivery,) = await self.outbox.deliveries()
        return delivery

    async def until(self, look: Callable[[Delivery], bool]) -> Delivery:
        async def is_so() -> bool:
            return look(await self.only())

        await self.eventually(is_so)
        return await self.only()

    async def eventually(self, look: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await look():  # noqa: ASYNC110 - the records send no event
                await asyncio.sleep(0)


class Use(Protocol):
    """Runs a scenario in a new world; all worlds of a test share their records."""

    def __call__(
        self,
        scenario: Callable[[World], Awaitable[None]],
        status: int | None = 200,
        configured: tuple[str, ...] = (),
        vendors: tuple[str, ...] = ("v",),
    ) -> None: ...


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    # The sender of these tests keeps the order of concurrent requests, so a short head start is enough.
    monkeypatch.setattr(lane, "HEAD_START_SECONDS", 0.001)

    def use(
        scenario: Callable[[World], Awaitable[None]],
        status: int | None = 200,
        configured: tuple[str, ...] = (),
        vendors: tuple[str, ...] = ("v",),
    ) -> None:
        async def run() -> None:
            records = SqliteRecords(tmp_path / "records.sqlite3")
            await records.open()
            world = World(records, ListSender(status), configured, vendors)
            await world.outbox.load()
            try:
                await scenario(world)
            finally:
                await world.outbox.close()
                await records.close()

        asyncio.run(run())

    return use
