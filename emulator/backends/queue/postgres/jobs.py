"""The jobs in the database, each of which performs a task."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from procrastinate import exceptions, sql
from procrastinate.jobs import Job
from procrastinate.manager import JobManager, get_channel_for_queues
from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation

from emulator.backends.queue.postgres import schema
from emulator.backends.queue.postgres.connector import Connector, QueueAddress, run
from emulator.backends.queue.protocol import Backlog
from emulator.backends.records import Enqueue
from emulator.backends.unavailable import StoreUnavailable

TASKS: Final = "tasks"
"""Procrastinate queue of tasks that mostly compute."""

WAITS: Final = "waits"
"""Procrastinate queue of tasks that mostly wait for other servers, such as downloads."""

QUEUES: Final = (TASKS, WAITS)

NAME: Final = "perform"
"""Procrastinate's name of the task function, which is the same for all jobs."""

STALLED_SECONDS: Final = 5.5
"""Time without a heartbeat after which a process counts as dead."""

FORGOTTEN_SECONDS: Final = 3600
"""Time without a heartbeat after which the row of a process is deleted."""

RESCUE: Final = 3_309_114_602
"""Number of the advisory lock that a process holds while it rescues jobs of dead processes."""

# If another process has taken over the job, because this one seemed to be dead, nothing is deleted.
_FINISH: Final = (
    "WITH mine AS (SELECT id FROM procrastinate_jobs "
    "WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker)s FOR UPDATE) "
    "SELECT procrastinate_finish_job_v1(id, 'succeeded', true) FROM mine"
)
_MINE: Final = (
    "SELECT id FROM procrastinate_jobs WHERE id = %(id)s AND status = 'doing' AND worker_id = %(worker)s"
)
_WAITING: Final = "SELECT id FROM procrastinate_jobs WHERE queueing_lock = %(id)s AND status = 'todo'"
_MISSED: Final = (
    "SELECT id FROM procrastinate_jobs WHERE worker_id = %(worker)s AND status = 'doing' "
    "AND id <> ALL(%(known)s)"
)
# At most one job of a task can wait, so a job is deleted, not given back, if a second job already waits.
_DELETE_NEEDLESS: Final = (
    "DELETE FROM procrastinate_jobs j WHERE id = ANY(%(ids)s) AND status = 'doing' AND EXISTS "
    "(SELECT FROM procrastinate_jobs o WHERE o.queueing_lock = j.queueing_lock AND o.status = 'todo')"
)
# Procrastinate sends notifications of new jobs only, so this query sends one for each retried job.
_RETRY: Final = (
    "WITH given AS (SELECT id, queue_name FROM procrastinate_jobs "
    "WHERE id = ANY(%(ids)s) AND status = 'doing' FOR UPDATE) "
    "SELECT procrastinate_retry_job_v2(id, now() + make_interval(secs => %(after)s), NULL, NULL, NULL), "
    "pg_notify('procrastinate_queue_v1#' || queue_name, "
    "json_build_object('type', 'job_inserted', 'job_id', id)::text) FROM given"
)
_BACKLOG: Final = (
    "SELECT count(*) FILTER (WHERE status = 'todo') AS waiting, "
    "count(*) FILTER (WHERE status = 'doing') AS running, "
    "(SELECT count(*) FROM procrastinate_workers "
    "WHERE last_heartbeat > now() - make_interval(secs => %(stalled)s)) AS processes "
    "FROM procrastinate_jobs"
)


