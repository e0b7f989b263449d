"""Plans with a task runner and an outbox, without a vendor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from known_tasks import Queue

from emulator.backends.records import Change, Document
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import Clock
from emulator.ids import SeededIds
from emulator.tasks.job import Job, TaskFault
from emulator.tasks.progression import Mode, Progression
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Outcome, Task
from emulator.webhooks.outbox import Outbox
from emulator.webhooks.sender import HttpSender
from emulator.world.plans.plan import Plan, Step, When
from emulator.world.plans.plans import Plans

POLLED = Plan(polls=0, webhooks=(), pause_s=0.0, patience_s=0.1)
BEFORE_CREATION = Plan(polls=0, webhooks=(When.BEFORE_CREATION,), pause_s=0.0, patience_s=0.1)


async def succeed(_task: Task) -> Outcome:
    return Outcome({})


async def settle_nothing(_task: Task, _outcome: Outcome) -> Sequence[Change]:
    return ()


async def announce_badly(_task: Task) -> None:
    raise ZeroDivisionError


async def refuse() -> None:
    raise StoreUnavailable("the disk is full")


class World:
    """Plans, and tasks that a test creates, performs and polls."""

    def __init__(self, records: SqliteRecords) -> None:
        self.clock = Clock()
        self.tasks = TaskRunner(records, Queue(), self.clock)
        self.tasks.register(
            {
                "silent": Job(succeed, "unknown", settle_nothing),
                "broken": Job(succeed, "unknown", settle_nothing, announce_badly),
            }
        )
        self.webhooks = Outbox(records, self.clock, SeededIds(0, records.count_up), HttpSender())
        self.plans = Plans(records, self.tasks, self.webhooks)

    async def create(self, kind: str = "silent", task_id: str = "t") -> Task:
        task = Task(task_id, "me", kind, {}, self.clock.now("me"))
        await self.plans.create_task(task, TaskFault())
        return task

    async def poll(self, task_id: str = "t") -> Task:
        await self.plans.before_poll(task_id, "me")
        found = await self.tasks.find(task_id)
        assert found is not None
        told = await self.tasks.poll(found)
        await self.plans.note_poll(told)
        return told

    async def close(self) -> None:
        await self.plans.close()
        await self.tasks.close()
        await self.webhooks.close()


class Play(Protocol):
    """Runs a scenario with a timeout, because calls can hang if a test fails."""

    def __call__(self, scenario: Callable[[World], Awaitable[None]]) -> None: ...


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def play(scenario: Callable[[World], Awaitable[Any]]) -> None:
        async def run() -> None:
            records = SqliteRecords(tmp_path / "records.sqlite3")
            await records.open()
            world = World(records)
            try:
                async with asyncio.timeout(5):
                    await scenario(world)
            finally:
                await world.close()
                await records.close()

        asyncio.run(run())

    return play


@pytest.mark.parametrize("kind", ["silent", "broken"])
@pytest.mark.parametrize("plan", [POLLED, BEFORE_CREATION], ids=["polled", "before_creation"])
def test_a_task_without_a_working_announcement_follows_its_plan(
    play: Play, plan: Plan, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(world: World) -> None:
        await world.plans.put("me", plan)
        creating = asyncio.create_task(world.plans.note_creation(await world.create(kind)))
        await world.tasks.perform("t")
        await creating
        assert (await world.poll()).is_finished
        assert await world.plans.steps("me") == {"t": [Step.CREATED, Step.POLL_END]}

    with caplog.at_level(logging.ERROR):
        play(scenario)
    assert bool(caplog.records) == (kind == "broken")


def test_a_task_finished_before_its_plan_blocks_no_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        task = await world.create()
        await world.tasks.perform("t")
        await world.plans.put("me", BEFORE_CREATION)
        await world.plans.note_creation(task)
        assert (await world.poll()).is_finished

    play(scenario)


def test_a_deleted_task_blocks_no_call(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.tasks.waiting.RECHECK_SECONDS", 0.02)

    async def scenario(world: World) -> None:
        await world.plans.put("me", POLLED)
        task = await world.create()
        await world.plans.note_creation(task)
        waiting = asyncio.create_task(world.plans.before_poll("t", "me"))
        await asyncio.sleep(0.01)
        await world.tasks.delete(task)
        await waiting

    play(scenario)


def test_a_plan_forgotten_before_it_starts_blocks_no_call(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.tasks.progressions.put("me", "me", Progression(mode=Mode.MANUAL))
        await world.plans.put("me", BEFORE_CREATION)
        task = await world.create()
        # Both run until they wait; the background task of the plan has not started yet.
        await asyncio.gather(world.plans.note_creation(task), world.plans.forget("me"))
        assert await world.plans.steps("me") == {}

    play(scenario)


def test_a_restart_keeps_the_plan_and_ends_its_runs(play: Play) -> None:
    steps = [Step.CREATED, Step.POLL_RUNNING]

    async def before(world: World) -> None:
        await world.plans.load()
        await world.plans.put("me", Plan(polls=2, webhooks=(), patience_s=600.0))
        await world.plans.note_creation(await world.create())
        await world.tasks.perform("t")
        assert not (await world.poll()).is_finished
        assert await world.plans.steps("me") == {"t": steps}

    async def after(world: World) -> None:
        await world.tasks.load()
        await world.plans.load()
        await world.tasks.resume()
        assert (await world.poll()).is_finished
        assert await world.plans.steps("me") == {"t": [*steps, Step.POLL_END]}
        # New tasks follow the plan.
        task = await world.create("silent", "u")
        await world.plans.note_creation(task)
        await world.tasks.perform("u")
        assert [(await world.poll("u")).is_finished for _ in range(3)] == [False, False, True]

    play(before)
    play(after)


def test_a_plan_continues_when_the_disk_works_again(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.backends.unavailable.PAUSES_SECONDS", (0.01,))

    async def scenario(world: World) -> None:
        await world.plans.put("me", POLLED)
        task = await world.create()
        await world.tasks.perform("t")
        release, refusals = world.tasks.release, [refuse, refuse]

        async def release_later(task_id: str) -> Task | None:
            if refusals:
                await refusals.pop()()
            return await release(task_id)

        monkeypatch.setattr(world.tasks, "release", release_later)
        await world.plans.note_creation(task)
        assert (await world.poll()).is_finished
        assert refusals == []

    play(scenario)


def test_a_task_that_cannot_be_created_has_no_run(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.plans.put("me", POLLED)

        async def refuse_changes() -> Sequence[Change]:
            await refuse()
            return ()

        task = Task("t", "me", "silent", {}, world.clock.now("me"))
        with pytest.raises(StoreUnavailable):
            await world.plans.create_task(task, TaskFault(), refuse_changes)
        await world.plans.note_creation(task)
        assert await world.plans.steps("me") == {}
        assert await world.tasks.find("t") is None

    play(scenario)


def test_old_runs_are_purged_when_they_are_over(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.plans.put("me", Plan(polls=0, webhooks=(), pause_s=0.0, patience_s=600.0))
        for task_id in ("done", "waits"):
            await world.plans.note_creation(await world.create("silent", task_id))
        await world.tasks.perform("done")
        done = await world.poll("done")
        assert done.is_finished
        async with asyncio.timeout(5):
            while await world.plans.holds(done):  # noqa: ASYNC110 - the records send no event
                await asyncio.sleep(0.005)
        await world.plans.purge(lambda credential: world.clock.now(credential) + 1)
        assert await world.plans.steps("me") == {"waits": [Step.CREATED]}

    play(scenario)


@pytest.mark.parametrize(
    ("key", "document", "reason"),
    [
        ("me", {"number": 1, "plan": {}}, None),
        ("you", {"number": 1, "plan": {}}, "key"),
        ("me", {"number": "1", "plan": {}}, "integer"),
        ("me", {"number": 1, "plan": {"polls": 1}}, "together"),
        ("me", {"number": 1}, "required"),
    ],
)
def test_stored_plans_are_checked(play: Play, key: str, document: dict[str, Any], reason: str | None) -> None:
    async def scenario(world: World) -> None:
        check = world.plans.entry_checks["plan"]
        entry = Document("plan", key, "me", document)
        if reason is None:
            check(entry)
            world.plans.checks["plan"](document)
        else:
            with pytest.raises(ValueError, match=reason):
                check(entry)

    play(scenario)
