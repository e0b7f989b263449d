"""Worker processes on this machine: the embedded adapter.

Processes and not threads, for three reasons. The parts of the work that are Python hold the
interpreter lock, and polls would wait for them. Loading MediaPipe takes seconds of that lock, and
here another process spends them. And a picture that takes a worker down with it (out of memory)
leaves the server standing. benchmarks/workers.py measures both.

The pool is loky's and not the standard library's: its workers do not import the main module again,
so an emulator can be started from a notebook, from standard input and from a script without a guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures.process import BrokenProcessPool

from loky import ProcessPoolExecutor

from emulator.backends.queue.protocol import P, Pipeline, R, WorkerLost

logger = logging.getLogger(__name__)

TASKS_AT_ONCE = 64
"""Tasks that are under way at once. More than the workers can compute: some wait for a download."""

ORPHANED_SECONDS = 0.5
"""How often a worker looks whether its server is still there."""

# Work of no consequence.
_NOTHING: Pipeline[[], int] = Pipeline("os.getpid")


class LocalWorkers:
    """A pool of spawned worker processes, each with a face core of its own.

    Parameters
    ----------
    count : int
        Worker processes.
    warm_up : Pipeline
        Runs first in every worker.
    variables : mapping of str to str, optional
        Environment variables that the workers have beside those of this process.
    """

    def __init__(
        self, count: int, warm_up: Pipeline[[], None], variables: Mapping[str, str] | None = None
    ) -> None:
        self._count = count
        self._variables = dict(variables or {})
        self._warm_up = warm_up
        self._pool = self._new_pool()
        self._warming: asyncio.Task[None] | None = None
        self._tasks: asyncio.Queue[str] = asyncio.Queue()
        self._consumers: list[asyncio.Task[None]] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Begin to warm the workers up, and to hand every enqueued task's id to ``perform``."""
        self._warming = asyncio.create_task(self._warm())
        self._consumers = [asyncio.create_task(self._consume(perform)) for _ in range(TASKS_AT_ONCE)]

    @property
    def is_warm(self) -> bool:
        """Whether a worker has the face core loaded."""
        warming = self._warming
        return (
            warming is not None and warming.done() and not warming.cancelled() and warming.exception() is None
        )

    async def wait_until_warm(self) -> None:
        """Return when a worker has the face core loaded."""
        if self._warming is None:
            raise RuntimeError("the workers have not been started")
        await asyncio.shield(self._warming)

    async def enqueue(self, task_id: str) -> None:
        """Have the task performed, soon and at least once."""
        await self._tasks.put(task_id)

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker and return what it returns."""
        for _ in range(2):
            pool = self._pool
            try:
                return await asyncio.wrap_future(pool.submit(_perform, pipeline, *args, **kwargs))
            except BrokenProcessPool as error:
                # One dead worker breaks its whole pool. The first to notice replaces it; the work
                # is tried once more, since it may have died of its neighbour.
                cause = error
                logger.warning("a worker process died: %s", error.__cause__ or error)
                if self._pool is pool:
                    self._pool = self._new_pool()
                    pool.shutdown(wait=False)
        raise WorkerLost("a worker process died twice over the same work") from cause

    async def close(self) -> None:
        """Stop the workers; work that has begun is finished first, unless it is the warming up."""
        warm = self.is_warm
        running = [*self._consumers, *([self._warming] if self._warming else [])]
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError, WorkerLost):
                await task
        await asyncio.to_thread(self._pool.shutdown, wait=True, kill_workers=not warm)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._count,
            initializer=_begin_worker,
            initargs=(self._warm_up, os.getpid()),
            env=self._variables,
        )

    async def _warm(self) -> None:
        # One piece of work for each worker makes the pool start them all.
        await asyncio.gather(*(self.run(_NOTHING) for _ in range(self._count)))

    async def _consume(self, perform: Callable[[str], Awaitable[None]]) -> None:
        while True:
            task_id = await self._tasks.get()
            try:
                await perform(task_id)
            except Exception:
                # One task that cannot even be recorded must not stop those behind it.
                logger.exception("task %s could not be performed", task_id)


def _begin_worker(warm_up: Pipeline[[], None], server: int) -> None:
    # First, since a server may be killed while its workers load the face core.
    threading.Thread(target=_end_with, args=(server,), daemon=True).start()
    # Ctrl-C reaches the whole process group; the server alone decides when its workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up.resolve()()


def _end_with(server: int) -> None:
    """End this process once the server is gone.

    A worker waits at a pipe of which it holds both ends, as its neighbours do: that the server was
    killed does not close it. But the system hands orphans on to another parent.
    """
    while os.getppid() == server:
        time.sleep(ORPHANED_SECONDS)
    os._exit(1)


def _perform(pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a pipeline, in a worker."""
    return pipeline.resolve()(*args, **kwargs)
