from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emulator.backends.records import Change
from emulator.tasks.job import Job
from emulator.tasks.progression import Mode, Progression
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Outcome, Task, TaskState

if TYPE_CHECKING:
    from tasks.conftest import ListQueue, Use


async def succeed(task: Task) -> Outcome:
    return Outcome({"echo": task.request["say"]})


async def fail(_task: Task) -> Outcome:
    return Outcome(error="error_no_face")


async def settle_nothing(_task: Task, _outcome: Outcome) -> Sequence[Change]:
    return ()


def task(kind: str = "succeed") -> Task:
    return Task("t", "me", kind, {"say": "hi"}, created_at=5.0)


@pytest.mark.parametrize(
    ("kind", "state", "result", "error"),
    [
        ("succeed", TaskState.SUCCEEDED, {"echo": "hi"}, None),
        ("fail", TaskState.FAILED, None, "error_no_face"),
        ("crash", TaskState.FAILED, None, "unknown"),
    ],
)
def test_the_outcome_of_a_task_is_recorded(
    use: Use, kind: str, state: TaskState, result: object, error: str | None
) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.create(task(kind))
        assert queue.enqueued == ["t"]
        await runner.perform("t")
        done = await runner.find("t", "me")
        assert done is not None
        assert (done.state, done.result, done.error) == (state, result, error)
        assert (done.created_at, done.started_at, done.finished_at) == (5.0, 9.0, 9.0)

    use(scenario)


def test_an_unexpected_error_of_a_job_is_logged(use: Use, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task("crash"))
        with caplog.at_level(logging.ERROR):
            await runner.perform("t")

    use(scenario)
    assert "ZeroDivisionError" in caplog.text


def test_a_finished_task_is_not_performed_again(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())
        await runner.perform("t")
        done = await runner.find("t", "me")
        await runner.perform("t")
        assert await runner.find("t", "me") == done
        await runner.perform("unknown")

    use(scenario)


def test_only_its_credential_finds_a_task(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())
        assert await runner.find("t", "you") is None
        assert await runner.find("u", "me") is None
        assert await runner.find("t", "me") == task()

    use(scenario)


