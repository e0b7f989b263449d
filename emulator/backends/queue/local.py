"""The work queue in this process, with worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import P, Pipeline, R, WorkerLost

logger = logging.getLogger(__name__)


class LocalWorkers:
    """A queue of tasks, and a pool of worker processes.

    Parameters
    ----------
    pool : WorkerPool
        Pool that runs the pipelines.
    owns_pool : bool
        Whether ``close`` also closes the pool. A pool that is shared with other queues must stay open.
    """

    def __init__(self, pool: WorkerPool, *, owns_pool: bool = True) -> None:
        self._pool = pool
        self._owns_pool = owns_pool
        self._warming: asyncio.Task[None] | None = None
        self._perform: Callable[[str], Awaitable[None]] | None = None
        self._waiting: list[str] = []
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers and the queue. ``perform`` is called with the id of each enqueued task."""
        self._warming = asyncio.create_task(asyncio.to_thread(self._pool.warm_up))
        self._perform = perform
        waiting, self._waiting = self._waiting, []
        for task_id in waiting:
            await self.enqueue(task_id)

    @property
    def is_warm(self) -> bool:
        """Whether all workers have loaded the face core, which is the code and the models for faces."""
        warming = self._warming
        return (
            warming is not None and warming.done() and not warming.cancelled() and warming.exception() is None
        )

    async def wait_until_warm(self) -> None:
        """Wait until all workers have loaded the face core, which is the code and the models for faces."""
        if self._warming is None:
            raise RuntimeError("the workers have not been started")
        await asyncio.shield(self._warming)

    async def enqueue(self, task_id: str) -> None:
        """Enqueue a task. The task is performed at least once.

        All tasks begin at once. If only some did, tasks that wait for slow downloads would block all others.
        The downloads, the reads of stored pictures and the workers have limits of their own.
        """
        if self._perform is None:
            self._waiting.append(task_id)
            return
        work = asyncio.create_task(self._perform_one(self._perform, task_id))
        self._running.add(work)
        work.add_done_callback(self._running.discard)

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker process, and return its result."""
        for _ in range(2):
            executor, future = self._pool.submit(pipeline, *args, **kwargs)
            try:
                return await asyncio.wrap_future(future)
            except BrokenProcessPool as error:
                # Retry once, because other work in the pool may have caused the crash.
                cause = error
                self._pool.replace(executor, error)
        raise WorkerLost("a worker process died twice during the same work") from cause

    async def close(self) -> None:
        """Cancel the running tasks and stop. Unfinished tasks are performed again after the next start."""
        warm = self.is_warm
        self._perform = None
        running = [*self._running, *([self._warming] if self._warming else [])]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError, WorkerLost):
                await task
        if self._owns_pool:
            await asyncio.to_thread(self._pool.close, kill=not warm)

    async def _perform_one(self, perform: Callable[[str], Awaitable[None]], task_id: str) -> None:
        try:
            await perform(task_id)
        except Exception:
            logger.exception("task %s could not be performed", task_id)
