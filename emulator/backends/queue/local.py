"""The work queue in this process, with worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from emulator.backends.queue.async_pool import AsyncPool, PooledQueue
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Backlog

logger = logging.getLogger(__name__)


class LocalWorkers(PooledQueue):
    """A queue of tasks, and a pool of worker processes.

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
        self._waiting: list[str] = []
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers and the queue. ``perform`` is called with the id of each enqueued task."""
        self._workers.start()
        self._perform = perform
        waiting, self._waiting = self._waiting, []
        for task_id in waiting:
            await self.enqueue(task_id)

    @property
    def is_in_database(self) -> bool:
        """False, because the queue is in memory: writing an ``Enqueue`` to the database adds no task."""
        return False

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:
        """Enqueue a task. The task is performed at least once.

        All tasks begin at once. If only some did, tasks that wait for slow downloads would block all others.
        The downloads, the reads of stored pictures and the workers have limits of their own.
        """
        del waits  # all tasks begin at once
        if self._perform is None:
            self._waiting.append(task_id)
            return
        work = asyncio.create_task(self._perform_one(self._perform, task_id))
        self._running.add(work)
        work.add_done_callback(self._running.discard)

    async def backlog(self) -> Backlog:
        """Return the number of tasks that are performed now. Tasks only wait until ``start`` is called."""
        return Backlog(waiting=len(self._waiting), running=len(self._running), processes=1)

    async def drain(self, seconds: float) -> None:
        """Begin no more tasks, and wait at most ``seconds`` for those that have begun."""
        self._perform = None
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def close(self) -> None:
        """Cancel the running tasks and stop. Unfinished tasks are performed again after the next start."""
        self._perform = None
        running = [*self._running]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._workers.close()

    def kill(self) -> None:
        """Kill the workers at once, unless other queues share them."""
        self._workers.kill()

    async def _perform_one(self, perform: Callable[[str], Awaitable[None]], task_id: str) -> None:
        try:
            await perform(task_id)
        except Exception:
            logger.exception("task %s could not be performed", task_id)
