from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.webhooks.delivery import Delivery, DeliveryState, Message, Policy
from emulator.webhooks.fault import NO_FAULT, Signature, WebhookFault
from emulator.webhooks.outbox import (
    IN_FLIGHT,
    ConfiguredEndpoint,
    EndpointRefused,
    NothingToReplay,
    Outbox,
    Source,
    WrongSecret,
)
from emulator.webhooks.sender import Answer, SendFailed

NOW = 1_790_000_000.0


class Sent:
    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.url = url
        self.headers = headers
        self.body = body
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class ListSender:
    """Remembers what is sent; the test answers, unless there is an answer for all."""

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
            await asyncio.wait_for(self._changed.wait_for(lambda: len(self.sent) >= count), 10)
        return self.sent

    async def close(self) -> None:
        pass


class World:
    """An outbox, and what it stands on."""

    def __init__(self, records: SqliteRecords, sender: ListSender, configured: tuple[str, ...] = ()) -> None:
        self.clock = Clock(NOW)
        self.sender = sender
        self.announced_again: list[str] = []
        self.outbox = Outbox(records, self.clock, SeededIds(0, records.count_up), sender)

        def headers(secret: str, message: Message, sent_at: int, signature: Signature) -> dict[str, str]:
            return {"id": message.id, "at": str(sent_at), "how": signature, "secret": secret}

        async def announce_again(task_id: str) -> None:
            self.announced_again.append(task_id)
            if task_id != "running":
                await self.announce(task_id)

        def check(secret: str) -> None:
            if secret.startswith("bad"):
                raise WrongSecret("it is bad")

        policy = Policy((0.0, 5.0, 300.0), 15.0, 3)
        endpoints = tuple(ConfiguredEndpoint(url, "configured") for url in configured)
        source = Source(policy, headers, announce_again, lambda drawn: drawn.hex(), check, endpoints)
        self.outbox.register("v", source)

    async def announce(
        self, task_id: str, fault: WebhookFault = NO_FAULT, owner: str = "me", *, hold: bool = False
    ) -> None:
        async def decide() -> tuple[WebhookFault, str | None]:
            return fault, None if fault == NO_FAULT else "rule 1"

        message = Message(f"msg_{task_id}", task_id.encode())
        await self.outbox.announce("v", owner, task_id, message, decide, hold=hold)

    async def tell(self, task_id: str, fault: WebhookFault = NO_FAULT, owner: str = "me") -> None:
        await self.outbox.prepare("v", owner, task_id)
        await self.announce(task_id, fault, owner)

    async def only(self) -> Delivery:
        (delivery,) = await self.outbox.deliveries()
        return delivery

    async def until(self, look: Callable[[Delivery], bool]) -> Delivery:
        async def is_so() -> bool:
            return look(await self.only())

        await eventually(is_so)
        return await self.only()


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await look():  # noqa: ASYNC110 - the records tell nobody when they change
            await asyncio.sleep(0)


def use(
    path: Path,
    scenario: Callable[[World], Awaitable[None]],
    status: int | None = 200,
    configured: tuple[str, ...] = (),
) -> None:
    async def run() -> None:
        records = SqliteRecords(path / "records.sqlite3")
        await records.open()
        world = World(records, ListSender(status), configured)
        await world.outbox.start()
        try:
            await scenario(world)
        finally:
            await world.outbox.close()
            await records.close()

    asyncio.run(run())


def test_what_is_prepared_is_sent_when_it_is_announced_and_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.add_endpoint("v", "http://a/", timestamps="clock")
        await world.outbox.prepare("v", "me", "t")
        await world.outbox.prepare("v", "me", "t")
        assert (await world.only()).state is DeliveryState.PREPARED
        await world.announce("t")
        await world.announce("t")
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert [(made.number, made.at, made.status) for made in delivered.attempts] == [(1, NOW, 200)]
        (sent,) = world.sender.sent
        assert (sent.url, sent.body) == ("http://a/", b"t")
        expected = {"id": "msg_t", "at": str(int(NOW)), "how": "good", "secret": endpoint.secret}
        assert sent.headers == expected

    use(tmp_path, scenario)


def test_the_owners_clock_makes_the_next_attempt_due_at_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/", timestamps="clock")
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

    use(tmp_path, scenario, status=500)


