"""``Starts``, which records the start of tasks whose work takes long."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial

from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.tasks.store import TaskStore
from emulator.tasks.task import Task

START_SECONDS = 0.25
"""Real seconds between two records of starts.

The start of a task is recorded after one or two of these periods, or with its end if this is earlier. A
process that is killed before performs the task again.
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
        # The tasks that started in this period and in the period before.
        self._new: dict[str, Task] = {}
        self._old: dict[str, Task] = {}
        self._recording: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, running: Task) -> None:
        """Record the start of a task, unless it is removed before."""
        self._new[running.id] = running
        self._set_timer()

    async def remove(self, running: Task) -> None:
        """Do not record the start of a task. If this has begun, wait until it is done."""
        self._new.pop(running.id, None)
        self._old.pop(running.id, None)
        recording = self._recording.pop(running.id, None)
        if recording is not None:
            await asyncio.wait({recording})

    def _set_timer(self) -> None:
        # One timer for all tasks, because most of them end before it.
        if self._timer is None and (self._new or self._old):
            self._timer = asyncio.get_running_loop().call_later(START_SECONDS, self._record)

    def _record(self) -> None:
        """Record the starts of the period before, with one asyncio task for each credential."""
        by_credential: defaultdict[str, list[Task]] = defaultdict(list)
        for running in self._old.values():
            by_credential[running.credential].append(running)
        for credential, started in by_credential.items():
            recording = self._background.start(
                credential, until_stored(partial(self._store.record_starts, started))
            )
            self._recording.update(dict.fromkeys((running.id for running in started), recording))
        self._old, self._new = self._new, {}
        self._timer = None
        self._set_timer()
