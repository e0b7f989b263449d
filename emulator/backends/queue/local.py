"""The work queue in this process, with worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import CLIENT_LEAVING, ClientLeft, Load, P, Pipeline, R, WorkerLost

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
    def is_in_database(self) -> bool:
        """Whether writing an ``Enqueue`` to the database adds a task: no."""
        return False

    @property
    def is_warm(self) -> bool:
        """Whether all workers are alive and have loaded the face core: the code and the models for faces."""
        return self.why_not_warm is None

    @property
    def why_not_warm(self) -> str | None:
        """Why the workers are not warm, as a sentence, or None if they are warm."""
        warming = self._warming
        if warming is None or not warming.done() or warming.cancelled():
            return "The workers have not yet loaded the face core."
        if warming.exception() is not None:
            return f"The workers cannot load the face core: {warming.exception()}."
        missing = self._pool.missing
        return f"{missing} of {self._pool.count} workers died, and are being replaced." if missing else None

    def load(self) -> Load:
        """Return how busy the workers are."""
        return self._pool.load()

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
        submitted = self._pool.submit(pipeline, *args, **kwargs)
        # If the caller is cancelled, ``submitted`` is cancelled too, so that its work is not begun.
        result = asyncio.wrap_future(submitted)
        client_leaving = CLIENT_LEAVING.get()
        if client_leaving is None:
            return await result
        leaving = asyncio.create_task(client_leaving())
        try:
            both: set[asyncio.Future[Any]] = {result, leaving}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not result.done() and self._pool.withdraw(submitted):
                raise ClientLeft
            return await result
        finally:
            result.cancel()
            leaving.cancel()

    async def close(self) -> None:
        """Cancel the running tasks and stop. Unfinished tasks are performed again after the next start."""
        self._perform = None
        running = [*self._running, *([self._warming] if self._warming else [])]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError, WorkerLost):
                await task
        if self._owns_pool:
            await asyncio.to_thread(self._pool.close)

    def kill(self) -> None:
        """Kill the workers at once, unless other queues share them."""
        if self._owns_pool:
            self._pool.kill()

    async def _perform_one(self, perform: Callable[[str], Awaitable[None]], task_id: str) -> None:
        try:
            await perform(task_id)
        except Exception:
            logger.exception("task %s could not be performed", task_id)
