"""The task runner, which performs tasks from the queue and records their outcomes."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from emulator.backends.queue import CLIENT_LEAVING, WorkQueue
from emulator.backends.records import Change, Create, Enqueue, Record, Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful, belongs_to_its_key
from emulator.backends.sweeper import Sweeper
from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.clock import ALL_CREDENTIALS, Clock
from emulator.tasks.ending import Endings
from emulator.tasks.job import Job, Jobs, TaskFault
from emulator.tasks.progression import MANUAL, REAL, Mode, Progression
from emulator.tasks.starts import Starts
from emulator.tasks.store import KIND, TaskStore, check_document, check_entry, without_secrets
from emulator.tasks.task import Outcome, Task, TaskState, changed, note_poll, start
from emulator.tasks.timers import Timers
from emulator.tasks.waiting import Waiting

logger = logging.getLogger(__name__)

PROGRESSION = "progression"

SWEEP_SECONDS = 3.0
"""Real seconds between two searches for tasks that a killed replica should have ended."""

ChangesOf = Callable[[], Awaitable[Sequence[Change]]]


async def nothing_else() -> Sequence[Change]:
    """Return no changes."""
    return ()


class TaskRunner(Stateful):
    """Service that creates, finds, performs and ends tasks.

    Parameters
    ----------
    records, queue, clock
        Storage of the tasks, the queue that performs them, and the clock that dates them.
    progression : Progression
        When a task appears finished, for credentials without their own progression.
    """

    def __init__(
        self, records: Records, queue: WorkQueue, clock: Clock, progression: Progression = REAL
    ) -> None:
        self._store = TaskStore(records)
        self._records = records
        self._queue = queue
        self._clock = clock
        self._default = progression
        self._jobs = Jobs()
        self.progressions: RecordCache[Progression] = RecordCache(
            records, PROGRESSION, Progression.to_document, Progression.from_document
        )
        self._waiting = Waiting(records, self._store)
        self._background = Background("a task could not be performed, or its end could not be recorded")
        self._performing: set[str] = set()
        self._endings = Endings(records, self._store, clock, self._jobs, self._background)
        self._starts = Starts(self._store, self._background)
        self._timers = Timers(clock, self._background, self._end_in_time)
        self._sweeper = Sweeper(
            records, self.sweep, SWEEP_SECONDS, "the tasks of killed replicas could not be ended"
        )
        self._is_loaded = False

    async def find(self, task_id: str, credential: str | None = None) -> Task | None:
        """Return a task, or None if it does not exist or belongs to another credential."""
        return await self._store.find(task_id, credential)

    async def list(self, credential: str | None = None) -> list[Task]:
        """Return the tasks of ``credential``, or of all credentials, in the order of creation."""
        return await self._store.list(credential)

    async def count(self) -> dict[TaskState, int]:
        """Return the number of tasks in each state, of all credentials."""
        return await self._store.count()

    def register(self, jobs: Mapping[str, Job | Callable[[], Mapping[str, Job]]]) -> None:
        """Add jobs, by the kind of task that they perform.

        Instead of a job, the mapping can have a function that makes it: it returns the jobs of all kinds that
        have this function.

        Raises
        ------
        ValueError
            If a kind already has a job.
        """
        taken = self._jobs.keys() & jobs.keys()
        if taken:
            raise ValueError(f"these kinds of task already have a job: {', '.join(sorted(taken))}")
        self._jobs.update(jobs)

    @property
    def checks(self) -> Mapping[str, Check]:
        """Validators of stored tasks and progressions. A task must have a known kind and valid times."""
        return {KIND: partial(check_document, self._jobs), **self.progressions.checks}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """A task must be stored under its id, and a progression under its credential."""
        return {KIND: check_entry, PROGRESSION: belongs_to_its_key}

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a task without the secret parts of the URLs in its request."""
        return without_secrets(document) if kind == KIND else document

    async def load(self) -> None:
        """Read the progressions. Detach all tasks from their plans, which a restart or a restore ends.

        When one of several replicas starts, the tasks of the other replicas continue to follow their plans.
        """
        await self.progressions.load()
        if self._is_loaded or not self._records.is_shared:
            await self._leave_plans(None)
        self._is_loaded = True

    async def forget(self, credential: str | None) -> None:
        """Delete the progression of ``credential``, or all progressions if it is None. Keep the tasks."""
        await self.progressions.forget(credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete finished tasks that are too old, with their results."""

        def is_old(record: Record) -> bool:
            finished_at = record.document["finished_at"]
            return finished_at is not None and finished_at < oldest(record.credential)

        async def discard(record: Record) -> None:
            task = Task.from_document(record.document)
            job = self._jobs[task.kind]
            if job.discard is not None:
                await job.discard(task)

        await delete_old(self._records, KIND, is_old, discard)

    async def start(self) -> None:
        """Start the queue, and resume unfinished tasks."""
        await self._queue.start(self.perform)
        await self.resume()
        self._sweeper.start()

    async def resume(self, credential: str | None = None) -> None:
        """Resume the unfinished tasks of ``credential``, or of all credentials."""
        for task in await self._store.list(credential, unfinished=True):
            if not task.is_performed:
                await self._queue.enqueue(task.id, waits=self._jobs[task.kind].waits(task))
            elif self._endings.is_due(task):
                await self._endings.end_now(task)
            self._timers.set(task)

    async def sweep(self) -> None:
        """End the tasks that are due and whose work is done.

        Usually, the replica that created a task ends it. This method ends the tasks of killed replicas.
        """
        for task in await self._store.list(unfinished=True):
            if task.state is TaskState.HELD and self._endings.is_due(task):
                await self._endings.end(task.id)

    @contextlib.asynccontextmanager
    async def paused(self, credential: str | None) -> AsyncIterator[None]:
        """Pause the tasks of ``credential``, or of all credentials, while the context is open.

        Running tasks are cancelled, and write nothing afterwards. When the context is closed, unfinished
        tasks are performed again from the start. Tasks in other processes are not paused.
        """
        self._endings.paused.append(credential)
        try:
            await self._background.cancel(credential)
            yield
        finally:
            self._endings.paused.remove(credential)
            await self.resume(credential)

    async def close(self) -> None:
        """Cancel all background work. The next start resumes the unfinished tasks."""
        await self._sweeper.close()
        await self._background.cancel()

    def progression(self, credential: str) -> Progression:
        """Return the progression of new tasks of ``credential``.

        A credential without its own progression has the default progression: the one that a tester has set
        or, if there is none, the one in the settings.
        """
        return self.progressions.get(credential) or self.progressions.get(ALL_CREDENTIALS) or self._default

    async def leave_plans(self, credential: str, task_id: str | None = None) -> None:
        """Let tasks follow their progression instead of a plan.

        These are all tasks of ``credential`` or, with ``task_id``, only that task.
        """
        if await self._leave_plans(credential, task_id) and not self._endings.is_paused(credential):
            await self.resume(credential)

    async def _leave_plans(self, credential: str | None, task_id: str | None = None) -> bool:
        """Detach the unfinished tasks from their plans, and return whether any task followed a plan."""
        found = await self._store.list(credential, unfinished=True)
        planned = [task for task in found if task.follows_plan and task_id in {None, task.id}]
        for task in planned:
            await self._store.change(task.id, lambda current: changed(current, follows_plan=False))
        return bool(planned)

    async def create(
        self, task: Task, fault: TaskFault | None = None, changes: ChangesOf = nothing_else
    ) -> None:
        """Record a new task and enqueue it.

        If the progression is ``immediate`` and the task follows no plan, wait until its work is done. A task
        that follows a plan ends only after ``release`` is called.

        ``changes`` returns changes, such as the costs of the task, that are written in one transaction with
        the task. If one of the changed records was changed in the meantime, ``changes`` is called again.

        Raises
        ------
        KeyError
            If the id already exists.
        ValueError
            If no job is registered for the kind of the task.
        Exception
            Any exception that ``changes`` raises. In this case, nothing is recorded.
        """
        if task.kind not in self._jobs:
            raise ValueError(f"no job performs {task.kind!r}")
        fault = fault or TaskFault()
        progression = MANUAL if fault.is_stuck else self.progression(task.credential)
        task = changed(
            task, progression=progression, forced_error=fault.error, announcement_fault=fault.announcement
        )
        creation = Create(KIND, task.id, task.credential, self._store.document_of(task))
        enqueuing = Enqueue(task.id, self._jobs[task.kind].waits(task))
        while not await self._records.write([creation, enqueuing, *await changes()]):
            pass
        if not self._queue.is_in_database:
            await self._queue.enqueue(task.id, waits=enqueuing.waits)
        self._timers.set(task)
        if progression.mode is Mode.IMMEDIATE and not task.follows_plan:
            await self._waiting.until_performed(task.id)

    async def perform(self, task_id: str) -> None:
        """Do the work of a task. Ignore a task that is performed, in progress, paused or deleted."""
        # Read the changes of other replicas first, such as a clock that was set before the task was created.
        await until_stored(self._records.catch_up)
        task = await until_stored(lambda: self._store.find(task_id))
        if task is None or task.is_performed:
            return
        if task_id in self._performing or self._endings.is_paused(task.credential):
            return
        self._performing.add(task_id)
        try:
            await self._background.run(task.credential, self._perform(task))
        finally:
            self._performing.discard(task_id)

    async def _perform(self, task: Task) -> None:
        # The task continues after the client that created it has disconnected.
        CLIENT_LEAVING.set(None)
        started_at = self._clock.now(task.credential)
        running = start(task, started_at)
        job = self._jobs[running.kind]
        self._starts.add(running)
        try:
            outcome = await self._outcome(job, running)
        finally:
            await self._starts.remove(running)
        exists = await until_stored(lambda: self._endings.end(running.id, outcome, started_at))
        if not exists and outcome.result is not None and job.discard is not None:
            # A reset on another replica has deleted the task. Delete the results that were stored since then.
            await job.discard(changed(running, result=outcome.result))
        await self._waiting.notify(task.id)

    async def _outcome(self, job: Job, running: Task) -> Outcome:
        """Do the work of a task, and return its outcome."""
        if running.forced_error is not None:
            return Outcome(error=running.forced_error)
        try:
            return await until_stored(lambda: job.perform(running))
        except Exception:
            logger.exception("task %s (%s) failed unexpectedly", running.id, running.kind)
            return Outcome(error=job.unexpected_error)

    async def poll(self, task: Task, *, counts: bool = False) -> Task:
        """Return a task as a polling client sees it. If the task is due to end, end it first.

        The poll is counted if ``counts`` is true, or if the task is unfinished and has the progression
        ``after_polls``.
        """
        now = self._clock.now(task.credential)
        if task.is_finished and not counts:
            return task
        if counts or task.progression.mode is Mode.AFTER_POLLS:
            task = await self._store.change(task.id, lambda current: note_poll(current, now)) or task
        if not task.is_finished and task.progression.mode is not Mode.REAL and self._endings.is_due(task):
            # The progression requires that the task appears finished now, so wait for its work.
            held = await self._waiting.until_performed(task.id)
            if held is not None and held.state is TaskState.HELD:
                held = await self._endings.end_now(held)
            task = held or task
        return task

    async def release(self, task_id: str, error: str | None = None) -> Task | None:
        """Let a task end as soon as its work is done. Return the task, or None if it was deleted.

        The progression and the plan of the task no longer apply. If the work is already done, end the task
        before returning it. Otherwise, return the unfinished task without waiting for the work. With
        ``error``, the task fails with this error. A finished task does not change.
        """
        return await self._endings.release(task_id, error)

    async def until_announced(self, task_id: str) -> Task | None:
        """Wait until the end of a released task is announced. Return the task, or None if it was deleted."""
        performed = await self._waiting.until_performed(task_id)
        return None if performed is None else await self._endings.end_now(performed)

    async def delete(self, task: Task) -> None:
        """Delete a task."""
        await self._records.delete(KIND, task.id)

    async def _end_in_time(self, task_id: str) -> None:
        """End a task that is due, when its work is done."""
        performed = await until_stored(lambda: self._waiting.until_performed(task_id))
        if performed is not None and performed.state is TaskState.HELD and self._endings.is_due(performed):
            await until_stored(lambda: self._endings.end(task_id))
