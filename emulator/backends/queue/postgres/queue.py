"""The work queue in PostgreSQL, with worker processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from procrastinate.jobs import Job
from psycopg import AsyncConnection

from emulator.backends.queue.async_pool import AsyncPool, PooledQueue
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.postgres.jobs import STALLED_SECONDS, TASKS, WAITS, Jobs
from emulator.backends.queue.protocol import Backlog
from emulator.backends.records import Enqueue
from emulator.backends.unavailable import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_WAITING: Final = 64
"""Largest number of tasks of the queue ``WAITS`` that one process performs at once."""

BEAT_SECONDS: Final = 1.5
"""Real seconds between two heartbeats, and between two checks for jobs of dead processes."""

LOOK_SECONDS: Final = 2.0
"""Longest time between two checks for new jobs, in real seconds. A notification can be lost."""

POLITE_SECONDS: Final = 0.25
"""Real seconds that a process with busy workers waits before it takes a job, so that others can take it."""

PAUSE_SECONDS: Final = 0.5
"""Real seconds between two attempts while the database is unavailable."""

RETRY_SECONDS: Final = (1.0, 4.0, 16.0, 64.0)
"""Real seconds before each retry of a failed task. After the last retry, the task is given up."""


class PostgresQueue(PooledQueue):
    """A queue of tasks in PostgreSQL, and the pool of worker processes of this process.

    Procrastinate defines the tables and the functions that change them. This class replaces Procrastinate's
    worker loop, which (in 3.10) has three defects. It loses a notification that arrives while it fetches a
    job, so one of a hundred jobs waits for 5 s. It continues without heartbeats after it has lost its
    connection. It cannot leave a job to other processes when its workers are busy.

    If a process loses its connection for some seconds, the others assume that it is dead, and perform its
    tasks again. The process also continues these tasks. This only wastes time, because only one outcome of a
    task can be recorded (see `emulator.tasks.runner`).

    Parameters
    ----------
    url : str
        Address of the database.
    pool : WorkerPool
        Pool that runs the pipelines.
    owns_pool : bool
        Whether ``close`` also closes the pool. A pool that is shared with other queues must stay open.

    Raises
    ------
    ValueError
        If the URL is invalid.
    """

    def __init__(self, url: str, pool: WorkerPool, *, owns_pool: bool = True) -> None:
        self._pool = pool
        super().__init__(AsyncPool(pool, owns_pool=owns_pool))
        self._jobs = Jobs(url)
        # While the workers compute one task each, the picture of the next one is loaded.
        self._limits = {TASKS: pool.count + 1, WAITS: MOST_WAITING}
        self._perform: Callable[[str], Awaitable[None]] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._running: dict[asyncio.Task[None], Job] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._woken = asyncio.Event()
        self._beaten_at = self._rescues_from = -math.inf
        self._is_unavailable = False
        self._may_have_missed = False

    async def open(self) -> None:
        """Create or migrate the tables of the queue.

        Raises
        ------
        StoreUnreadable
            If a newer version of Procrastinate has created the tables.
        """
        await self._jobs.open()

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers, and take tasks. ``perform`` is called with the id of each task."""
        self._workers.start()
        self._perform = perform
        await self._jobs.register()
        self._beaten_at = time.monotonic()
        self._loops = [
            asyncio.create_task(self._forever(loop)) for loop in (self._beat, self._listen, self._take)
        ]

    @property
    def is_in_database(self) -> bool:
        """True, because `add` is called when an ``Enqueue`` is written to the database."""
        return True

    async def add(self, connection: AsyncConnection, tasks: Sequence[Enqueue]) -> None:
        """Add tasks in the open transaction of a connection to the same database."""
        await self._jobs.add(connection, tasks)

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:
        """Enqueue a task, unless it already waits. The task is performed at least once."""
        await self._jobs.add_again(task_id, waits=waits)

    async def backlog(self) -> Backlog:
        """Return how many tasks the queue has, and how many processes perform them."""
        return await self._jobs.backlog()

    async def drain(self, seconds: float) -> None:
        """Take no more tasks, and wait at most ``seconds`` for those that this process performs."""
        await self._end_loops()
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def close(self) -> None:
        """Cancel the running tasks and stop. Other processes, or the next start, perform them again."""
        await self._end_loops()
        running = [*self._running]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await self._jobs.close()
        await self._workers.close()

    def kill(self) -> None:
        """Kill the workers at once, unless other queues share them."""
        self._workers.kill()

    async def _end_loops(self) -> None:
        loops, self._loops = self._loops, []
        for loop in loops:
            loop.cancel()
        if loops:
            await asyncio.wait(loops)
        if self._may_have_missed:
            # `_take` was cancelled while it asked for a job, and the database may have given it one.
            with contextlib.suppress(StoreUnavailable):
                await self._give_back_missed()

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Call ``loop`` again and again, even after errors."""
        failures = 0
        while True:
            try:
                await loop()
                failures = 0
            except StoreUnavailable as error:
                failures += 1
                # The next attempt uses a new connection. If it fails, too, the database is unavailable.
                if failures > 1 and not self._is_unavailable:
                    logger.warning("the queue waits, because %s", error)
                    self._is_unavailable = True
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception:
                logger.exception("the queue failed, and tries again")
                await asyncio.sleep(PAUSE_SECONDS)

    async def _beat(self) -> None:
        """Store a heartbeat, and put the jobs of dead processes back into the queue."""
        now = time.monotonic()
        if now - self._beaten_at > 2 * BEAT_SECONDS:
            # The database was unavailable or this process was suspended. While the database was unavailable,
            # the other processes could not store heartbeats, either.
            self._rescues_from = now + STALLED_SECONDS
        await self._jobs.beat()
        self._beaten_at, self._is_unavailable = now, False
        if now >= self._rescues_from:
            rescued = await self._jobs.rescue()
            if rescued:
                logger.warning("took over %d tasks of processes without a recent heartbeat", rescued)
        await asyncio.sleep(BEAT_SECONDS)

    async def _listen(self) -> None:
        """Wake ``_take`` for each new job, unless this process cannot take more jobs of the job's queue."""

        def wake(queue: str | None) -> None:
            if queue is None or queue in self._open_queues():
                self._woken.set()

        await self._jobs.listen(wake)

    async def _take(self) -> None:
        """Take a job, or wait for one."""
        # Clear the event before the check, so that a notification during the check leads to another check.
        self._woken.clear()
        if self._pool.waiting:
            await asyncio.sleep(POLITE_SECONDS)
        if self._may_have_missed:
            await self._give_back_missed()
        self._may_have_missed = True  # if the next line raises an exception, or is cancelled
        queues = self._open_queues()
        job = await self._jobs.take(queues) if queues else None
        self._may_have_missed = False
        if job is not None:
            self._begin(job)
            return
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            # A query may have taken a job although its connection was lost.
            self._may_have_missed = True

    async def _give_back_missed(self) -> None:
        await self._jobs.give_back_missed([job.id for job in self._running.values() if job.id is not None])
        self._may_have_missed = False

    def _open_queues(self) -> list[str]:
        """Return the names of the queues from which this process can take another job."""
        taken = [job.queue for job in self._running.values()]
        return [queue for queue, most in self._limits.items() if taken.count(queue) < most]

    def _begin(self, job: Job) -> None:
        work = asyncio.create_task(self._perform_one(job))
        self._running[work] = job

        def end(_work: asyncio.Task[None]) -> None:
            del self._running[work]
            self._woken.set()

        work.add_done_callback(end)

    async def _perform_one(self, job: Job) -> None:
        if self._perform is None:
            raise RuntimeError("the queue has not been started")
        task_id = str(job.task_kwargs["task_id"])
        # If this process seemed to be dead, it can get a task that it is still performing.
        lock = self._locks.setdefault(task_id, asyncio.Lock())
        retry_s: float | None = None
        try:
            async with lock:
                await self._perform(task_id)
        except asyncio.CancelledError:
            with contextlib.suppress(StoreUnavailable):
                await self._jobs.give_back(job)
            raise
        except Exception:
            retry_s = dict(enumerate(RETRY_SECONDS)).get(job.attempts)
            then = "it is given up" if retry_s is None else f"it is tried again in {retry_s:g} s"
            logger.exception("task %s could not be performed; %s", task_id, then)
        if retry_s is None:
            await _until_answered(lambda: self._jobs.finish(job))
        else:
            after_s = retry_s
            await _until_answered(lambda: self._jobs.give_back(job, after_s=after_s))


async def _until_answered(work: Callable[[], Awaitable[None]]) -> None:
    """Call ``work``. Try again while the database is unavailable."""
    while True:
        try:
            await work()
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return
