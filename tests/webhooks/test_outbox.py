from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from emulator.webhooks import lane
from emulator.webhooks.delivery import DeliveryState
from emulator.webhooks.fault import WebhookFault
from emulator.webhooks.lane import IN_FLIGHT
from emulator.webhooks.outbox import NothingToReplay
from emulator.webhooks.sender import Answer, SendFailed

if TYPE_CHECKING:
    from webhooks.conftest import Use, World

NOW = 1_790_000_000.0


def test_what_is_prepared_is_sent_when_it_is_announced_and_once(use: Use) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.endpoints.add("v", "http://a/", timestamps="clock")
        await world.outbox.prepare("v", "me", "t")
        await world.outbox.prepare("v", "me", "t")
        assert (await world.only()).state is DeliveryState.PREPARED
        await world.announce("t")
        await world.announce("t")
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert [(made.number, made.at, made.status) for made in delivered.attempts] == [(1, NOW, 200)]
        (sent,) = world.sender.sent
        assert (sent.url, sent.body) == ("http://a/", b"t")
        expected = {"id": "msg_t", "at": str(int(NOW)), "how": "good", "secret": endpoint.secret, "by": "v"}
        assert sent.headers == expected

    use(scenario)


def test_the_credentials_clock_makes_the_next_attempt_due_at_once(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/", timestamps="clock")
        await world.tell("t")
        await world.until(lambda delivery: len(delivery.attempts) == 1)
        world.clock.advance(4.5, "me")
        world.clock.advance(1000.0, "you")
        assert len(world.sender.sent) == 1
        world.clock.advance(0.5, "me")
        await world.until(lambda delivery: len(delivery.attempts) == 2)
        world.sender.status = 204
        world.clock.advance(300.0, "me")
        last = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert [(made.at - NOW, made.status) for made in last.attempts] == [
            (0.0, 500),
            (5.0, 500),
            (305.0, 204),
        ]
        assert {sent.headers["id"] for sent in world.sender.sent} == {"msg_t"}
        assert [int(sent.headers["at"]) - int(NOW) for sent in world.sender.sent] == [0, 5, 305]

    use(scenario, status=500)


def test_after_the_last_attempt_it_has_failed(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        for count in (1, 2):
            await world.until(lambda delivery, count=count: len(delivery.attempts) == count)  # type: ignore[misc]
            world.clock.advance(300.0)
        failed = await world.until(lambda delivery: delivery.state is DeliveryState.FAILED)
        assert (len(failed.attempts), failed.reason) == (3, "no attempt is left")

    use(scenario, status=500)


def test_retry_after_is_waited_for(use: Use) -> None:
    async def scenario(world: World) -> None:
        world.sender.retry_after = "60"
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        waiting = await world.until(lambda delivery: len(delivery.attempts) == 1)
        assert waiting.next_at == NOW + 60.0
        world.clock.advance(59.0)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 1
        world.clock.advance(1.0)
        await world.sender.wait(2)

    use(scenario, status=429)


def test_an_endpoint_that_is_gone_hears_nothing_more(use: Use) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        failed = await world.until(lambda delivery: delivery.state is DeliveryState.FAILED)
        assert failed.reason == "the endpoint answered 410"

        async def is_disabled() -> bool:
            return world.outbox.endpoints.list()[0].disabled is not None

        await world.eventually(is_disabled)
        await world.tell("u")
        assert (await world.only()).task_id == "t"
        assert await world.outbox.remove_endpoint(endpoint.id)
        assert not await world.outbox.remove_endpoint(endpoint.id)

    use(scenario, status=410)


def test_what_was_on_its_way_to_a_removed_endpoint_has_failed(use: Use) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        await world.until(lambda delivery: len(delivery.attempts) == 1)
        await world.outbox.remove_endpoint(endpoint.id)
        removed = await world.only()
        assert (removed.state, removed.reason) == (DeliveryState.FAILED, "the endpoint was removed")
        world.clock.advance(5.0)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 1
        with pytest.raises(NothingToReplay, match="its endpoint is gone"):
            await world.outbox.replay(removed.id)

    use(scenario, status=500)


def test_a_credential_hears_of_its_tasks_alone_and_everybodys_endpoint_of_all(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://mine/", "me")
        await world.outbox.endpoints.add("v", "http://yours/", "you")
        await world.outbox.endpoints.add("v", "http://all/")
        await world.tell("t")
        sent = await world.sender.wait(2)
        assert sorted(one.url for one in sent) == ["http://all/", "http://mine/"]

    use(scenario)


@pytest.mark.parametrize("goes_out", [True, False])
def test_deliveries_to_an_endpoint_begin_in_order_and_a_bounded_number_at_once(
    use: Use, *, goes_out: bool
) -> None:
    async def scenario(world: World) -> None:
        world.sender.goes_out = goes_out
        at_once = IN_FLIGHT if goes_out else 1
        await world.outbox.endpoints.add("v", "http://slow/", "me")
        await world.outbox.endpoints.add("v", "http://quick/", "you")
        tasks = [f"t{number:02}" for number in range(20)]
        for task_id in tasks:
            await world.tell(task_id)
        await world.sender.wait(at_once)
        await world.tell("other", credential="you")
        sent = await world.sender.wait(at_once + 1)
        # The slow endpoint holds up nobody else, and has no more under way than it may.
        assert sent[-1].url == "http://quick/"
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == at_once + 1
        for number in range(20):
            sent = await world.sender.wait(min(number + at_once + 1, 21))
            to_slow = [one for one in sent if one.url == "http://slow/"]
            to_slow[number].answer.set_result(Answer(200))
        assert [one.body.decode() for one in world.sender.sent if one.url == "http://slow/"] == tasks

    use(scenario, status=None)


def test_after_a_restart_all_that_is_not_over_is_taken_up(use: Use) -> None:
    async def before(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.outbox.prepare("v", "me", "running")
        await world.outbox.prepare("v", "me", "ended")
        await world.tell("refused")
        await world.sender.wait(1)

    async def after(world: World) -> None:
        assert world.announced_again == ["running", "ended"]
        sent = await world.sender.wait(2)
        assert sorted(one.body for one in sent) == [b"ended", b"refused"]

        async def is_over() -> bool:
            states = [delivery.state for delivery in await world.outbox.deliveries()]
            return states == [DeliveryState.PREPARED, DeliveryState.DELIVERED, DeliveryState.DELIVERED]

        await world.eventually(is_over)

    # The process dies while the endpoint still thinks: nobody knows what became of that attempt.
    use(before, status=None)
    use(after)


def test_forgetting_takes_one_credentials_or_all_but_the_configured(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://mine/", "me")
        await world.outbox.endpoints.add("v", "http://yours/", "you")
        await world.tell("t")
        await world.tell("u", credential="you")
        await world.sender.wait(2)
        await world.outbox.forget("me")
        assert [endpoint.url for endpoint in world.outbox.endpoints.list()] == [
            "http://all/",
            "http://yours/",
        ]
        assert {delivery.credential for delivery in await world.outbox.deliveries()} == {"you"}
        await world.outbox.forget(None)
        assert [endpoint.url for endpoint in world.outbox.endpoints.list()] == ["http://all/"]
        assert await world.outbox.deliveries() == []

    use(scenario, status=None, configured=("http://all/",))


def test_no_answer_is_logged_with_its_reason(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(SendFailed("http://a/", "no answer within 15 s"))
        waiting = await world.until(lambda delivery: len(delivery.attempts) == 1)
        assert (waiting.attempts[0].status, waiting.attempts[0].error) == (None, "no answer within 15 s")

    use(scenario, status=None)


def test_what_nobody_expected_of_a_sending_is_told_as_the_reason_of_its_failure(
    use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(RuntimeError("nobody expects it"))
        failed = await world.until(lambda delivery: delivery.state is not DeliveryState.WAITING)
        reason = "it could not be sent: RuntimeError: nobody expects it"
        assert (failed.state, failed.reason) == (DeliveryState.FAILED, reason)
        # The way to the endpoint is free for the next one, which may be sent again by hand too.
        again = asyncio.create_task(world.outbox.replay(failed.id))
        (_, second) = await world.sender.wait(2)
        second.answer.set_result(Answer(200))
        replayed = await again
        assert replayed is not None
        assert (replayed.state, replayed.reason) == (DeliveryState.DELIVERED, None)

    with caplog.at_level(logging.ERROR):
        use(scenario, status=None)
    assert [record.getMessage() for record in caplog.records] == ["a webhook could not be delivered"]


def test_a_request_waits_a_moment_for_the_answer_to_the_one_before(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        for task_id in ("t", "u"):
            await world.tell(task_id)
        (first,) = await world.sender.wait(1)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 1
        first.answer.set_result(Answer(200))
        await world.sender.wait(2)

    monkeypatch.setattr(lane, "HEAD_START_SECONDS", 60.0)
    use(scenario, status=None)


DELIVERY: Mapping[str, Any] = {
    "id": "d",
    "credential": "",
    "vendor": "v",
    "task_id": "t",
    "endpoint_id": "e",
    "url": "u",
    "message": None,
    "state": "waiting",
    "next_at": 0,
    "attempts": [],
    "fault": {},
    "source": None,
    "reason": None,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"vendor": "nobody"},
        {"vendor": ""},
        {"next_at": "x"},
        {"next_at": "3.0"},
        {"next_at": None},
        {"attempts": [{"number": 1, "at": "x", "ms": 2}]},
        {"attempts": [{}]},
        {"state": "asleep"},
        {"message": {"id": "m"}},
        {"fault": {"copies": 0}},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_recorded_delivery_needs_a_vendor_with_webhooks_and_moments_that_are_numbers(
    use: Use, wrong: Mapping[str, Any]
) -> None:
    async def scenario(world: World) -> None:
        check = world.outbox.checks["webhook/delivery"]
        check(DELIVERY)
        check({**DELIVERY, "next_at": 1.5, "attempts": [{"number": 1, "at": 3.0, "ms": 2, "status": 200}]})
        with pytest.raises((ValueError, TypeError, LookupError)):
            check({**DELIVERY, **wrong})

    use(scenario)


def test_what_is_recorded_passes_the_checks(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t", WebhookFault(copies=2))
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert set(world.outbox.checks) == {"webhook/delivery", "webhook/endpoint"}
        world.outbox.checks["webhook/delivery"](delivered.to_document())
        world.outbox.checks["webhook/endpoint"](world.outbox.endpoints.list()[0].to_document())

    use(scenario)
