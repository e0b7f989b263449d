"""What takes tasks from the queue, has them performed and records what came of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
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


class TaskRunner:
    """Creates tasks, finds them again, and performs them when the queue says so."""

    def __init__(self, records: Records, queue: WorkQueue, clock: Clock) -> None:
        self._records = records
        self._queue = queue
        self._clock = clock
        self._jobs: dict[str, Job] = {}

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
        for record in await self._records.find(KIND):
            if not Task.from_document(record.document).is_finished:
                await self._queue.enqueue(record.key)

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
        """Perform the task of that id, unless it is finished or gone."""
        record = await self._records.get(KIND, task_id)
        if record is None or Task.from_document(record.document).is_finished:
            return
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
        await self._change(task_id, lambda task: finish(task, outcome, self._clock.now()))

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
