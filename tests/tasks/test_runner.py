from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.queue import Pipeline
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.tasks.progression import Mode, Progression
from emulator.tasks.runner import Job, TaskRunner
from emulator.tasks.task import Outcome, Task, TaskState


class ListQueue:
    """A queue that only remembers; the test performs."""

    is_warm = True

    def __init__(self) -> None:
        self.enqueued: list[str] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        pass

    async def wait_until_warm(self) -> None:
        pass

    async def enqueue(self, task_id: str) -> None:
        self.enqueued.append(task_id)

    async def run(self, pipeline: Pipeline[..., Any], *args: Any, **kwargs: Any) -> Any:
        return pipeline.resolve()(*args, **kwargs)

    async def close(self) -> None:
        pass


async def succeed(task: Task) -> Outcome:
    return Outcome({"echo": task.request["say"]})


async def fail(_task: Task) -> Outcome:
    return Outcome(error="error_no_face")


async def crash(_task: Task) -> Outcome:
    raise ZeroDivisionError


async def settle_nothing(_task: Task, _outcome: Outcome) -> None:
    pass


JOBS = {
    "succeed": Job(succeed, "unknown", settle_nothing),
    "fail": Job(fail, "unknown", settle_nothing),
    "crash": Job(crash, "unknown", settle_nothing),
}


def task(kind: str = "succeed") -> Task:
    return Task("t", "me", kind, {"say": "hi"}, created_at=5.0)


def use(path: Path, scenario: Callable[[TaskRunner, ListQueue], Awaitable[None]]) -> None:
    async def run() -> None:
        records, queue = SqliteRecords(path / "records.sqlite3"), ListQueue()
        await records.open()
        runner = TaskRunner(records, queue, Clock(9.0))
        runner.register(JOBS)
        try:
            await scenario(runner, queue)
        finally:
            await records.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "state", "result", "error"),
    [
        ("succeed", TaskState.SUCCEEDED, {"echo": "hi"}, None),
        ("fail", TaskState.FAILED, None, "error_no_face"),
        ("crash", TaskState.FAILED, None, "unknown"),
    ],
)
def test_what_came_of_a_task_is_recorded(
    tmp_path: Path, kind: str, state: TaskState, result: object, error: str | None
) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.create(task(kind))
        assert queue.enqueued == ["t"]
        await runner.perform("t")
        done = await runner.find("t", "me")
        assert done is not None
        assert (done.state, done.result, done.error) == (state, result, error)
        assert (done.created_at, done.started_at, done.finished_at) == (5.0, 9.0, 9.0)

    use(tmp_path, scenario)


def test_a_defect_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task("crash"))
        with caplog.at_level(logging.ERROR):
            await runner.perform("t")

    use(tmp_path, scenario)
    assert "ZeroDivisionError" in caplog.text


def test_a_finished_task_is_not_performed_again(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())
        await runner.perform("t")
        done = await runner.find("t", "me")
        await runner.perform("t")
        assert await runner.find("t", "me") == done
        await runner.perform("unknown")

    use(tmp_path, scenario)


def test_only_its_owner_finds_a_task(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())
        assert await runner.find("t", "you") is None
        assert await runner.find("u", "me") is None
        assert await runner.find("t", "me") == task()

    use(tmp_path, scenario)


