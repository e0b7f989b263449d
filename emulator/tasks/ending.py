"""``Endings``, which records and announces the ends of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from weakref import WeakValueDictionary

from emulator.backends.records import Record, Records, Replace
from emulator.backends.unavailable import StoreUnavailable, until_stored
from emulator.background import Background
from emulator.clock import Clock
from emulator.tasks.job import Job
from emulator.tasks.store import KIND, TaskStore
from emulator.tasks.task import Outcome, Task, TaskState, finish, hold_once, released


class Endings:
    """Ends tasks, except for the tasks of paused credentials.

    Parameters
    ----------
    records, store, clock
        The database, the tasks in it, and the clock that dates their ends.
    jobs
        The jobs, by the kind of task that they perform.
    background
        Runs work that must continue after its caller was cancelled.

    Attributes
    ----------
    paused : list of str or None
        The credentials whose tasks are paused; None for all credentials.
    """

    def __init__(
        self,
        records: Records,
        store: TaskStore,
        clock: Clock,
        jobs: Mapping[str, Job],
        background: Background,
    ) -> None:
        self._records = records
        self._store = store
        self._clock = clock
        self._jobs = jobs
        self._background = background
        self.paused: list[str | None] = []
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def release(self, task_id: str, error: str | None = None) -> Task | None:
        """Let a task end as soon as its work is done. Return the task, or None if it was deleted.

        The progression and the plan of the task no longer apply. If the work is already done, end the task
        before returning it. Otherwise, return the unfinished task without waiting for the work. With
        ``error``, the task fails with this error. A finished task does not change.
        """
        async with self._lock(task_id):
            task = await self._store.change(task_id, lambda current: released(current, error))
        if task is not None and task.state is TaskState.HELD:
            task = await self.end_now(task)
        return task

    async def end_now(self, task: Task) -> Task | None:
        """End a task whose work is done. Return the task, or None if it was deleted.

        The end is recorded in the background, so that a pause can cancel the recording, even during a poll.
        """
        ending = self._background.start(task.credential, self.end(task.id))
        await asyncio.wait({ending})
        if not ending.cancelled():
            ending.result()
        return await self._store.find(task.id)

    async def end(self, task_id: str, outcome: Outcome | None = None, started_at: float = 0.0) -> bool:
        """Record and announce the end of a held task. Do nothing if the task is not held, or is paused.

        ``outcome`` is given when the work of the task, which began at ``started_at``, has just been done. In
        this case, hold the task with this outcome first, and do not end it if it is not due. Return whether
        the task exists.
        """
        async with self._lock(task_id):
            ended = None
            while ended is None:
                found = await self._store.read(task_id)
                if found is None:
                    return False
                record, task = found
                held = task if outcome is None else hold_once(task, outcome, started_at)
                if held.held is None or self.is_paused(held.credential):
                    return True
                if outcome is not None and not self.is_due(held):
                    if await self._records.replace(KIND, record, self._store.document_of(held)):
                        return True
                else:
                    ended = await self._record_end(record, held, held.held)
            # Announce under the lock, so that the next holder of the lock finds the end already announced.
            job = self._jobs[ended.kind]
            if job.announce is not None:
                await self._announce(ended, job.announce)
        return True

    async def _record_end(self, record: Record, held: Task, outcome: Outcome) -> Task | None:
        """Record the end of a task and its costs. Return None if a record has changed in the meantime."""
        ended = finish(held, outcome, self._clock.now(held.credential))
        changes = await self._jobs[held.kind].settle(held, outcome)
        document = self._store.document_of(ended)
        is_written = await self._records.write([Replace(KIND, record, document), *changes])
        return ended if is_written else None

    async def _announce(self, task: Task, announce: Callable[[Task], Awaitable[None]]) -> None:
        """Announce the end of a task. If a store is unavailable, try again in the background."""
        try:
            await announce(task)
        except StoreUnavailable:
            self._background.start(task.credential, until_stored(lambda: announce(task)))

    def is_due(self, task: Task) -> bool:
        """Return whether the progression lets a task appear finished now, if its work is done."""
        return task.is_due(self._clock.now(task.credential))

    def is_paused(self, credential: str) -> bool:
        """Return whether the tasks of a credential are paused."""
        return not {None, credential}.isdisjoint(self.paused)

    def _lock(self, task_id: str) -> asyncio.Lock:
        """Return the lock of a task, which keeps ``release`` and ``end`` from running at the same time."""
        return self._locks.setdefault(task_id, asyncio.Lock())