def test_after_a_restart_unfinished_tasks_are_enqueued(use: Use) -> None:
    async def before(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.create(task())

    async def after(runner: TaskRunner, queue: ListQueue) -> None:
        await runner.start()
        assert queue.enqueued == ["t"]
        await runner.perform("t")
        await runner.start()
        assert queue.enqueued == ["t"]

    use(before)
    use(after)


def test_a_kind_has_exactly_one_job(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        with pytest.raises(ValueError, match="already have a job: succeed"):
            runner.register({"succeed": Job(fail, "unknown", settle_nothing)})
        with pytest.raises(ValueError, match="no job performs 'dance'"):
            await runner.create(task("dance"))

    use(scenario)


def test_an_outcome_is_settled_before_it_is_recorded(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        seen: list[tuple[TaskState, str | None]] = []

        async def settle(settled: Task, outcome: Outcome) -> Sequence[Change]:
            recorded = await runner.find(settled.id, "me")
            assert recorded is not None
            seen.append((recorded.state, outcome.error))
            return ()

        runner.register({"settled": Job(fail, "unknown", settle)})
        await runner.create(task("settled"))
        await runner.perform("t")
        assert seen == [(TaskState.QUEUED, "error_no_face")]

    use(scenario)


def test_the_start_of_longer_work_is_recorded(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.tasks.starts.START_SECONDS", 0.001)

    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        async def wait(waiting: Task) -> Outcome:
            found: Task | None = None
            while found is None or found.started_at is None:
                await asyncio.sleep(0)
                found = await runner.find(waiting.id)
            assert (found.started_at, found.state, waiting.state) == (9.0, *[TaskState.RUNNING] * 2)
            return Outcome({})

        runner.register({"long": Job(wait, "unknown", settle_nothing)})
        await runner.create(task("long"))
        async with asyncio.timeout(30):
            await runner.perform("t")
        done = await runner.find("t")
        assert done is not None
        assert (done.state, done.started_at) == (TaskState.SUCCEEDED, 9.0)

    use(scenario)


def test_a_poll_of_a_running_task_loses_neither_the_result_nor_the_poll(use: Use) -> None:
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

    use(scenario)


def test_a_task_deleted_while_it_is_performed_stays_deleted(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        async def delete_amid(running: Task) -> Outcome:
            await runner.delete(running)
            return Outcome({})

        runner.register({"deleted": Job(delete_amid, "unknown", settle_nothing)})
        await runner.create(task("deleted"))
        await runner.perform("t")
        assert await runner.find("t", "me") is None

    use(scenario)


def test_a_task_that_is_queued_twice_is_not_performed_concurrently(use: Use) -> None:
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

    use(scenario)


@pytest.mark.parametrize("paused", ["me", None])
def test_paused_tasks_are_performed_after_the_pause(use: Use, paused: str | None) -> None:
    async def scenario(runner: TaskRunner, queue: ListQueue) -> None:
        settled: list[str] = []
        begun, never = asyncio.Event(), asyncio.Event()

        async def wait(_task: Task) -> Outcome:
            begun.set()
            await never.wait()
            return Outcome({})

        async def note(task: Task, _outcome: Outcome) -> Sequence[Change]:
            settled.append(task.id)
            return ()

        runner.register({"wait": Job(wait, "unknown", note), "quick": Job(fail, "unknown", note)})
        await runner.create(task("wait"))
        await runner.create(replace(task("quick"), id="q"))
        await runner.create(replace(task("quick"), id="y", credential="you"))
        performing = asyncio.create_task(runner.perform("t"))
        await begun.wait()
        async with runner.paused(paused):
            # ``perform`` returns, so that the queue can continue with other tasks.
            await performing
            for task_id in ("t", "q", "y"):
                await runner.perform(task_id)
            assert settled == (["y"] if paused == "me" else [])
        assert queue.enqueued == ["t", "q", "y", "t", "q", *(["y"] if paused is None else [])]
        never.set()
        for task_id in queue.enqueued[3:]:
            await runner.perform(task_id)
        assert sorted(settled) == ["q", "t", "y"]

    use(scenario)


def test_cancelling_perform_cancels_the_work(use: Use) -> None:
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

    use(scenario)


def test_a_task_that_changes_while_it_starts_is_still_performed(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        await runner.progressions.put("me", "me", Progression(mode=Mode.AFTER_POLLS, polls=0))
        await runner.create(task())
        created = await runner.find("t", "me")
        assert created is not None
        # The poll returns when the work is done, so their steps interleave.
        await asyncio.gather(runner.poll(created), runner.perform("t"))
        done = await runner.find("t", "me")
        assert done is not None
        assert done.state is TaskState.SUCCEEDED

    use(scenario)


def test_concurrent_releases_settle_a_task_once_with_its_recorded_error(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        settled: list[str | None] = []

        async def settle(_task: Task, outcome: Outcome) -> Sequence[Change]:
            await asyncio.sleep(0)
            settled.append(outcome.error)
            return ()

        runner.register({"settled": Job(succeed, "unknown", settle)})
        await runner.progressions.put("me", "me", Progression(mode=Mode.MANUAL))
        await runner.create(task("settled"))
        await runner.perform("t")
        # The second release sets an error while the first, which keeps the outcome, is being settled.
        await asyncio.gather(runner.release("t"), runner.release("t", "error_pose"))
        done = await runner.find("t", "me")
        assert done is not None
        assert done.is_finished
        assert settled == [done.error]

    use(scenario)


HELD: Mapping[str, Any] = {
    "id": "t",
    "credential": "me",
    "kind": "succeed",
    "request": {},
    "created_at": 0,
    "started_at": 0,
    "progression": {"mode": "manual"},
    "state": "held",
    "held": {"result": {}, "error": None},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "dance"},
        {"state": "asleep"},
        {"progression": {"mode": "never"}},
        {"held": {"result": None, "error": None}},
        {"colour": "red"},
        *({moment: "x"} for moment in ("created_at", "started_at", "finished_at", "polled_at")),
        {"created_at": "3.0"},
        {"polled_at": True},
    ],
    ids=str,
)
def test_an_invalid_recorded_task_is_refused(use: Use, wrong: Mapping[str, Any]) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        check = runner.checks["task"]
        check(HELD)
        check(task().to_document())
        check({**HELD, "started_at": 1.5, "polled_at": 3.0})
        with pytest.raises((ValueError, TypeError, LookupError)):
            check({**HELD, **wrong})
        with pytest.raises(LookupError):
            check({})

    use(scenario)


def test_an_invalid_recorded_progression_is_refused(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        assert set(runner.checks) == {"task", "progression"}
        runner.checks["progression"]({"mode": "after_polls", "polls": 2})
        with pytest.raises(ValueError, match="`polls` must be given with the mode after_polls"):
            runner.checks["progression"]({"mode": "manual", "polls": 2})

    use(scenario)


def test_progressions_are_loaded_and_forgotten_by_credential(use: Use) -> None:
    manual, immediate = Progression(mode=Mode.MANUAL), Progression(mode=Mode.IMMEDIATE)

    async def before(runner: TaskRunner, _queue: ListQueue) -> None:
        for credential, progression in (("me", manual), ("you", manual), ("", immediate)):
            await runner.progressions.put(credential, credential, progression)

    async def after(runner: TaskRunner, _queue: ListQueue) -> None:
        assert runner.progression("me") == Progression()
        await runner.load()
        assert (runner.progression("me"), runner.progression("nobody")) == (manual, immediate)
        await runner.forget("me")
        assert (runner.progression("me"), runner.progression("you")) == (immediate, manual)
        await runner.forget(None)
        await runner.load()
        assert runner.progression("you") == Progression()

    use(before)
    use(after)


def test_tasks_are_counted_by_state(use: Use) -> None:
    async def scenario(runner: TaskRunner, _queue: ListQueue) -> None:
        none = dict.fromkeys(TaskState, 0)
        assert await runner.count() == none
        for number, kind in enumerate(["succeed", "fail", "succeed", "fail", "fail"]):
            await runner.create(replace(task(kind), id=f"t{number}", credential=f"me{number}"))
        assert await runner.count() == {**none, TaskState.QUEUED: 5}
        for number in range(3):
            await runner.perform(f"t{number}")
        assert await runner.count() == {
            **none,
            TaskState.QUEUED: 2,
            TaskState.SUCCEEDED: 2,
            TaskState.FAILED: 1,
        }

    use(scenario)
