"""Tasks that follow a plan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emulator.clock import Clock
from emulator.tasks.job import TaskFault
from emulator.tasks.progression import Mode, Progression
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Task, TaskState

if TYPE_CHECKING:
    from tasks.conftest import ListQueue, Use

IMMEDIATE = Progression(mode=Mode.IMMEDIATE)


def planned(task_id: str = "t", credential: str = "me") -> Task:
    return Task(task_id, credential, "succeed", {"say": "hi"}, created_at=5.0, follows_plan=True)


async def found(runner: TaskRunner, task_id: str = "t") -> Task:
    task = await runner.find(task_id)
    assert task is not None
    return task


@pytest.mark.parametrize("way", ["released", "left", "restarted"])
def test_a_task_that_follows_a_plan_runs_until_release_leave_plans_or_a_restart(use: Use, way: str) -> None:
    async def follows(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.progressions.put("me", "me", IMMEDIATE)
        # With the immediate progression alone, ``create`` would wait until the task is performed.
        await runner.create(planned())
        await runner.perform("t")
        held = await found(runner)
        assert (await runner.poll(held)).state is held.state is TaskState.HELD
        assert held.follows_plan
        assert runner.progression("me").mode is Mode.IMMEDIATE
        if way == "released":
            await runner.release("t")
        elif way == "left":
            await runner.leave_plans("me")
        if way != "restarted":
            await over(runner, queue)

    async def over(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.load()
        await runner.start()
        told = await found(runner)
        assert (told.state, told.follows_plan) == (TaskState.SUCCEEDED, False)

    use(follows)
    use(over)


@pytest.mark.parametrize(
    "progression",
    [
        Progression(),
        IMMEDIATE,
        Progression(mode=Mode.AFTER_POLLS, polls=0),
        Progression(mode=Mode.AFTER_SECONDS, seconds=0.0),
    ],
    ids=lambda progression: progression.mode,
)
def test_a_plan_overrides_every_progression(use: Use, progression: Progression) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.progressions.put("me", "me", progression)
        await runner.create(planned())
        await runner.perform("t")
        assert (await runner.poll(await found(runner))).state is TaskState.HELD
        await runner.resume()
        assert (await found(runner)).state is TaskState.HELD
        await runner.leave_plans("me")
        assert (await runner.poll(await found(runner))).state is TaskState.SUCCEEDED

    use(scenario)


def test_after_leaving_its_plan_a_task_ends_at_the_time_of_its_progression(use: Use) -> None:
    clock = Clock(5.0)

    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        seconds = Progression(mode=Mode.AFTER_SECONDS, seconds=10.0)
        await runner.progressions.put("me", "me", seconds)
        await runner.create(planned("early"))
        await runner.create(planned("late"))
        for task_id in ("early", "late"):
            await runner.perform(task_id)
        await runner.release("early")
        assert (await found(runner, "early")).state is TaskState.SUCCEEDED
        clock.advance(4.0)
        await runner.leave_plans("me")
        assert (await found(runner, "late")).state is TaskState.HELD
        clock.advance(6.0)
        async with asyncio.timeout(10):
            while (await found(runner, "late")).state is TaskState.HELD:  # noqa: ASYNC110 - the records send no event
                await asyncio.sleep(0)
        assert (await found(runner, "late")).finished_at == 15.0

    use(scenario, clock=clock)


def test_leaving_plans_affects_only_one_credential(use: Use) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        for task_id, credential in (("t", "me"), ("u", "me"), ("y", "you")):
            await runner.create(planned(task_id, credential))
        await runner.perform("t")
        await runner.perform("y")
        await runner.leave_plans("me")
        assert [task.follows_plan for task in await runner.list()] == [False, False, True]
        assert (await found(runner, "t")).state is TaskState.SUCCEEDED
        assert (await found(runner, "y")).state is TaskState.HELD
        # A task that is not performed yet ends when it is performed.
        await runner.perform("u")
        assert (await found(runner, "u")).state is TaskState.SUCCEEDED
        # No task follows a plan any more, so none is enqueued again.
        enqueued = list(queue.enqueued)
        await runner.leave_plans("me")
        assert queue.enqueued == enqueued

    use(scenario)


def test_leaving_plans_does_not_change_a_finished_task(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(planned())
        await runner.perform("t")
        released = await runner.release("t", "error_pose")
        assert released is not None
        assert (released.state, released.error, released.follows_plan) == (
            TaskState.FAILED,
            "error_pose",
            False,
        )
        await runner.leave_plans("me")
        await runner.load()
        assert await found(runner) == released

    use(scenario)


def test_a_stuck_task_stays_stuck_when_its_plan_is_left(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(planned(), TaskFault(is_stuck=True))
        await runner.perform("t")
        await runner.leave_plans("me")
        assert (await runner.poll(await found(runner))).state is TaskState.HELD
        released = await runner.release("t")
        assert released is not None
        assert released.state is TaskState.SUCCEEDED

    use(scenario)


@pytest.mark.parametrize("paused", ["me", None])
def test_leaving_plans_during_a_pause_ends_no_task(use: Use, paused: str | None) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.create(planned())
        await runner.create(planned("later"))
        await runner.perform("t")
        enqueued = list(queue.enqueued)
        async with runner.paused(paused):
            await runner.leave_plans("me")
            left = await found(runner)
            assert (left.state, left.follows_plan) == (TaskState.HELD, False)
            assert queue.enqueued == enqueued
        assert (await found(runner)).state is TaskState.SUCCEEDED
        assert queue.enqueued == [*enqueued, "later"]

    use(scenario)


def test_after_a_restart_all_tasks_end_by_their_progression(use: Use) -> None:
    async def before(runner: TaskRunner, _queue: ListQueue) -> None:
        for task_id, credential in (("t", "me"), ("u", "you"), ("v", "you")):
            await runner.create(planned(task_id, credential))
        await runner.create(replace(planned("w", "you"), follows_plan=False))
        await runner.perform("t")
        await runner.perform("u")

    async def after(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.load()
        assert [task.follows_plan for task in await runner.list()] == [False] * 4
        # ``load`` only reads; ``start`` ends the tasks that are due.
        assert (await found(runner)).state is TaskState.HELD
        await runner.start()
        assert [task.state for task in await runner.list()] == [
            TaskState.SUCCEEDED,
            TaskState.SUCCEEDED,
            TaskState.QUEUED,
            TaskState.QUEUED,
        ]
        assert queue.enqueued == ["v", "w"]

    use(before)
    use(after)
