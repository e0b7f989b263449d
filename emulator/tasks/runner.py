"""What takes tasks from the queue, has them performed and records what came of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

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
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str


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
        current = await self._records.get(KIND, task_id)
        if current is not None:
            await self._store(current, finish(running, outcome, self._clock.now()))

    async def _store(self, record: Record, task: Task) -> bool:
        return await self._records.replace(KIND, record, task.to_document())
