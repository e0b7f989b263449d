"""``Waiting``, which waits until the work of tasks is done."""

from __future__ import annotations

import asyncio
import contextlib

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
        self._performed = asyncio.Condition()
        records.listen(KIND, self.notify)

    async def notify(self, _key: str | None = None) -> None:
        """Wake all callers that wait until a task is performed."""
        async with self._performed:
            self._performed.notify_all()

    async def until_performed(self, task_id: str) -> Task | None:
        """Wait until the work of a task is done. Return the task, or None if it was deleted."""
        async with self._performed:
            while (task := await self._store.find(task_id)) is not None and not task.is_performed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK_SECONDS):
                        await self._performed.wait()
        return task
