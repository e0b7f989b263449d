"""Deliveries that a plan holds, after the plan is gone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.tasks.task import Task
from emulator.webhooks.delivery import DeliveryState, Message
from emulator.webhooks.fault import WebhookFault
from emulator.world.announcer import Announcer

if TYPE_CHECKING:
    from webhooks.conftest import Use, World


async def hold(
    world: World, task_id: str = "t", credential: str = "me", fault: WebhookFault | None = None
) -> None:
    await world.prepare(task_id, credential)
    await world.announce(task_id, fault or WebhookFault(), credential, hold=True)


async def states(world: World) -> dict[str, DeliveryState]:
    return {delivery.task_id: delivery.state for delivery in await world.outbox.deliveries()}


def test_a_held_delivery_is_sent_after_a_restart(use: Use) -> None:
    async def before(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await hold(world)
        assert await states(world) == {"t": DeliveryState.HELD}

    async def after(world: World) -> None:
        (sent,) = await world.sender.wait(1)
        assert (sent.body, sent.headers["id"]) == (b"t", "msg_t")
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert len(delivered.attempts) == 1

    use(before)
    use(after)


def test_releasing_held_deliveries_sends_only_the_deliveries_of_a_credential_and_with_their_faults(
    use: Use,
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await hold(world, "mine")
        await hold(world, "other")
        await hold(world, "late", fault=WebhookFault(delay_s=60.0))
        await hold(world, "yours", "you")
        await world.outbox.release_held("me", "mine")
        assert [sent.body for sent in await world.sender.wait(1)] == [b"mine"]
        await world.outbox.release_held("me")
        await world.sender.wait(2)
        world.clock.advance(60.0)
        assert [sent.body for sent in await world.sender.wait(3)] == [b"mine", b"other", b"late"]
        await asyncio.sleep(0.01)
        assert (await states(world))["yours"] is DeliveryState.HELD

    use(scenario)


def test_a_delivery_released_while_it_is_sent_is_sent_once(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await hold(world)
        (delivery,) = await world.outbox.deliveries()
        await asyncio.gather(
            world.outbox.send(delivery.id), world.outbox.release_held("me"), world.outbox.release_held("me")
        )
        await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == len((await world.only()).attempts) == 1

    use(scenario)


@pytest.mark.parametrize(
    ("operation", "is_sent"),
    [
        # Cancelled while the delivery is looked up.
        (("get", 1), False),
        # Cancelled while its release is recorded.
        (("get", 2), True),
        (("replace", 1), True),
        # Cancelled while its attempt is recorded.
        (("replace", 2), True),
    ],
    ids=str,
)
def test_a_delivery_is_sent_although_the_request_to_send_it_is_cancelled(
    use: Use, monkeypatch: pytest.MonkeyPatch, operation: tuple[str, int], *, is_sent: bool
) -> None:
    name, nth = operation

    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await hold(world)
        held = await world.only()
        whole = getattr(SqliteRecords, name)
        calls = 0

        async def cancelling(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:
                sending.cancel()
            return await whole(*args)

        monkeypatch.setattr(SqliteRecords, name, cancelling)
        sending = asyncio.create_task(world.outbox.send(held.id))
        await asyncio.wait({sending})
        assert sending.cancelled()
        if is_sent:
            sent = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        else:
            sent = await world.only()
            assert sent.state is DeliveryState.HELD
        assert len(sent.attempts) == len(world.sender.sent) == is_sent

    use(scenario)


def test_a_delivery_that_a_plan_loses_has_the_plan_as_source_and_can_be_replayed(use: Use) -> None:
    async def before(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await hold(world)
        await world.outbox.lose("me", "another")
        assert await states(world) == {"t": DeliveryState.HELD}
        await world.outbox.lose("me", "t")
        lost = await world.only()
        assert (lost.state, lost.fault.lost, lost.source) == (DeliveryState.LOST, True, "the plan")
        await world.outbox.release_held("me")

    async def after(world: World) -> None:
        await asyncio.sleep(0.01)
        assert world.sender.sent == []
        replayed = await world.outbox.replay((await world.only()).id)
        assert replayed is not None
        assert replayed.state is DeliveryState.DELIVERED

    use(before)
    use(after)


def test_a_webhook_announced_while_its_plan_is_forgotten_is_sent(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.prepare("t")
        asked: list[str] = []

        async def holder(task: Task) -> str:
            asked.append(task.id)
            return world.me

        async def holds(task: Task) -> bool:
            asked.append(task.id)
            return False

        plans = SimpleNamespace(holder=holder, holds=holds)
        stands_on = cast("Any", SimpleNamespace(webhooks=world.outbox, plans=plans))
        announcer = Announcer(stands_on, "v", lambda task: Message("msg", task.id.encode()))
        await announcer.announce(Task("t", "me", "job", {}, 0.0, announcement_fault={}))
        assert [sent.body for sent in await world.sender.wait(1)] == [b"t"]
        assert asked == ["t", "t"]

    use(scenario)
