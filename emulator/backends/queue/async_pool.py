"""``AsyncPool``, which uses a worker pool from an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import CLIENT_LEAVING, ClientLeft, Load, P, Pipeline, R, WorkerLost
from emulator.backends.queue.worker import Order, Reply


class AsyncPool:
    """Runs pipelines in a worker pool. Each queue has an ``AsyncPool``.

    Parameters
    ----------
    pool : WorkerPool
        Pool that runs the pipelines.
    owns_pool : bool
        Whether ``close`` also closes the pool. A pool that is shared with other queues must stay open.
    """

    def __init__(self, pool: WorkerPool, *, owns_pool: bool) -> None:
        self._pool = pool
        self._owns_pool = owns_pool
        self._warming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the workers and load the face core in them, in the background."""
        self._warming = asyncio.create_task(asyncio.to_thread(self._pool.warm_up))

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

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker process, and return its result."""
        loop = asyncio.get_running_loop()
        # If the caller is cancelled, this future is cancelled, too, so a pipeline that waits is not run.
        result: asyncio.Future[R] = loop.create_future()
        order = Order(pipeline.name, args, kwargs)
        self._pool.add(pipeline, order, result, partial(_settle, loop, result))
        client_leaving = CLIENT_LEAVING.get()
        try:
            if client_leaving is not None:
                await self._until_done(result, client_leaving)
            return await result
        finally:
            # The traceback of an exception has this frame. With the future, which has the exception, the
            # frame would keep the picture in memory until the garbage collector runs.
            del result

    async def _until_done(
        self, result: asyncio.Future[Any], client_leaving: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Wait for the reply. If the client leaves before the work has begun, raise ClientLeft."""
        leaving = asyncio.create_task(client_leaving())
        both: set[asyncio.Future[Any]] = {result, leaving}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            result.cancel()
            raise
        finally:
            leaving.cancel()
        if not result.done() and self._pool.withdraw(result):
            raise ClientLeft

    async def close(self) -> None:
        """Stop the workers, unless other queues share them."""
        if self._warming is not None:
            self._warming.cancel()
            with contextlib.suppress(asyncio.CancelledError, WorkerLost):
                await self._warming
        if self._owns_pool:
            await asyncio.to_thread(self._pool.close)

    def kill(self) -> None:
        """Kill the workers at once, unless other queues share them."""
        if self._owns_pool:
            self._pool.kill()


def _settle(loop: asyncio.AbstractEventLoop, result: asyncio.Future[Any], reply: Reply) -> None:
    """Set the result or the exception of a future from another thread."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_set, result, reply)


def _set(result: asyncio.Future[Any], reply: Reply) -> None:
    """Set the result or the exception of a future, unless it was cancelled."""
    if result.done():
        return
    if reply.error is None:
        result.set_result(reply.result)
    else:
        result.set_exception(reply.error)


class PooledQueue:
    """The part of a queue that runs pipelines in the worker processes of this machine."""

    def __init__(self, workers: AsyncPool) -> None:
        self._workers = workers

    @property
    def why_not_warm(self) -> str | None:
        """Why the workers are not warm, as a sentence, or None if they are warm."""
        return self._workers.why_not_warm

    def load(self) -> Load:
        """Return how busy the workers of this process are."""
        return self._workers.load()

    async def wait_until_warm(self) -> None:
        """Wait until all workers have loaded the face core, which is the code and the models for faces."""
        await self._workers.wait_until_warm()

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker of this process, and return its result."""
        return await self._workers.run(pipeline, *args, **kwargs)
