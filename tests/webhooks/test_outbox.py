from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from emulator.webhooks import lane
from emulator.webhooks.delivery import AttemptResult, DeliveryState
from emulator.webhooks.fault import WebhookFault
from emulator.webhooks.lane import IN_FLIGHT
from emulator.webhooks.outbox import ReplayRefused
from emulator.webhooks.sender import Answer, SendFailed

if TYPE_CHECKING:
    from webhooks.conftest import Use, World

NOW = 1_790_000_000.0


def test_a_prepared_delivery_is_sent_once_when_it_is_announced(use: Use) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.endpoints.add("v", "http://a/", timestamps="clock")
        await world.prepare("t")
        await world.prepare("t")
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


def test_advancing_the_credentials_clock_triggers_the_next_attempt(use: Use) -> None:
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


def test_attempts_are_counted_by_vendor_and_result(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        (await world.sender.wait(1))[0].answer.set_exception(SendFailed("http://a/", "it was reset"))
        await world.until(lambda delivery: len(delivery.attempts) == 1)
        for count, status in ((2, 503), (3, 200)):
            world.clock.advance(300.0)
            (await world.sender.wait(count))[-1].answer.set_result(Answer(status))
            await world.until(lambda delivery, count=count: len(delivery.attempts) == count)  # type: ignore[misc]
        world.sender.status = 204
        await world.outbox.replay((await world.only()).id)
        await world.outbox.forget(None)
        assert world.outbox.attempted == {
            ("v", AttemptResult.UNANSWERED): 1,
            ("v", AttemptResult.REFUSED): 1,
            ("v", AttemptResult.ACCEPTED): 2,
        }

    use(scenario, status=None)


def test_a_delivery_fails_after_its_last_attempt(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        for count in (1, 2):
            await world.until(lambda delivery, count=count: len(delivery.attempts) == count)  # type: ignore[misc]
            world.clock.advance(300.0)
        failed = await world.until(lambda delivery: delivery.state is DeliveryState.FAILED)
        assert (len(failed.attempts), failed.reason) == (3, "no attempt is left")

    use(scenario, status=500)


def test_the_next_attempt_waits_for_retry_after(use: Use) -> None:
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


def test_an_endpoint_that_answered_410_gets_no_more_webhooks(use: Use) -> None:
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


def test_removing_an_endpoint_fails_its_pending_deliveries(use: Use) -> None:
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
        with pytest.raises(ReplayRefused, match="its endpoint was removed"):
            await world.outbox.replay(removed.id)

    use(scenario, status=500)


def test_an_endpoint_gets_the_webhooks_of_its_credential_and_a_default_one_gets_all(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://mine/", "me")
        await world.outbox.endpoints.add("v", "http://yours/", "you")
        await world.outbox.endpoints.add("v", "http://all/")
        await world.tell("t")
        sent = await world.sender.wait(2)
        assert sorted(one.url for one in sent) == ["http://all/", "http://mine/"]

    use(scenario)


@pytest.mark.parametrize("goes_out", [True, False])
def test_deliveries_to_an_endpoint_start_in_order_and_their_concurrency_is_bounded(
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
        # The slow endpoint does not delay the other, and has at most ``at_once`` requests in flight.
        assert sent[-1].url == "http://quick/"
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == at_once + 1
        for number in range(20):
            sent = await world.sender.wait(min(number + at_once + 1, 21))
            to_slow = [one for one in sent if one.url == "http://slow/"]
            to_slow[number].answer.set_result(Answer(200))
        assert [one.body.decode() for one in world.sender.sent if one.url == "http://slow/"] == tasks

    use(scenario, status=None)


def test_after_a_restart_unfinished_deliveries_are_resumed(use: Use) -> None:
    async def before(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.prepare("running")
        await world.prepare("ended")
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

    # The process ends before the endpoint answers, so the result of that attempt is unknown.
    use(before, status=None)
    use(after)


def test_forget_removes_one_credentials_endpoints_or_all_but_the_configured(use: Use) -> None:
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


def test_an_attempt_without_a_response_records_the_reason(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(SendFailed("http://a/", "no answer within 15 s"))
        waiting = await world.until(lambda delivery: len(delivery.attempts) == 1)
        assert (waiting.attempts[0].status, waiting.attempts[0].error) == (None, "no answer within 15 s")

    use(scenario, status=None)


def test_an_unexpected_error_fails_a_delivery_with_the_error_as_reason(
    use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t")
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(RuntimeError("unexpected"))
        failed = await world.until(lambda delivery: delivery.state is not DeliveryState.WAITING)
        reason = "it could not be sent: RuntimeError: unexpected"
        assert (failed.state, failed.reason) == (DeliveryState.FAILED, reason)
        # The failure does not block the endpoint, and the delivery can be replayed.
        again = asyncio.create_task(world.outbox.replay(failed.id))
        (_, second) = await world.sender.wait(2)
        second.answer.set_result(Answer(200))
        replayed = await again
        assert replayed is not None
        assert (replayed.state, replayed.reason) == (DeliveryState.DELIVERED, None)

    with caplog.at_level(logging.ERROR):
        use(scenario, status=None)
    assert [record.getMessage() for record in caplog.records] == ["a webhook could not be delivered"]


def test_a_request_waits_briefly_for_the_response_to_the_previous_one(
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
    "message": {"id": "m", "body": "b"},
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
def test_an_invalid_recorded_delivery_is_refused(use: Use, wrong: Mapping[str, Any]) -> None:
    async def scenario(world: World) -> None:
        check = world.outbox.checks["webhook/delivery"]
        check(DELIVERY)
        check({**DELIVERY, "next_at": 1.5, "attempts": [{"number": 1, "at": 3.0, "ms": 2, "status": 200}]})
        with pytest.raises((ValueError, TypeError, LookupError)):
            check({**DELIVERY, **wrong})

    use(scenario)


def test_recorded_documents_pass_the_checks(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add("v", "http://a/")
        await world.tell("t", WebhookFault(copies=2))
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert set(world.outbox.checks) == {"webhook/delivery", "webhook/endpoint"}
        world.outbox.checks["webhook/delivery"](delivered.to_document())
        world.outbox.checks["webhook/endpoint"](world.outbox.endpoints.list()[0].to_document())

    use(scenario)
