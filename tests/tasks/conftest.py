"""A task runner whose queue only records tasks, so that the test performs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from emulator.backends.queue import Backlog, Load, Pipeline
from emulator.backends.records import Change
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.durations import NO_DURATIONS
from emulator.tasks.job import Job
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Outcome, Task

NOW = 9.0


class ListQueue:
    """A queue that only records the ids of tasks."""

    is_in_database = False
    why_not_warm = None

    def __init__(self) -> None:
        self.enqueued: list[str] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        pass

    def load(self) -> Load:
        return Load(0, 0, 0, NO_DURATIONS, {})

    async def wait_until_warm(self) -> None:
        pass

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:  # noqa: ARG002 - none begins
        self.enqueued.append(task_id)

    async def backlog(self) -> Backlog:
        return Backlog(waiting=len(self.enqueued), running=0, processes=1)

    async def drain(self, seconds: float) -> None:
        pass

    async def run(self, pipeline: Pipeline[..., Any], *args: Any, **kwargs: Any) -> Any:
        return pipeline.resolve()(*args, **kwargs)

    async def close(self) -> None:
        pass

    def kill(self) -> None:
        pass


async def succeed(task: Task) -> Outcome:
    return Outcome({"echo": task.request["say"]})


async def fail(_task: Task) -> Outcome:
    return Outcome(error="error_no_face")


async def crash(_task: Task) -> Outcome:
    raise ZeroDivisionError


async def settle_nothing(_task: Task, _outcome: Outcome) -> Sequence[Change]:
    return ()


JOBS = {
    "succeed": Job(succeed, "unknown", settle_nothing),
    "fail": Job(fail, "unknown", settle_nothing),
    "crash": Job(crash, "unknown", settle_nothing),
}


class Use(Protocol):
    """Runs a scenario with a new runner; all runners of a test share their records."""

    def __call__(
        self, scenario: Callable[[TaskRunner, ListQueue], Awaitable[None]], *, clock: Clock | None = None
    ) -> None: ...


@pytest.fixture
def use(tmp_path: Path) -> Use:
    def use(
        scenario: Callable[[TaskRunner, ListQueue], Awaitable[None]], *, clock: Clock | None = None
    ) -> None:
        async def run() -> None:
            records, queue = SqliteRecords(tmp_path / "records.sqlite3"), ListQueue()
            await records.open()
            runner = TaskRunner(records, queue, clock or Clock(NOW))
            runner.register(JOBS)
            try:
                await scenario(runner, queue)
            finally:
                await runner.close()
                await records.close()

        asyncio.run(run())

    return use
