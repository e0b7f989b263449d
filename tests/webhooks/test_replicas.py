"""An outbox that several replicas share. Some of the replicas die."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from random import Random
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_records import SharedDatabase, SharedRecords, pause_briefly
from webhooks.conftest import NOW, ListSender, Sent, World

from emulator.backends.records.cached import CachedRecords
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Clock
from emulator.webhooks import lane, takeover
from emulator.webhooks.delivery import Delivery, DeliveryState, Message
from emulator.webhooks.fault import WebhookFault
from emulator.webhooks.sender import Answer


class Member:
    """A replica as the cluster knows it."""

    def __init__(self, me: str, alive: set[str]) -> None:
        self.me = me
        self._alive = alive

    async def living(self) -> Collection[str]:
        return set(self._alive)

    async def registered(self) -> None:
        return None


class Replica(World):
    """A replica with its own memory, its own connection to the database and its own sender."""

    def __init__(self, cluster: Cluster, name: str, configured: tuple[str, ...]) -> None:
        self.name = name
        self.connection = SharedRecords(cluster.database)
        super().__init__(
            CachedRecords(self.connection),
            ListSender(cluster.status),
            configured,
            clock=cluster.clock,
            replicas=Member(name, cluster.alive),
        )

    async def sweep(self, times: int = 2) -> None:
        for _ in range(times):
            await self.outbox.sweep()


class Cluster:
    """Replicas that share one database."""

    def __init__(
        self, status: int | None = 200, pause: Callable[[], Awaitable[None]] = pause_briefly
    ) -> None:
        self.database = SharedDatabase(pause, tells_late=True)
        self.clock = Clock(NOW)
        self.status = status
        self.alive: set[str] = set()
        self.replicas: dict[str, Replica] = {}
        self.dead: list[Replica] = []

    async def start(self, name: str, configured: tuple[str, ...] = ()) -> Replica:
        self.alive.add(name)
        replica = self.replicas[name] = Replica(self, name, configured)
        await replica.outbox.load()
        return replica

    async def kill(self, name: str) -> None:
        """End a replica. It cannot write anything afterwards."""
        replica = self.replicas.pop(name)
        self.dead.append(replica)
        replica.connection.is_connected = False
        self.alive.discard(name)
        await replica.outbox.close()

    async def close(self) -> None:
        for name in list(self.replicas):
            await self.kill(name)

    @property
    def sent(self) -> list[Sent]:
        return [sent for each in (*self.dead, *self.replicas.values()) for sent in each.sender.sent]


class Run(Protocol):
    """Runs a scenario in a new cluster with the replicas a and b, and one endpoint."""

    def __call__(
        self, scenario: Callable[[Cluster, Replica, Replica], Awaitable[None]], status: int | None = 200
    ) -> None: ...


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "HEAD_START_SECONDS", 0.001)
    monkeypatch.setattr(takeover, "SWEEP_SECONDS", 60.0)  # the tests sweep


@pytest.fixture
def run() -> Run:
    def run(
        scenario: Callable[[Cluster, Replica, Replica], Awaitable[None]], status: int | None = 200
    ) -> None:
        async def play() -> None:
            cluster = Cluster(status)
            a, b = await cluster.start("a"), await cluster.start("b")
            await a.outbox.endpoints.add("v", "http://a/")
            try:
                async with asyncio.timeout(10):
                    await scenario(cluster, a, b)
            finally:
                await cluster.close()

        asyncio.run(play())

    return run


async def settle() -> None:
    """Run everything that is due now."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_a_living_replica_takes_over_the_deliveries_of_a_dead_one(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.tell("t")
        await a.until(lambda delivery: len(delivery.attempts) == 1)
        await cluster.kill("a")
        await b.sweep(1)
        assert (await b.only()).owner == "b"
        b.sender.status = 200
        cluster.clock.advance(5.0)
        delivered = await b.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert [(made.number, made.status) for made in delivered.attempts] == [(1, 500), (2, 200)]
        assert [(sent.headers["id"], sent.body) for sent in cluster.sent] == [("msg_t", b"t")] * 2

    run(scenario, status=500)


