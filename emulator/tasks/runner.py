"""What takes tasks from the queue, has them performed and records what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from emulator.backends.queue import WorkQueue
from emulator.backends.records import Record, Records
from emulator.clock import Clock
from emulator.tasks.task import Outcome, Task, finish, start

logger = logging.getLogger(__name__)

KIND = "task"


@dataclass(frozen=True)
class Job:
    """How tasks of one kind are performed.

    Attributes
    ----------
    perform : async (Task) -> Outcome
        Does the work, and answers for every error that it knows.
    unexpected_error : str
        The name of the error, in the vendor's catalogue, for what ``perform`` raised all the same.
    settle : async (Task, Outcome) -> None
        Does what the outcome entails, before it is recorded. May run twice for a task, if the
        process dies in between: it must then do nothing the second time.
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str
    settle: Callable[[Task, Outcome], Awaitable[None]]


@dataclass(frozen=True)
class _UnderWay:
    """A task that is being performed: whose it is, and what performs it."""

    owner: str
    work: asyncio.Task[None]


class TaskRunner:
    """Creates tasks, finds them again, and performs them when the queue says so."""

    def __init__(self, records: Records, queue: WorkQueue, clock: Clock) -> None:
        self._records = records
        self._queue = queue
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._paused: list[str | None] = []

    def register(self, jobs: Mapping[str, Job]) -> None:
        """Add jobs by the kind of task that they perform.

        Raises
        ------
        ValueError
            If a kind has a job already.
        """
        taken = self._jobs.keys() & jobs.keys()
        if taken:
            raise ValueError(f"these kinds of task have a job already: {', '.join(sorted(taken))}")
        self._jobs.update(jobs)

    async def start(self) -> None:
        """Begin to perform tasks: those left over from before first, then those that come."""
        await self._queue.start(self.perform)
        await self.resume()

    async def resume(self, owner: str | None = None) -> None:
        """Take up an owner's tasks, or all, that are recorded and not finished."""
        for record in await self._records.find(KIND, owner):
            if not Task.from_document(record.document).is_finished:
                await self._queue.enqueue(record.key)

    @contextlib.asynccontextmanager
    async def paused(self, owner: str | None) -> AsyncIterator[None]:
        """Have this process perform no task of an owner, or none at all, as long as the block lasts.

        What was under way is given up, and when the block begins nothing of it writes any more.
        After the block, every task that is then recorded as unfinished is performed from its start.
        """
        self._paused.append(owner)
        try:
            given_up = [
                under_way.work for under_way in self._under_way.values() if owner in {None, under_way.owner}
            ]
            for work in given_up:
                work.cancel()
            if given_up:
                await asyncio.wait(given_up)
            yield
        finally:
            self._paused.remove(owner)
            await self.resume(owner)

    async def create(self, task: Task) -> None:
        """Record a new task and have it performed.

        Raises
        ------
        KeyError
            If the id is taken.
        ValueError
            If no job performs its kind.
        """
        if task.kind not in self._jobs:
            raise ValueError(f"no job performs {task.kind!r}")
        await self._records.create(KIND, task.id, task.owner, task.to_document())
        await self._queue.enqueue(task.id)

    async def find(self, task_id: str, owner: str) -> Task | None:
        """Return the task of that id and owner, or None."""
        record = await self._records.get(KIND, task_id)
        if record is None or record.scope != owner:
            return None
        return Task.from_document(record.document)

    async def list(self, owner: str) -> list[Task]:
        """Return an owner's tasks, in the order of creation."""
        return [Task.from_document(record.document) for record in await self._records.find(KIND, owner)]

    async def perform(self, task_id: str) -> None:
        """Perform the task of that id, unless it is finished or gone, under way or paused."""
        record = await self._records.get(KIND, task_id)
        if record is None or Task.from_document(record.document).is_finished:
            return
        if task_id in self._under_way or not {None, record.scope}.isdisjoint(self._paused):
            return
        work = asyncio.create_task(self._perform(record))
        self._under_way[task_id] = _UnderWay(record.scope, work)
        work.add_done_callback(lambda _: self._under_way.pop(task_id))
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()

    async def _perform(self, record: Record) -> None:
        running = start(Task.from_document(record.document), self._clock.now())
        if not await self._store(record, running):
            return  # somebody else is at it
        job = self._jobs[running.kind]
        try:
            outcome = await job.perform(running)
        except Exception:
            logger.exception("task %s (%s) failed unexpectedly", running.id, running.kind)
            outcome = Outcome(error=job.unexpected_error)
        await job.settle(running, outcome)
        await self._change(running.id, lambda task: finish(task, outcome, self._clock.now()))

    async def note_poll(self, task: Task) -> None:
        """Record that somebody asked for a task now."""
        now = self._clock.now()
        await self._change(task.id, lambda current: replace(current, polled_at=now))

    async def delete(self, task: Task) -> None:
        """Forget a task."""
        await self._records.delete(KIND, task.id)

    async def _change(self, task_id: str, change: Callable[[Task], Task]) -> None:
        """Record ``change`` of a task, however often others are faster; nothing if it is gone."""
        record = await self._records.get(KIND, task_id)
        while record is not None and not await self._store(
            record, change(Task.from_document(record.document))
        ):
            record = await self._records.get(KIND, task_id)

    async def _store(self, record: Record, task: Task) -> bool:
        return await self._records.replace(KIND, record, task.to_document())
