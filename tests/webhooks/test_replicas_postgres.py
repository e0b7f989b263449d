"""An outbox that replicas share in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from postgres import kill_connections
from webhooks.conftest import ListSender, World

from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.postgres import PostgresRecords
from emulator.backends.replicas import RegisteredReplicas
from emulator.backends.unavailable import until_stored
from emulator.webhooks import lane, takeover
from emulator.webhooks.delivery import DeliveryState
from emulator.webhooks.fault import WebhookFault

DELIVERIES = 30


@dataclass
class Replica:
    """A replica with its own connections."""

    records: PostgresRecords
    world: World

    async def end(self) -> None:
        await self.world.outbox.close()
        await self.records.close()


async def start(url: str) -> Replica:
    records = PostgresRecords(url)
    await records.open()
    world = World(CachedRecords(records), ListSender(), replicas=RegisteredReplicas(records))
    await world.outbox.load()
    return Replica(records, world)


def test_replicas_deliver_each_webhook_once_although_connections_are_killed_and_one_ends(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        replicas = [await start(postgres_url) for _ in range(3)]
        worlds = [replica.world for replica in replicas]
        try:
            await worlds[0].outbox.endpoints.add("v", "http://a/")
            for number in range(DELIVERIES):
                world = worlds[number % 3]
                await world.prepare(f"t{number}")
                await world.announce(f"t{number}", WebhookFault(delay_s=60.0 * (number % 5)))
            for second in range(5):
                if second in {2, 3}:
                    await asyncio.to_thread(kill_connections, postgres_url)
                if second == 1:
                    await replicas[0].end()
                for world in worlds:
                    world.clock.advance(60.0)
                await asyncio.sleep(0.02)

            async with asyncio.timeout(20):
                while any((await until_stored(worlds[1].outbox.unfinished)).values()):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.05)
            states = Counter(each.state for each in await worlds[1].outbox.deliveries())
            sent = Counter(each.body.decode() for world in worlds for each in world.sender.sent)
            assert states == {DeliveryState.DELIVERED: DELIVERIES}
            assert sent == Counter(f"t{number}" for number in range(DELIVERIES))
        finally:
            for replica in replicas[1:]:
                await replica.end()

    monkeypatch.setattr(lane, "HEAD_START_SECONDS", 0.001)
    monkeypatch.setattr(takeover, "SWEEP_SECONDS", 0.05)
    asyncio.run(play())
