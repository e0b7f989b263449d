"""``Timers``, which end tasks whose progression is ``after_seconds``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from emulator.background import Background
from emulator.clock import Clock
from emulator.tasks.progression import Mode
from emulator.tasks.task import Task


class Timers:
    """One timer for each unfinished task that ends after a number of seconds.

    Parameters
    ----------
    clock
        The clock of the tasks.
    background
        Runs the timers.
    end : async (task_id: str) -> None
        Ends a task that is due, when its work is done.
    """

    def __init__(self, clock: Clock, background: Background, end: Callable[[str], Awaitable[None]]) -> None:
        self._clock = clock
        self._background = background
        self._end = end
        self._running: dict[str, asyncio.Task[None]] = {}

    def set(self, task: Task) -> None:
        """Start the timer of a task, or restart it, if the task needs a timer."""
        if task.is_finished or task.progression.mode is not Mode.AFTER_SECONDS:
            return

        async def end_in_time() -> None:
            moment = task.created_at + (task.progression.seconds or 0.0)
            await self._clock.wait_until(moment, task.credential)
            await self._end(task.id)

        before = self._running.pop(task.id, None)
        if before is not None:
            before.cancel()
        timer = self._running[task.id] = self._background.start(task.credential, end_in_time())

        def forget(_done: asyncio.Task[None]) -> None:
            if self._running.get(task.id) is timer:
                del self._running[task.id]

        timer.add_done_callback(forget)