def test_after_a_restart_unfinished_tasks_are_taken_up(tmp_path: Path) -> None:
    async def before(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())

    async def after(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.start()
        assert queue.enqueued == ["t"]
        await runner.perform("t")
        await runner.start()
        assert queue.enqueued == ["t"]

    use(tmp_path, before)
    use(tmp_path, after)


@pytest.mark.parametrize("way", ["released", "left", "restarted"])
def test_a_conducted_task_runs_until_it_is_released_or_left_or_nobody_knows_of_it(
    tmp_path: Path, way: str
) -> None:
    async def conducted(runner: TaskRunner, _queue: ListQueue) -> None:
        runner.conduct("me")
        await runner.progressions.put("me", "me", Progression(mode=Mode.IMMEDIATE))
        await runner.create(task())
        await runner.perform("t")
        held = await runner.find("t")
        assert held is not None
        assert (await runner.poll(held)).state is held.state is TaskState.HELD
        assert runner.progression("me").mode is Mode.IMMEDIATE
        if way == "released":
            await runner.release("t")
        elif way == "left":
            await runner.leave("me")
        if way != "restarted":
            await over(runner, _queue)

    async def over(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.start()
        told = await runner.find("t")
        assert told is not None
        assert told.state is TaskState.SUCCEEDED

    use(tmp_path, conducted)
    use(tmp_path, over)


def test_a_kind_has_exactly_one_job(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        with pytest.raises(ValueError, match="have a job already: succeed"):
            runner.register({"succeed": JOBS["fail"]})
        with pytest.raises(ValueError, match="no job performs 'dance'"):
            await runner.create(task("dance"))

    use(tmp_path, scenario)


def test_an_outcome_is_settled_before_it_is_recorded(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        seen: list[tuple[TaskState, str | None]] = []

        async def settle(settled: Task, outcome: Outcome) -> None:
            recorded = await runner.find(settled.id, "me")
            assert recorded is not None
            seen.append((recorded.state, outcome.error))

        runner.register({"settled": Job(fail, "unknown", settle)})
        await runner.create(task("settled"))
        await runner.perform("t")
        assert seen == [(TaskState.HELD, "error_no_face")]

    use(tmp_path, scenario)


def test_a_poll_while_a_task_runs_neither_loses_the_result_nor_itself(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        async def poll_amid(running: Task) -> Outcome:
            await runner.poll(running, counts=True)
            return Outcome({})

        runner.register({"polled": Job(poll_amid, "unknown", settle_nothing)})
        await runner.create(task("polled"))
        await runner.perform("t")
        done = await runner.find("t", "me")
        assert done is not None
        assert (done.state, done.polled_at) == (TaskState.SUCCEEDED, 9.0)

    use(tmp_path, scenario)


def test_a_deleted_task_is_gone_also_for_its_worker(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        async def delete_amid(running: Task) -> Outcome:
            await runner.delete(running)
            return Outcome({})

        runner.register({"deleted": Job(delete_amid, "unknown", settle_nothing)})
        await runner.create(task("deleted"))
        await runner.perform("t")
        assert await runner.find("t", "me") is None

    use(tmp_path, scenario)


def test_a_task_that_comes_twice_from_the_queue_is_performed_once_at_a_time(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        performed = 0

        async def come_again(running: Task) -> Outcome:
            nonlocal performed
            performed += 1
            await runner.perform(running.id)
            return Outcome({})

        runner.register({"again": Job(come_again, "unknown", settle_nothing)})
        await runner.create(task("again"))
        await runner.perform("t")
        assert performed == 1

    use(tmp_path, scenario)


@pytest.mark.parametrize("paused", ["me", None])
def test_while_tasks_are_paused_none_is_performed_and_afterwards_all_are(
    tmp_path: Path, paused: str | None
) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        settled: list[str] = []
        begun, never = asyncio.Event(), asyncio.Event()

        async def wait(_task: Task) -> Outcome:
            begun.set()
            await never.wait()
            return Outcome({})

        async def note(task: Task, _outcome: Outcome) -> None:
            settled.append(task.id)

        runner.register({"wait": Job(wait, "unknown", note), "quick": Job(fail, "unknown", note)})
        await runner.create(task("wait"))
        await runner.create(replace(task("quick"), id="q"))
        await runner.create(replace(task("quick"), id="y", owner="you"))
        performing = asyncio.create_task(runner.perform("t"))
        await begun.wait()
        async with runner.paused(paused):
            # Who performs for the queue goes on with something else.
            await performing
            for task_id in ("t", "q", "y"):
                await runner.perform(task_id)
            assert settled == (["y"] if paused == "me" else [])
        assert queue.enqueued == ["t", "q", "y", "t", "q", *(["y"] if paused is None else [])]
        never.set()
        for task_id in queue.enqueued[3:]:
            await runner.perform(task_id)
        assert sorted(settled) == ["q", "t", "y"]

    use(tmp_path, scenario)


def test_who_stops_performing_stops_the_work(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        begun, stopped = asyncio.Event(), asyncio.Event()

        async def wait(_task: Task) -> Outcome:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            raise AssertionError

        runner.register({"wait": Job(wait, "unknown", settle_nothing)})
        await runner.create(task("wait"))
        performing = asyncio.create_task(runner.perform("t"))
        await begun.wait()
        performing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await performing
        assert stopped.is_set()

    use(tmp_path, scenario)


def test_a_change_while_a_task_is_begun_does_not_keep_it_from_being_performed(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.progressions.put("me", "me", Progression(mode=Mode.AFTER_POLLS, polls=0))
        await runner.create(task())
        created = await runner.find("t", "me")
        assert created is not None
        # The first poll is over only when the work is; each step of both is tried in turn.
        await asyncio.gather(runner.poll(created), runner.perform("t"))
        done = await runner.find("t", "me")
        assert done is not None
        assert done.state is TaskState.SUCCEEDED

    use(tmp_path, scenario)


def test_a_task_is_settled_as_it_is_recorded_whoever_ends_it_first(tmp_path: Path) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        settled: list[str | None] = []

        async def settle(_task: Task, outcome: Outcome) -> None:
            await asyncio.sleep(0)
            settled.append(outcome.error)

        runner.register({"settled": Job(succeed, "unknown", settle)})
        await runner.progressions.put("me", "me", Progression(mode=Mode.MANUAL))
        await runner.create(task("settled"))
        await runner.perform("t")
        # One lets it end as it is, the other with an error, while the first is being settled.
        await asyncio.gather(runner.release("t"), runner.release("t", "error_pose"))
        done = await runner.find("t", "me")
        assert done is not None
        assert done.is_finished
        assert settled == [done.error]

    use(tmp_path, scenario)