def test_after_the_last_attempt_it_has_failed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("t")
        for count in (1, 2):
            await world.until(lambda delivery, count=count: len(delivery.attempts) == count)  # type: ignore[misc]
            world.clock.advance(300.0)
        failed = await world.until(lambda delivery: delivery.state is DeliveryState.FAILED)
        assert (len(failed.attempts), failed.reason) == (3, "no attempt is left")

    use(tmp_path, scenario, status=500)


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.sender.retry_after = "60"
        await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("t")
        waiting = await world.until(lambda delivery: len(delivery.attempts) == 1)
        assert waiting.next_at == NOW + 60.0
        world.clock.advance(59.0)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 1
        world.clock.advance(1.0)
        await world.sender.wait(2)

    use(tmp_path, scenario, status=429)


def test_an_endpoint_that_is_gone_hears_nothing_more(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("t")
        failed = await world.until(lambda delivery: delivery.state is DeliveryState.FAILED)
        assert failed.reason == "the endpoint answered 410"

        async def is_disabled() -> bool:
            return world.outbox.endpoints()[0].disabled is not None

        await eventually(is_disabled)
        await world.tell("u")
        assert (await world.only()).task_id == "t"
        assert await world.outbox.remove_endpoint(endpoint.id)
        assert not await world.outbox.remove_endpoint(endpoint.id)

    use(tmp_path, scenario, status=410)


def test_what_was_on_its_way_to_a_removed_endpoint_has_failed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.outbox.add_endpoint("v", "http://a/")
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

    use(tmp_path, scenario, status=500)


def test_an_owner_hears_of_its_tasks_alone_and_everybodys_endpoint_of_all(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://mine/", "me")
        await world.outbox.add_endpoint("v", "http://yours/", "you")
        await world.outbox.add_endpoint("v", "http://all/")
        await world.tell("t")
        sent = await world.sender.wait(2)
        assert sorted(one.url for one in sent) == ["http://all/", "http://mine/"]

    use(tmp_path, scenario)


@pytest.mark.parametrize("goes_out", [True, False])
def test_deliveries_to_an_endpoint_begin_in_order_and_a_bounded_number_at_once(
    tmp_path: Path, *, goes_out: bool
) -> None:
    async def scenario(world: World) -> None:
        world.sender.goes_out = goes_out
        at_once = IN_FLIGHT if goes_out else 1
        await world.outbox.add_endpoint("v", "http://slow/", "me")
        await world.outbox.add_endpoint("v", "http://quick/", "you")
        tasks = [f"t{number:02}" for number in range(20)]
        for task_id in tasks:
            await world.tell(task_id)
        await world.sender.wait(at_once)
        await world.tell("other", owner="you")
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

    use(tmp_path, scenario, status=None)


def test_what_goes_wrong_on_purpose_is_logged(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/", timestamps="clock")
        await world.tell("t", WebhookFault(copies=3, signature="stale"))
        delivered = await world.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        injected = {"copies": 3, "signature": "stale", "source": "rule 1"}
        assert [(made.number, made.injected) for made in delivered.attempts] == [(1, injected)] * 3
        assert [sent.headers["at"] for sent in world.sender.sent] == [str(int(NOW) - 3600)] * 3
        assert {sent.headers["how"] for sent in world.sender.sent} == {"stale"}

    use(tmp_path, scenario)


def test_a_lost_one_is_never_sent_and_a_delayed_one_later(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("lost", WebhookFault(lost=True))
        await world.tell("late", WebhookFault(delay_s=60.0))
        world.clock.advance(59.0)
        await asyncio.sleep(0.01)
        assert world.sender.sent == []
        world.clock.advance(1.0)
        (sent,) = await world.sender.wait(1)
        assert sent.body == b"late"
        assert (await world.outbox.deliveries())[0].state is DeliveryState.LOST

    use(tmp_path, scenario)


def test_a_replay_is_sent_at_once_with_the_same_id(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.outbox.prepare("v", "me", "t")
        prepared = await world.only()
        with pytest.raises(NothingToReplay, match="not recorded yet"):
            await world.outbox.replay(prepared.id)
        await world.announce("t", WebhookFault(lost=True))
        world.clock.advance(7.0)
        replayed = await world.outbox.replay(prepared.id)
        assert replayed is not None
        assert replayed.state is DeliveryState.DELIVERED
        assert [(made.at - NOW, made.is_replay) for made in replayed.attempts] == [(7.0, True)]
        assert world.sender.sent[0].headers["id"] == "msg_t"
        assert await world.outbox.replay("nobody") is None

    use(tmp_path, scenario)


def test_a_replay_that_is_taken_ends_the_retries(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("t")
        await world.until(lambda delivery: len(delivery.attempts) == 1)
        world.sender.status = 200
        await world.outbox.replay((await world.only()).id)
        world.clock.advance(5.0)
        await asyncio.sleep(0.01)
        assert len(world.sender.sent) == 2

    use(tmp_path, scenario, status=500)


def test_a_held_one_is_sent_when_it_is_told_to_and_then_tried_like_any_other(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.outbox.prepare("v", "me", "t")
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

    use(tmp_path, scenario, status=500)


def test_after_a_restart_all_that_is_not_over_is_taken_up(tmp_path: Path) -> None:
    async def before(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
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

        await eventually(is_over)

    # The process dies while the endpoint still thinks: nobody knows what became of that attempt.
    use(tmp_path, before, status=None)
    use(tmp_path, after)


def test_clearing_forgets_one_owners_or_all_but_the_configured(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://mine/", "me")
        await world.outbox.add_endpoint("v", "http://yours/", "you")
        await world.tell("t")
        await world.tell("u", owner="you")
        await world.sender.wait(2)
        await world.outbox.clear("me")
        assert [endpoint.url for endpoint in world.outbox.endpoints()] == ["http://all/", "http://yours/"]
        assert {delivery.owner for delivery in await world.outbox.deliveries()} == {"you"}
        await world.outbox.clear()
        assert [endpoint.url for endpoint in world.outbox.endpoints()] == ["http://all/"]
        assert await world.outbox.deliveries() == []

    use(tmp_path, scenario, status=None, configured=("http://all/",))


def test_configured_endpoints_follow_the_settings(tmp_path: Path) -> None:
    async def both(world: World) -> None:
        assert [endpoint.url for endpoint in world.outbox.endpoints()] == ["http://a/", "http://b/"]

    async def one(world: World) -> None:
        assert [endpoint.url for endpoint in world.outbox.endpoints()] == ["http://b/"]

    use(tmp_path, both, configured=("http://a/", "http://b/"))
    use(tmp_path, one, configured=("http://b/",))


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        ("ftp://a/", None, "no URL of the web"),
        ("http://", None, "no URL of the web"),
        ("http://[", None, "no URL of the web"),
        ("http://a:99999/", None, "no URL of the web"),
        ("http://a/", "bad", "it is bad"),
    ],
)
def test_what_is_no_endpoint_is_refused(tmp_path: Path, url: str, secret: str | None, reason: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(EndpointRefused, match=reason):
            await world.outbox.add_endpoint("v", url, "me", secret)

    use(tmp_path, scenario)


def test_an_owner_has_only_so_many_endpoints(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        for number in range(3):
            await world.outbox.add_endpoint("v", f"http://a/{number}", "me")
        with pytest.raises(EndpointRefused, match="there are 3 endpoints already"):
            await world.outbox.add_endpoint("v", "http://a/3", "me")
        await world.outbox.add_endpoint("v", "http://a/3", "you")
        with pytest.raises(EndpointRefused, match="w has no webhooks; v has"):
            await world.outbox.add_endpoint("w", "http://a/")

    use(tmp_path, scenario)


def test_an_owner_has_only_so_many_endpoints_also_if_they_are_added_at_the_same_moment(
    tmp_path: Path,
) -> None:
    async def scenario(world: World) -> None:
        adding = (world.outbox.add_endpoint("v", f"http://a/{number}", "me") for number in range(20))
        added = await asyncio.gather(*adding, return_exceptions=True)
        refused = [str(each) for each in added if isinstance(each, EndpointRefused)]
        assert len(refused) == 17
        assert all("there are 3 endpoints already" in reason for reason in refused)
        assert set(world.outbox.endpoints("me")) == set(added) - {
            each for each in added if isinstance(each, EndpointRefused)
        }

    use(tmp_path, scenario)


def test_no_answer_is_logged_with_its_reason(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.tell("t")
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(SendFailed("http://a/", "no answer within 15 s"))
        waiting = await world.until(lambda delivery: len(delivery.attempts) == 1)
        assert (waiting.attempts[0].status, waiting.attempts[0].error) == (None, "no answer within 15 s")

    use(tmp_path, scenario, status=None)


def test_what_nobody_expected_of_a_sending_is_told_as_the_reason_of_its_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
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
        use(tmp_path, scenario, status=None)
    assert [record.getMessage() for record in caplog.records] == ["a webhook could not be delivered"]


def test_a_held_one_whose_sending_fails_unexpectedly_is_told_as_failed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.add_endpoint("v", "http://a/")
        await world.outbox.prepare("v", "me", "t")
        await world.announce("t", hold=True)
        sending = asyncio.create_task(world.outbox.send((await world.only()).id))
        (sent,) = await world.sender.wait(1)
        sent.answer.set_exception(RuntimeError("nobody expects it"))
        told = await sending
        assert told is not None
        assert told.state is DeliveryState.FAILED

    with caplog.at_level(logging.ERROR):
        use(tmp_path, scenario, status=None)
    assert len(caplog.records) == 1
