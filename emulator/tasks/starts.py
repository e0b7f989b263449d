"""``Starts``, which records the start of tasks whose work takes long."""

from __future__ import annotations

import asyncio
from functools import partial

from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.tasks.store import TaskStore
from emulator.tasks.task import Task

START_SECONDS = 0.25
"""Real seconds of work after which the start of a task is recorded.

The start of a shorter task is recorded with its end. A process that is killed before performs the task again.
"""


class Starts:
    """The tasks whose work is in progress.

    Parameters
    ----------
    store, background
        The stored tasks, and what records their starts in the background.
    """

    def __init__(self, store: TaskStore, background: Background) -> None:
        self._store = store
        self._background = background
        # In the order of the starts, each with the time after which the start is recorded.
        self._short: dict[str, tuple[Task, float]] = {}
        self._recording: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, running: Task) -> None:
        """Record the start of a task if it is not removed within ``START_SECONDS``."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + START_SECONDS
        self._short[running.id] = running, ends_at
        if self._timer is None:
            # One timer for all tasks, because most of them end before it.
            self._timer = loop.call_at(ends_at, self._record)

    async def remove(self, running: Task) -> None:
        """Do not record the start of a task. If this has begun, wait until it is done."""
        self._short.pop(running.id, None)
        recording = self._recording.pop(running.id, None)
        if recording is not None:
            await asyncio.wait({recording})

    def _record(self) -> None:
        """Record the starts that are due, and set the timer for the next one."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task_id, (running, ends_at) in list(self._short.items()):
            if ends_at > now:
                self._timer = loop.call_at(ends_at, self._record)
                return
            del self._short[task_id]
            start = partial(self._store.start, task_id, running.started_at or 0.0)
            self._recording[task_id] = self._background.start(running.credential, until_stored(start))
