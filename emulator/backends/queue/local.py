"""The work queue in this process, with worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from emulator.backends.queue.async_pool import AsyncPool, PooledQueue
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Backlog

logger = logging.getLogger(__name__)

MOST_BEGUN: Final = 64
"""Largest number of tasks that are performed at once, except for tasks that wait for other servers.

Each of these tasks can have a picture of up to 10 MB in memory. The number is much larger than that of the
workers, so that no worker waits while the ends of tasks are recorded.
"""


@dataclass(eq=False)
class _Lane:
    """Tasks that begin in the order in which they were added.

    Attributes
    ----------
    most : float
        Largest number of tasks that are performed at once.
    waiting : OrderedDict
        The keys are the ids of the tasks that wait.
    running : set of asyncio.Task
        Asyncio tasks that perform one task after another.
    """

    most: float
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)
    running: set[asyncio.Task[None]] = field(default_factory=set)


class LocalWorkers(PooledQueue):
    """A queue of tasks, and a pool of worker processes.

    Tasks that mostly wait for other servers begin at once. So slow downloads do not delay other tasks, and
    the credentials can take turns with their downloads, which have limits of their own.

    Parameters
    ----------
    pool : WorkerPool
        Pool that runs the pipelines.
    owns_pool : bool
        Whether ``close`` also closes the pool. A pool that is shared with other queues must stay open.
    """

    def __init__(self, pool: WorkerPool, *, owns_pool: bool = True) -> None:
        super().__init__(AsyncPool(pool, owns_pool=owns_pool))
        self._perform: Callable[[str], Awaitable[None]] | None = None
        self._limited, self._unlimited = self._lanes = _Lane(MOST_BEGUN), _Lane(math.inf)

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers and the queue. ``perform`` is called with the id of each enqueued task."""
        self._workers.start()
        self._perform = perform
        for lane in self._lanes:
            for _ in range(len(lane.waiting)):
                self._begin(lane)

    @property
    def is_in_database(self) -> bool:
        """False, because the queue is in memory: writing an ``Enqueue`` to the database adds no task."""
        return False

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:
        """Enqueue a task, unless it already waits. The task is performed at least once.

        ``waits`` is true if the task mostly waits for other servers, such as for a download.
        """
        lane = self._unlimited if waits else self._limited
        lane.waiting[task_id] = None
        self._begin(lane)

    async def backlog(self) -> Backlog:
        """Return how many tasks wait in the queue, and how many are performed now."""
        waiting = sum(len(lane.waiting) for lane in self._lanes)
        return Backlog(waiting=waiting, running=len(self._running()), processes=1)

    async def drain(self, seconds: float) -> None:
        """Begin no more tasks, and wait at most ``seconds`` for those that have begun."""
        self._perform = None
        running = self._running()
        if running:
            await asyncio.wait(running, timeout=seconds)

    async def close(self) -> None:
        """Cancel the running tasks and stop. Unfinished tasks are performed again after the next start."""
        self._perform = None
        running = self._running()
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._workers.close()

    def kill(self) -> None:
        """Kill the workers at once, unless other queues share them."""
        self._workers.kill()

    def _running(self) -> list[asyncio.Task[None]]:
        return [work for lane in self._lanes for work in lane.running]

    def _begin(self, lane: _Lane) -> None:
        """Begin to perform the tasks of a lane in one more asyncio task, unless there are enough."""
        if self._perform is not None and len(lane.running) < lane.most:
            work = asyncio.create_task(self._perform_all(self._perform, lane.waiting))
            lane.running.add(work)
            work.add_done_callback(lane.running.discard)

    async def _perform_all(
        self, perform: Callable[[str], Awaitable[None]], waiting: OrderedDict[str, None]
    ) -> None:
        """Perform one task after another until no task waits, or the queue is drained."""
        while waiting and self._perform is not None:
            task_id, _ = waiting.popitem(last=False)
            try:
                await perform(task_id)
            except Exception:
                logger.exception("task %s could not be performed", task_id)