def test_the_takeover_needs_no_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "SWEEP_SECONDS", 0.001)

    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.tell("t")
        await a.sender.wait(1)
        await cluster.kill("a")
        (sent,) = await b.sender.wait(1)
        sent.answer.set_result(Answer(200))
        await b.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)

    run(scenario, status=None)


def test_each_delivery_of_a_dead_replica_is_sent_by_one_of_the_living(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        tasks = [f"t{number}" for number in range(20)]
        for task_id in tasks:
            await a.prepare(task_id)
            await a.announce(task_id, WebhookFault(delay_s=60.0))
        assert await b.outbox.unfinished() == {
            DeliveryState.PREPARED: 0,
            DeliveryState.HELD: 0,
            DeliveryState.WAITING: 20,
        }
        await cluster.kill("a")
        living = [b, await cluster.start("c"), await cluster.start("d")]
        await asyncio.gather(*(each.sweep() for each in living))
        cluster.clock.advance(60.0)

        async def are_delivered() -> bool:
            return set((await b.outbox.unfinished()).values()) == {0}

        await b.eventually(are_delivered)
        assert sorted(sent.body.decode() for sent in cluster.sent) == sorted(tasks)

    with caplog.at_level(logging.ERROR):
        run(scenario)
    assert caplog.records == []


def test_the_deliveries_of_a_replica_that_starts_during_a_sweep_stay_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(cluster: Cluster, _a: Replica, b: Replica) -> None:
        async def living_before_another_starts(_member: Member) -> Collection[str]:
            alive = set(cluster.alive)
            c = await cluster.start("c")
            await c.tell("t", WebhookFault(delay_s=60.0))
            return alive

        monkeypatch.setattr(Member, "living", living_before_another_starts)
        await b.sweep(1)
        assert (await b.only()).owner == "c"

    run(scenario)


def test_a_replica_without_a_connection_takes_over_nothing(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.tell("t")
        cluster.alive.remove("a")
        b.connection.is_connected = False
        with pytest.raises(StoreUnavailable):
            await b.outbox.sweep()
        cluster.alive.add("a")
        b.connection.is_connected = True
        await b.sweep()
        assert (await b.only()).owner == "a"

    run(scenario, status=500)


def test_a_replica_that_lost_its_deliveries_does_not_send_them(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.tell("t")
        await a.until(lambda delivery: len(delivery.attempts) == 1)
        cluster.alive.remove("a")
        await b.sweep()
        cluster.alive.add("a")
        cluster.clock.advance(5.0)
        await b.until(lambda delivery: len(delivery.attempts) == 2)
        await settle()
        assert (len(a.sender.sent), len(b.sender.sent)) == (1, 1)

    run(scenario, status=500)


def test_a_prepared_delivery_of_a_dead_replica_is_announced_once(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.prepare("t")
        await b.sweep(3)
        # The owner is alive, so it announces the end itself.
        await b.announce("t")
        assert (await b.only()).state is DeliveryState.PREPARED
        await cluster.kill("a")
        c = await cluster.start("c")
        await asyncio.gather(b.sweep(3), c.sweep(3))
        delivered = await b.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert len(cluster.sent) == len(delivered.attempts) == 1
        assert b.announced_again + c.announced_again == ["t"]

    run(scenario)


def test_a_prepared_delivery_whose_announcement_failed_is_announced_by_its_owner(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, _b: Replica) -> None:
        await a.prepare("t")
        await a.sweep()
        assert a.announced_again == ["t"]
        (sent,) = await a.sender.wait(1)
        assert sent.body == b"t"

    run(scenario)


def test_an_end_that_is_announced_twice_at_once_gets_one_fault(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, _b: Replica) -> None:
        decided = 0

        async def decide() -> tuple[WebhookFault, str | None]:
            nonlocal decided
            decided += 1
            await asyncio.sleep(0)
            return WebhookFault(), None

        await a.prepare("t")
        message = Message("msg_t", b"t")
        await asyncio.gather(*(a.outbox.announce("v", "me", "t", message, decide) for _ in range(3)))
        await a.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert (decided, len(a.sender.sent)) == (1, 1)

    run(scenario)


def test_a_delivery_whose_release_got_no_answer_is_sent_by_its_owner(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.prepare("t")

        prepared = await b.only()

        async def lose_the_answer() -> None:
            record = cluster.database.documents["webhook/delivery", prepared.id]
            a.connection.is_connected = record.document["state"] == DeliveryState.PREPARED

        cluster.database.pause = lose_the_answer
        with pytest.raises(StoreUnavailable):
            await a.announce("t")
        cluster.database.pause = pause_briefly
        a.connection.is_connected = True
        await a.sweep()
        await a.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert len(cluster.sent) == 1

    run(scenario)


def test_a_held_delivery_is_released_when_the_replica_with_its_plan_has_died(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.prepare("t")
        await a.announce("t", hold=True)
        await a.sweep(3)
        await b.sweep(3)
        assert (await b.only()).state is DeliveryState.HELD
        await cluster.kill("a")
        await b.sweep()
        await b.until(lambda delivery: delivery.state is DeliveryState.DELIVERED)
        assert len(cluster.sent) == 1

    run(scenario)


def test_a_held_delivery_is_not_released_when_only_the_replica_that_announced_it_has_died(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        async def decide() -> tuple[WebhookFault, str | None]:
            return WebhookFault(), None

        await a.prepare("t")
        await a.outbox.announce("v", "me", "t", Message("msg_t", b"t"), decide, holder="b")
        await cluster.kill("a")
        c = await cluster.start("c")
        await asyncio.gather(b.sweep(3), c.sweep(3))
        assert (await c.only()).state is DeliveryState.HELD
        await cluster.kill("b")
        await c.sweep()
        (sent,) = await c.sender.wait(1)
        assert sent.body == b"t"

    run(scenario)


def test_a_tester_can_use_any_replica(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, b: Replica) -> None:
        for task_id in ("sent", "released", "lost", "failed"):
            await a.prepare(task_id)
            await a.announce(task_id, hold=True)
        found = {delivery.task_id: delivery.id for delivery in await a.outbox.deliveries()}
        first = await b.outbox.send(found["sent"])
        assert first is not None
        assert (first.owner, [made.status for made in first.attempts]) == ("b", [500])
        await b.outbox.release_held("me", "released")
        await b.outbox.lose("me", "lost")
        await b.sender.wait(2)
        # An accepted replay ends the retries of the other replica.
        a.sender.status = b.sender.status = 200
        for name in ("sent", "lost"):
            replayed = await a.outbox.replay(found[name])
            assert replayed is not None
            assert replayed.state is DeliveryState.DELIVERED
        (endpoint,) = b.outbox.endpoints.list()
        await b.outbox.remove_endpoint(endpoint.id)
        a.clock.advance(600.0)
        await settle()
        assert {delivery.task_id: delivery.state.value for delivery in await a.outbox.deliveries()} == {
            "sent": "delivered",
            "released": "failed",
            "lost": "delivered",
            "failed": "failed",
        }
        assert (len(a.sender.sent), len(b.sender.sent)) == (2, 2)

    run(scenario, status=500)


def test_an_endpoint_that_is_added_or_removed_at_a_replica_is_so_at_all(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, b: Replica) -> None:
        added = await b.outbox.endpoints.add("v", "http://b/")
        await a.tell("t")
        await a.sender.wait(2)
        await b.outbox.remove_endpoint(added.id)
        await a.tell("u")
        assert [sent.url for sent in await a.sender.wait(3)] == ["http://a/", "http://b/", "http://a/"]

    run(scenario)


def test_an_endpoint_that_answered_410_to_a_replica_gets_no_webhooks_from_others(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        await b.prepare("late")
        await b.announce("late", WebhookFault(delay_s=60.0))
        await a.tell("t")

        async def have_failed() -> bool:
            return {each.reason for each in await b.outbox.deliveries()} == {"the endpoint answered 410"}

        await a.eventually(have_failed)
        cluster.clock.advance(60.0)
        await b.tell("u")
        await settle()
        assert (len(cluster.sent), len(await b.outbox.deliveries())) == (1, 2)

    run(scenario, status=410)


def test_a_delivery_prepared_while_its_endpoint_was_removed_fails(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, b: Replica) -> None:
        changes = await a.outbox.prepared("v", "me", "t")
        await b.outbox.remove_endpoint(a.outbox.endpoints.list()[0].id)
        await a.connection.write(changes)
        await a.announce("t")
        await a.sweep()
        failed = await a.only()
        assert (failed.state, failed.reason) == (
            DeliveryState.FAILED,
            "its endpoint was removed or disabled",
        )

    run(scenario)


@pytest.mark.parametrize("where", ["asleep", "in the queue", "in flight"])
def test_after_a_reset_elsewhere_nothing_is_sent_or_recorded(run: Run, where: str) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        a.sender.goes_out = False
        await a.prepare("t")
        if where == "in the queue":  # behind a request of another credential
            await a.tell("other", credential="you")
            await a.sender.wait(1)
        await a.announce("t", WebhookFault(delay_s=60.0) if where == "asleep" else WebhookFault())
        if where == "in flight":
            await a.sender.wait(1)
        await settle()
        await b.connection.forget("me")
        await b.outbox.forget("me")
        # The same calls get the same ids again.
        await b.prepare("t")
        await b.announce("t", WebhookFault(delay_s=90.0))
        cluster.clock.advance(60.0)
        for sent in a.sender.sent:
            sent.answer.set_result(Answer(200))
        await settle()
        (again,) = await b.outbox.deliveries("me")
        assert (again.state, again.attempts) == (DeliveryState.WAITING, ())
        assert [sent.body for sent in a.sender.sent] == {
            "asleep": [],
            "in the queue": [b"other"],
            "in flight": [b"t"],
        }[where]
        cluster.clock.advance(30.0)
        (sent,) = await b.sender.wait(1)
        assert sent.body == b"t"

    run(scenario, status=None)


def test_after_a_reset_elsewhere_no_work_remains(run: Run) -> None:
    async def scenario(_cluster: Cluster, a: Replica, b: Replica) -> None:
        await a.prepare("t")
        await a.announce("t", WebhookFault(delay_s=60.0))
        await a.tell("u", WebhookFault(delay_s=60.0), "you")
        await settle()
        tasks = len(asyncio.all_tasks())
        await b.outbox.forget("me")
        await a.sweep(1)
        await settle()
        assert len(asyncio.all_tasks()) == tasks - 1

    run(scenario)


def test_the_replica_that_restores_deliveries_sends_them(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, b: Replica) -> None:
        for task_id, hold in (("waiting", False), ("held", True)):
            await a.prepare(task_id)
            await a.announce(task_id, WebhookFault(delay_s=60.0), hold=hold)
        await a.prepare("prepared")
        saved = [entry async for entry in b.connection.export()]
        cluster.clock.advance(60.0)
        await a.sender.wait(1)
        await b.connection.restore(saved)
        await b.outbox.load()
        await asyncio.gather(a.sweep(3), b.sweep(3))
        sent = await b.sender.wait(3)
        assert sorted(each.body for each in sent) == [b"held", b"prepared", b"waiting"]
        await settle()
        assert (len(a.sender.sent), len(b.sender.sent)) == (1, 3)

    run(scenario)


def test_replicas_with_the_same_settings_configure_an_endpoint_once(run: Run) -> None:
    async def scenario(cluster: Cluster, _a: Replica, _b: Replica) -> None:
        replicas = await asyncio.gather(*(cluster.start(name, ("http://c/",)) for name in "cdefghijkl"))
        (record,) = [
            record
            for record in await replicas[0].connection.find("webhook/endpoint")
            if record.document["is_configured"]
        ]
        assert record.version == 1
        await replicas[0].outbox.endpoints.disable(record.key, "it answered 410")
        (disabled,) = [
            each
            for each in (await cluster.start("m", ("http://c/",))).outbox.endpoints.list()
            if each.disabled
        ]
        assert disabled.id == record.key

    run(scenario)


def test_the_last_replica_to_start_decides_which_endpoints_are_configured(run: Run) -> None:
    async def scenario(cluster: Cluster, a: Replica, _b: Replica) -> None:
        before = await cluster.start("before", ("http://old/", "http://both/"))
        await cluster.start("after", ("http://both/", "http://new/"))
        # A reset of another credential at a replica with the old settings changes nothing.
        await before.outbox.forget("me")
        await a.connection.catch_up()
        assert {each.url for each in a.outbox.endpoints.list() if each.is_configured} == {
            "http://both/",
            "http://new/",
        }

    run(scenario)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["tell", "prepare", "kill", "start", "sweep", "advance", "answer"]), st.integers(0, 2)
    ),
    max_size=25,
)


class Interleaving:
    """Steps of several replicas whose statements interleave at random."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - Hypothesis chooses the seed

        async def pause() -> None:
            for _ in range(random.randrange(3)):
                await asyncio.sleep(0)

        self.cluster = Cluster(None, pause)
        self.tasks: list[str] = []
        self.killed: Counter[str] = Counter()
        """The tasks whose webhooks were sent by a replica that was killed before it recorded this."""
        self.working: list[asyncio.Task[None]] = []

    async def play(self, steps: list[tuple[str, int]]) -> list[Delivery]:
        """Play the steps, let all deliveries end, and return them."""
        first = await self.cluster.start("0")
        await first.outbox.endpoints.add("v", "http://a/")
        for step, which in steps:
            await self.take(step, which)
        await self.take("start", 0)
        (last, *others) = self.cluster.replicas.values()
        async with asyncio.timeout(10):
            while any((await last.outbox.unfinished()).values()):
                for each in (last, *others):
                    await each.outbox.sweep()
                await self.take("answer", 0)
                await self.take("advance", 0)
        await asyncio.gather(*self.working, return_exceptions=True)
        return await last.outbox.deliveries()

    async def take(self, step: str, which: int) -> None:
        """Perform a step at one of the living replicas, if there is one, and let some background work run."""
        living = list(self.cluster.replicas.values())
        if step == "advance":
            self.cluster.clock.advance(60.0)
        elif step == "answer":
            for sent in self.cluster.sent:
                if not sent.answer.done():
                    sent.answer.set_result(Answer(200))
        elif step == "start":
            if len(living) < 3:
                await self.cluster.start(str(len(self.cluster.dead) + len(living)))
        elif living:
            await self.take_at(living[which % len(living)], step, which)
        for _ in range(which):
            await asyncio.sleep(0)

    async def take_at(self, replica: Replica, step: str, which: int) -> None:
        if step == "kill":
            unfinished = {
                record.document["task_id"]
                for (kind, _), record in self.cluster.database.documents.items()
                if kind == "webhook/delivery" and not record.document["ended"]
            }
            tasks = [sent.body.decode() for sent in replica.sender.sent]
            self.killed.update(task_id for task_id in tasks if task_id in unfinished)
            await self.cluster.kill(replica.name)
        elif step == "sweep":
            self.working.append(asyncio.create_task(replica.outbox.sweep()))
        else:
            task_id = f"t{len(self.tasks)}"
            self.tasks.append(task_id)
            await replica.prepare(task_id)
            if step == "tell":
                fault = WebhookFault(delay_s=60.0 * which)
                self.working.append(asyncio.create_task(replica.announce(task_id, fault)))


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(0, 2**32))
def test_every_webhook_is_sent_once_and_again_only_if_its_sender_was_killed(
    steps: list[tuple[str, int]], seed: int
) -> None:
    async def check() -> None:
        played = Interleaving(seed)
        try:
            ended = await played.play(steps)
        finally:
            await played.cluster.close()
        assert [each.task_id for each in ended] == played.tasks
        assert {each.state for each in ended} <= {DeliveryState.DELIVERED}
        sent = Counter(each.body.decode() for each in played.cluster.sent)
        assert sent == Counter(played.tasks) + played.killed
        assert all(each.headers["id"] == f"msg_{each.body.decode()}" for each in played.cluster.sent)

    asyncio.run(check())
