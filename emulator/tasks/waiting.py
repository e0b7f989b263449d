"""``Waiting``, which waits until the work of tasks is done."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakValueDictionary

from emulator.backends.records import Records
from emulator.tasks.store import KIND, TaskStore
from emulator.tasks.task import Task

RECHECK_SECONDS = 0.5
"""Seconds between checks whether another process has performed a task."""


class Waiting:
    """Wakes the calls that wait for tasks when a task changes.

    Parameters
    ----------
    records, store
        The database, which calls listeners after changes of other processes, and the tasks in it.
    """

    def __init__(self, records: Records, store: TaskStore) -> None:
        self._store = store
        self._next: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        records.listen(KIND, self.notify)

    async def notify(self, task_id: str | None = None) -> None:
        """Wake all callers that wait until a task is performed, or until any task is if it is None."""
        for key in list(self._next) if task_id is None else [task_id]:
            event = self._next.pop(key, None)
            if event is not None:
                event.set()

    async def until_performed(self, task_id: str) -> Task | None:
        """Wait until the work of a task is done. Return the task, or None if it was deleted."""
        while True:
            changed = self._next.setdefault(task_id, asyncio.Event())
            task = await self._store.find(task_id)
            if task is None or task.is_performed:
                return task
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECHECK_SECONDS):
                    await changed.wait()
