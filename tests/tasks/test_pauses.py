"""Work that a pause of the task runner interrupts or delays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from emulator.backends.records import Change
from emulator.tasks.job import Job
from emulator.tasks.progression import Mode, Progression
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Outcome, Task, TaskState

if TYPE_CHECKING:
    from tasks.conftest import ListQueue, Use


async def poll(runner: TaskRunner, task: Task) -> Task | None:
    return await runner.poll(task)


async def release(runner: TaskRunner, task: Task) -> Task | None:
    return await runner.release(task.id)


class Ending:
    """A job that records its steps, and settles when the test allows it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.done: list[str] = []
        self.breaks = False

    def job(self) -> Job:
        return Job(self.perform, "unknown", self.settle, self.announce)

    async def perform(self, _task: Task) -> Outcome:
        return Outcome({})

    async def settle(self, _task: Task, _outcome: Outcome) -> Sequence[Change]:
        self.begun.set()
        await self.go_on.wait()
        if self.breaks:
            raise ZeroDivisionError
        self.done.append("settled")
        return ()

    async def announce(self, _task: Task) -> None:
        self.done.append("announced")

    async def held(self, runner: TaskRunner) -> Task:
        """Return a task that is due at its next poll."""
        runner.register({"ending": self.job()})
        await runner.progressions.put("me", "me", Progression(mode=Mode.AFTER_POLLS, polls=0))
        await runner.create(Task("t", "me", "ending", {}, created_at=5.0))
        await runner.perform("t")
        found = await runner.find("t")
        assert found is not None
        assert found.state is TaskState.HELD
        return found


@pytest.mark.parametrize("paused", ["me", None])
@pytest.mark.parametrize("begin", [poll, release])
def test_a_pause_interrupts_the_end_that_a_call_has_begun(
    use: Use, begin: Callable[[TaskRunner, Task], Awaitable[Task | None]], paused: str | None
) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        ending = Ending()
        calling = asyncio.ensure_future(begin(runner, await ending.held(runner)))
        await ending.begun.wait()
        async with runner.paused(paused):
            ending.go_on.set()
            told = await calling
            assert ending.done == []
            assert told is not None
            assert told.state is TaskState.HELD
        # A due task ends when the pause is over.
        assert ending.done == ["settled", "announced"]

    use(scenario)


@pytest.mark.parametrize("begin", [poll, release])
def test_a_call_during_a_pause_ends_no_task_and_a_call_after_it_does(
    use: Use, begin: Callable[[TaskRunner, Task], Awaitable[Task | None]]
) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        ending = Ending()
        ending.go_on.set()
        held = await ending.held(runner)
        async with runner.paused("me"):
            await begin(runner, held)
            assert ending.done == []
        await begin(runner, held)
        assert ending.done == ["settled", "announced"]

    use(scenario)


def test_a_task_ends_although_the_call_that_ends_it_is_cancelled(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        ending = Ending()
        calling = asyncio.create_task(runner.poll(await ending.held(runner)))
        await ending.begun.wait()
        calling.cancel()
        await asyncio.wait({calling})
        ending.go_on.set()
        assert await runner.until_announced("t") is not None
        assert ending.done == ["settled", "announced"]

    use(scenario)


def test_until_told_waits_for_the_announcement(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        ending = Ending()
        await ending.held(runner)
        releasing = asyncio.create_task(runner.release("t"))
        await ending.begun.wait()
        waiting = asyncio.create_task(runner.until_announced("t"))
        ending.go_on.set()
        told = await waiting
        assert told is not None
        assert told.is_finished
        assert ending.done == ["settled", "announced"]
        await releasing
        await runner.delete(told)
        assert await runner.until_announced("t") is None

    use(scenario)


@pytest.mark.parametrize("begin", [poll, release])
def test_an_error_during_settling_is_raised_to_the_caller(
    use: Use, begin: Callable[[TaskRunner, Task], Awaitable[Task | None]]
) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        ending = Ending()
        ending.go_on.set()
        ending.breaks = True
        held = await ending.held(runner)
        with pytest.raises(ZeroDivisionError):
            await begin(runner, held)

    use(scenario)
