"""Work for the worker processes of this machine: the embedded adapter."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import P, Pipeline, R, WorkerLost

logger = logging.getLogger(__name__)

TASKS_AT_ONCE = 64
"""Tasks that are under way at once. More than the workers can compute: some wait for a download."""


class LocalWorkers:
    """A queue of tasks, and a pool of workers.

    Parameters
    ----------
    pool : WorkerPool
        Computes the pictures.
    owns_pool : bool
        Whether the pool is stopped with the queue. One that is handed in may serve others.
    """

    def __init__(self, pool: WorkerPool, *, owns_pool: bool = True) -> None:
        self._pool = pool
        self._owns_pool = owns_pool
        self._warming: asyncio.Task[None] | None = None
        self._tasks: asyncio.Queue[str] = asyncio.Queue()
        self._consumers: list[asyncio.Task[None]] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Begin to warm the workers up, and to hand every enqueued task's id to ``perform``."""
        self._warming = asyncio.create_task(asyncio.to_thread(self._pool.warm_up))
        self._consumers = [asyncio.create_task(self._consume(perform)) for _ in range(TASKS_AT_ONCE)]

    @property
    def is_warm(self) -> bool:
        """Whether the workers have the face core loaded."""
        warming = self._warming
        return (
            warming is not None and warming.done() and not warming.cancelled() and warming.exception() is None
        )

    async def wait_until_warm(self) -> None:
        """Return when the workers have the face core loaded."""
        if self._warming is None:
            raise RuntimeError("the workers have not been started")
        await asyncio.shield(self._warming)

    async def enqueue(self, task_id: str) -> None:
        """Have the task performed, soon and at least once."""
        await self._tasks.put(task_id)

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker and return what it returns."""
        for _ in range(2):
            executor, future = self._pool.submit(pipeline, *args, **kwargs)
            try:
                return await asyncio.wrap_future(future)
            except BrokenProcessPool as error:
                # The work is tried once more, since it may have died of its neighbour.
                cause = error
                self._pool.replace(executor, error)
        raise WorkerLost("a worker process died twice over the same work") from cause

    async def close(self) -> None:
        """Stop, and give up the work in hand: it is performed again after the next start."""
        warm = self.is_warm
        running = [*self._consumers, *([self._warming] if self._warming else [])]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError, WorkerLost):
                await task
        if self._owns_pool:
            await asyncio.to_thread(self._pool.close, kill=not warm)

    async def _consume(self, perform: Callable[[str], Awaitable[None]]) -> None:
        while True:
            task_id = await self._tasks.get()
            try:
                await perform(task_id)
            except Exception:
                # One task that cannot even be recorded must not stop those behind it.
                logger.exception("task %s could not be performed", task_id)