class Jobs:
    """The jobs of all processes.

    They are jobs of Procrastinate. Both locks of a job are the id of its task, so at most one job of a task
    waits (``queueing_lock``), and at most one is performed (``lock``). When the task has finished, its job is
    deleted.
    """

    def __init__(self, url: str) -> None:
        self._address = QueueAddress(url)
        self._connector = Connector(self._address)
        self._manager = JobManager(self._connector)
        self._worker: int | None = None

    @property
    def place(self) -> str:
        """Description of the database, without the password."""
        return self._address.place

    async def open(self) -> None:
        """Create or migrate the tables. Raise StoreUnreadable if this is not possible."""
        connection = await self._address.connect()
        try:
            await schema.migrate(connection, self.place)
        finally:
            await connection.close()
        await self._connector.open_async()

    async def add(self, connection: AsyncConnection, tasks: Sequence[Enqueue]) -> None:
        """Add jobs in the open transaction of ``connection``.

        A job of a deleted task with the same id may still wait. This method deletes that job, because it
        could be performed before this transaction is committed.
        """
        async with connection.pipeline():
            await connection.execute(f"SET LOCAL search_path = {schema.SCHEMA}")
            await connection.execute(
                "DELETE FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock = ANY(%s)",
                ([task.task_id for task in tasks],),
            )
            jobs = [_job(task.task_id, waits=task.waits) for task in tasks]
            await self._manager.batch_defer_jobs_async(jobs, connection)

    async def add_again(self, task_id: str, *, waits: bool) -> None:
        """Add a job for a task, unless a job of the task already waits."""

        async def work(connection: AsyncConnection) -> None:
            if await run(connection, _WAITING, id=task_id):
                return
            async with connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = on")
                await self._manager.batch_defer_jobs_async([_job(task_id, waits=waits)], connection)

        with contextlib.suppress(exceptions.UniqueViolation):  # another process was faster
            await self._connector.run(work)

    async def register(self) -> None:
        """Register this process as one that takes jobs. Delete the rows of processes that died long ago."""
        await self._manager.prune_stalled_workers(FORGOTTEN_SECONDS)
        self._worker = await self._manager.register_worker()

    async def beat(self) -> None:
        """Store a heartbeat of this process."""
        await self._manager.update_heartbeat(self._me)

    async def take(self, queues: Collection[str]) -> Job | None:
        """Take the job that has waited for longest, and return it."""
        try:
            return await self._manager.fetch_job([*queues], self._me)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, ForeignKeyViolation):
                raise
            # The row of this process was deleted, because the database was unavailable for too long.
            await self.register()
            return None

    async def finish(self, job: Job) -> None:
        """Delete a job whose task has been performed."""
        await self._connector.execute_query_async(_FINISH, id=job.id, worker=self._me)

    async def give_back(self, job: Job, *, after_s: float = 0.0) -> None:
        """Put a job of this process back into the queue. It can be taken after ``after_s`` seconds."""

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                mine = await run(connection, _MINE, id=job.id, worker=self._me)
                await _retry(connection, mine, after_s)

        with contextlib.suppress(exceptions.UniqueViolation):
            await self._connector.run(work)

    async def give_back_missed(self, known: Sequence[int]) -> None:
        """Put the jobs of this process back into the queue, except for those whose ids are in ``known``.

        If the connection is lost while this process takes a job, the database can record the job as taken,
        although this process has not received it.
        """

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                missed = await run(connection, _MISSED, worker=self._me, known=[*known])
                if missed:
                    await _retry(connection, missed, 0.0)

        with contextlib.suppress(exceptions.UniqueViolation):
            await self._connector.run(work)

    async def rescue(self) -> int:
        """Put the jobs of dead processes back into the queue. Return the number of these jobs.

        Only one process does this at a time. A second one could put back a job that was just taken again.
        """

        async def work(connection: AsyncConnection) -> int:
            async with connection.transaction():
                (found,) = await run(connection, "SELECT pg_try_advisory_xact_lock(%(n)s) AS ok", n=RESCUE)
                if not found["ok"]:
                    return 0
                stalled = await run(
                    connection,
                    sql.queries["select_stalled_jobs_by_heartbeat"],
                    queue=None,
                    task_name=NAME,
                    seconds_since_heartbeat=STALLED_SECONDS,
                )
                if stalled:
                    await _retry(connection, stalled, 0.0)
                return len(stalled)

        try:
            return await self._connector.run(work)
        except exceptions.UniqueViolation:
            return 0  # a new job of the task was added in the meantime; the next rescue deletes the old one

    async def backlog(self) -> Backlog:
        """Return the number of jobs, and of the processes that take them."""
        row = await self._connector.execute_query_one_async(_BACKLOG, stalled=STALLED_SECONDS)
        return Backlog(**row)

    async def listen(self, wake: Callable[[str | None], None]) -> None:
        """Call ``wake`` with the queue of each new job, until the connection is lost.

        At first, ``wake`` is called with None, because jobs may already wait in any queue.
        """
        channels = dict(zip(get_channel_for_queues(QUEUES), QUEUES, strict=True))
        await self._connector.listen(
            channels, lambda channel: wake(None if channel is None else channels[channel])
        )

    async def close(self) -> None:
        """Unregister this process, so that its remaining jobs can be rescued. Close the connections."""
        if self._worker is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._manager.unregister_worker(self._worker)
            self._worker = None
        await self._connector.close_async()

    @property
    def _me(self) -> int:
        if self._worker is None:
            raise RuntimeError("the queue has not been started")
        return self._worker


def _job(task_id: str, *, waits: bool) -> Job:
    return Job(
        queue=WAITS if waits else TASKS,
        lock=task_id,
        queueing_lock=task_id,
        task_name=NAME,
        task_kwargs={"task_id": task_id},
    )


async def _retry(connection: AsyncConnection, jobs: Sequence[Mapping[str, Any]], after_s: float) -> None:
    """Put jobs that processes have taken back into the queue, in the open transaction of ``connection``."""
    ids = [job["id"] for job in jobs]
    await run(connection, _DELETE_NEEDLESS, ids=ids)
    await run(connection, _RETRY, ids=ids, after=after_s)
