"""Plans that several replicas follow together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol, cast

import pytest
from known_tasks import Queue
from shared_records import Database, PostgresDatabase, SharedDatabase

from emulator import explore
from emulator.backends.records import Change
from emulator.backends.records.cached import CachedRecords
from emulator.backends.replicas import OnlyReplica
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.tasks.job import Job, TaskFault
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Outcome, Task
from emulator.webhooks.delivery import Message, Policy
from emulator.webhooks.endpoints import Source
from emulator.webhooks.outbox import Outbox
from emulator.webhooks.sender import Answer
from emulator.world.announcer import Announcer
from emulator.world.plans.plan import Plan, Step, When
from emulator.world.plans.plans import Plans

CREATED, RUNNING, END = Step.CREATED, Step.POLL_RUNNING, Step.POLL_END


class Endpoint:
    """Counts the webhooks that all replicas send to an endpoint. It answers while ``may_answer`` is set."""

    def __init__(self) -> None:
        self.received = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[], None],
    ) -> Answer:
        del url, headers, body, timeout_s
        self.received += 1
        on_sent()
        await self.may_answer.wait()
        return Answer(200, None)

    async def close(self) -> None:
        pass


class Member(OnlyReplica):
    """The replicas that are alive, as one of them sees them."""

    def __init__(self, me: str, alive: set[str]) -> None:
        self.me = me
        self._alive = alive

    async def living(self) -> Collection[str]:
        return set(self._alive)

    async def registered(self) -> None:
        return None


class Server:
    """A replica with tasks, webhooks and plans."""

    def __init__(
        self, me: str, database: Database, records: CachedRecords, alive: set[str], endpoint: Endpoint
    ) -> None:
        alive.add(me)
        self.me, self.alive, self.database, self.records = me, alive, database, records
        self.clock = Clock(100.0)
        self.tasks = TaskRunner(self.records, Queue(), self.clock)
        self.webhooks = Outbox(self.records, self.clock, SeededIds(0, self.records.count_up), endpoint)
        self.plans = Plans(self.records, self.tasks, self.webhooks, Member(me, alive))
        stands_on = cast("Any", SimpleNamespace(webhooks=self.webhooks, plans=self.plans))
        announcer = Announcer(stands_on, "v", lambda task: Message(f"msg_{task.id}", b"{}"))
        policy = Policy((0.0,), 15.0, 3)
        source = Source(
            policy, lambda *_: {}, announcer.announce_again, lambda drawn: drawn.hex(), lambda _: None
        )
        self.webhooks.endpoints.register("v", source)

        async def succeed(_task: Task) -> Outcome:
            return Outcome({})

        async def settle(task: Task, _outcome: Outcome) -> Sequence[Change]:
            return await announcer.prepared(task)

        self.tasks.register({"job": Job(succeed, "unknown", settle, announcer.announce)})

    async def load(self) -> None:
        await self.tasks.load()
        await self.plans.load()
        await self.webhooks.endpoints.load()

    async def create(self, task_id: str = "t") -> Task:
        await self.records.catch_up()
        task = Task(task_id, "me", "job", {}, self.clock.now("me"))
        await self.plans.create_task(task, TaskFault(announcement={}))
        return task

    async def poll(self, task_id: str = "t") -> Task:
        await self.records.catch_up()
        await self.plans.before_poll(task_id, "me")
        found = await self.tasks.find(task_id, "me")
        assert found is not None
        told = await self.tasks.poll(found)
        await self.plans.note_poll(told)
        return told

    async def steps(self, task_id: str = "t") -> list[Step]:
        await self.records.catch_up()
        return (await self.plans.steps("me"))[task_id]

    async def die(self) -> None:
        """Stop at once, and appear dead to the others."""
        await self.close()
        self.alive.discard(self.me)

    async def close(self) -> None:
        await self.plans.close()
        await self.tasks.close()
        await self.webhooks.close()


async def start(me: str, database: Database, alive: set[str], endpoint: Endpoint) -> Server:
    server = Server(me, database, await database.replica(), alive, endpoint)
    await server.load()
    return server


class Play(Protocol):
    """Runs a scenario with three replicas and a timeout."""

    def __call__(self, scenario: Callable[[Server, Server, Server, Endpoint], Awaitable[None]]) -> None: ...


@pytest.fixture(params=["shared", "postgres"])
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Play:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    monkeypatch.setattr("emulator.world.plans.plans.ENDPOINT_TIMEOUT_SECONDS", 60.0)

    def play(scenario: Callable[[Server, Server, Server, Endpoint], Awaitable[None]]) -> None:
        async def run() -> None:
            database: Database = SharedDatabase() if url is None else PostgresDatabase(url)
            alive, endpoint = set[str](), Endpoint()
            servers = [await start(name, database, alive, endpoint) for name in "abc"]
            await servers[0].webhooks.endpoints.add("v", "http://127.0.0.1:9/")
            try:
                async with asyncio.timeout(20):
                    await scenario(servers[0], servers[1], servers[2], endpoint)
            finally:
                for server in servers:
                    await server.close()
                await database.close()

        asyncio.run(run())

    return play


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - the records send no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("plan", explore.plans(1), ids=str)
def test_polls_at_any_replica_see_the_order_of_the_plan(play: Play, plan: explore.Plan) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        seen: list[Step] = []

        def note(*steps: Step) -> None:
            came = endpoint.received - seen.count(Step.WEBHOOK_TAKEN)
            seen.extend([*[Step.WEBHOOK_TAKEN] * came, *steps])

        await c.plans.put("me", Plan(polls=plan.running_polls, webhooks=plan.webhooks, pause_s=0.1))
        creating = asyncio.create_task(a.plans.note_creation(await a.create()))
        await c.tasks.perform("t")
        await creating
        note(Step.CREATED)
        for turn in range(10):
            told = await (b, a, c)[turn % 3].poll()
            note(END if told.is_finished else RUNNING)
            if told.is_finished:
                break

        async def is_over() -> bool:
            return not await c.plans.holds(told)

        await until(is_over)
        note()
        assert tuple(seen) == tuple(await b.steps()) == plan.steps

    play(scenario)


def test_a_removed_plan_holds_no_call_at_another_replica(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        endpoint.may_answer.clear()
        await b.plans.put("me", Plan(polls=0, webhooks=(When.BEFORE_CREATION,)))
        creating = asyncio.create_task(a.plans.note_creation(await a.create()))
        await c.tasks.perform("t")

        async def is_sent() -> bool:
            return endpoint.received == 1

        await until(is_sent)
        polling = asyncio.create_task(c.poll())
        await b.plans.leave("me")
        await creating
        assert (await polling).is_finished
        await c.records.catch_up()
        assert [server.plans.get("me") for server in (a, b, c)] == [None] * 3
        assert await c.plans.steps("me") == {}

    play(scenario)


def test_held_webhooks_are_sent_when_another_replica_removes_the_plan(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await b.plans.put("me", Plan(polls=0, webhooks=(When.AFTER_END,), pause_s=600))
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        assert (await b.poll()).is_finished
        assert endpoint.received == 0
        await c.plans.leave("me")

        async def is_sent() -> bool:
            return endpoint.received == 1

        await until(is_sent)

    play(scenario)


def test_a_replaced_plan_is_in_force_at_all_replicas(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await a.plans.put("me", Plan(polls=5, webhooks=()))
        await a.plans.note_creation(await a.create("old"))
        await b.plans.put("me", Plan(polls=1, webhooks=(), pause_s=0.0))
        await c.plans.note_creation(await c.create("new"))
        for task_id in ("old", "new"):
            await b.tasks.perform(task_id)
        assert (await c.poll("old")).is_finished
        assert [(await server.poll("new")).is_finished for server in (b, a)] == [False, True]
        assert await a.plans.steps("me") == {"new": [CREATED, RUNNING, END]}
        assert endpoint.received == 1  # the one for the task of the replaced plan

    play(scenario)


def test_the_run_of_a_dead_replica_ends_and_its_webhooks_are_sent(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        plan = Plan(polls=1, webhooks=(When.AFTER_END,), pause_s=600, patience_s=600)
        await c.plans.put("me", plan)
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        assert not (await b.poll()).is_finished
        await a.die()
        polling = asyncio.create_task(b.poll())
        held = await c.tasks.find("t")
        assert held is not None
        assert held.follows_plan
        assert await c.plans.holds(held)
        await c.plans.sweep()
        assert (await polling).is_finished

        async def is_sent() -> bool:
            return endpoint.received == 1

        await until(is_sent)
        assert await b.steps() == [CREATED, RUNNING, END]
        assert b.plans.get("me") == plan
        assert not await b.plans.holds(held)

    play(scenario)


def test_a_sweep_leaves_the_runs_of_living_replicas_alone(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await c.plans.put("me", Plan(polls=1, webhooks=(), pause_s=0.0, patience_s=600))
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        for server in (a, b, c):
            await server.plans.sweep()
        assert [(await server.poll()).is_finished for server in (b, c)] == [False, True]
        assert endpoint.received == 0

    play(scenario)


def test_a_replica_that_starts_does_not_end_the_runs_of_others(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await c.plans.put("me", Plan(polls=1, webhooks=(), pause_s=0.0, patience_s=600))
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        late = await start("late", a.database, a.alive, endpoint)
        assert late.plans.get("me") == c.plans.get("me")
        assert [(await server.poll()).is_finished for server in (late, b)] == [False, True]
        await late.close()

    play(scenario)


def test_a_restore_ends_all_runs(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await c.plans.put("me", Plan(polls=1, webhooks=(When.BEFORE_END,), pause_s=0.0, patience_s=600))
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        saved = [entry async for entry in b.records.export()]
        await b.records.restore(saved)
        await b.load()
        assert not (await b.tasks.list("me"))[0].follows_plan
        # The replica that drove the run does not drive the restored run.
        await a.records.catch_up()
        assert [await server.steps() for server in (a, c)] == [[CREATED]] * 2
        await b.tasks.resume()
        assert (await a.poll()).is_finished
        assert await c.steps() == [CREATED, END]

        async def is_sent() -> bool:
            return endpoint.received == 1

        await until(is_sent)
        assert b.plans.get("me") == a.plans.get("me") != None  # noqa: E711 - it is not None either

    play(scenario)


def test_a_restored_run_that_its_replica_no_longer_drives_is_ended(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, endpoint: Endpoint) -> None:
        await c.plans.put("me", Plan(polls=1, webhooks=(), pause_s=0.0, patience_s=600))
        await a.plans.note_creation(await a.create())
        await c.tasks.perform("t")
        await b.records.restore([entry async for entry in b.records.export()])
        await a.records.catch_up()

        async def is_ended() -> bool:
            await a.plans.sweep()
            found = await c.tasks.find("t")
            return found is not None and found.is_finished

        await until(is_ended)

        async def is_sent() -> bool:
            return endpoint.received == 1

        await until(is_sent)

    play(scenario)


def test_a_reset_at_one_replica_ends_the_plan_at_all(play: Play) -> None:
    async def scenario(a: Server, b: Server, c: Server, _endpoint: Endpoint) -> None:
        await c.plans.put("me", Plan(polls=1, webhooks=(), patience_s=600))
        await a.plans.note_creation(await a.create())
        await b.records.forget("me")
        await b.plans.forget("me")
        await asyncio.gather(*(server.records.catch_up() for server in (a, b, c)))
        assert [server.plans.get("me") for server in (a, b, c)] == [None] * 3
        await c.plans.put("me", Plan())
        await a.plans.note_creation(await a.create())
        assert await b.steps() == [CREATED]

    play(scenario)
