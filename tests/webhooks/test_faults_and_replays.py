"""Faults in deliveries, and deliveries that a tester sends or replays."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from emulator.webhooks.delivery import DeliveryState
from emulator.webhooks.fault import WebhookFault
from emulator.webhooks.outbox import ReplayRefused

if TYPE_CHECKING:
    from webhooks.conftest import Use, World

NOW = 1_790_000_000.0


def test_attempts_record_the_injected_fault(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/", timestamps="clock")
        await world.tell("t", WebhookFault(copies=3, signature="stale"))
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        injected = {"copies": 3, "signature": "stale", "source": "rule 1"}
        assert [(made.number, made.injected) for made in delivered.attempts] == [(1, injected)] * 3
        assert [sent.headers["at"] for sent in world.sender.sent] == [str(int(NOW) - 3600)] * 3
        assert {sent.headers["how"] for sent in world.sender.sent} == {"stale"}

    use(scenario)


def test_a_lost_webhook_is_never_sent_and_a_delayed_one_is_sent_later(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("lost", WebhookFault(lost=True))
        await world.tell("late", WebhookFault(delay_s=60.0))
        world.clock.advance(59.0)
        await asyncio.sleep(0.01)
        assert world.sender.sent == []
        world.clock.advance(1.0)
        (sent,) = await world.sender.wait(1)
        assert sent.body == b"late"
        assert (await world.outbox.deliveries())[0].state is DeliveryState.LOST

    use(scenario)


def test_a_replay_is_sent_at_once_with_the_same_id(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.prepare("t")
        prepared = await world.only()
        with pytest.raises(ReplayRefused, match="not recorded yet"):
            await world.outbox.replay(prepared.id)
        await world.announce("t", WebhookFault(lost=True))
        world.clock.advance(7.0)
        replayed = await world.outbox.replay(prepared.id)
        assert replayed is not None
        assert replayed.state is DeliveryState.DELIVERED
        assert [(made.at - NOW, made.is_replay) for made in replayed.attempts] == [(7.0, True)]
        assert world.sender.sent[0].headers["id"] == "msg_t"
        assert await world.outbox.replay("nobody") is None

    use(scenario)


def test_an_accepted_replay_ends_the_retries(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        await world.until(lambda delivery: len(delivery.attempts) == 1)
        world.sender.status = 200
        await world.outbox.replay((await world.only()).id)
        world.clock.advance(5.0)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 2

    use(scenario, status=500)


def test_a_held_delivery_is_sent_on_request_and_then_retried_as_usual(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.prepare("t")
        await world.announce("t", hold=True)
        held = await world.only()
        await asyncio.sleep(0.01)
        assert (held.state, world.sender.sent) == (DeliveryState.HELD, [])
        first = await world.outbox.send(held.id)
        assert first is not None
        assert (first.state, [made.status for made in first.attempts]) == (DeliveryState.WAITING, [500])
        world.sender.status = 200
        world.clock.advance(5.0)
        await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        again = await world.outbox.send(held.id)
        assert again is not None
        assert [made.is_replay for made in again.attempts] == [False, False, True]
        assert await world.outbox.send("nobody") is None

    use(scenario, status=500)


def test_an_unexpected_error_fails_a_held_delivery(use: Use, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.prepare("t")
        await world.announce("t", hold=True)
        sending = asyncio.create_task(world.outbox.send((await world.only()).id))
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(RuntimeError("unexpected"))
        told = await sending
        assert told is not None
        assert told.state is DeliveryState.FAILED

    with caplog.at_level(logging.ERROR):
        use(scenario, status=None)
    assert len(caplog.records) == 1
