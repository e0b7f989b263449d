"""Behaviour of PostgresQueue that other queues do not have: transactions, several processes and crashes."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from postgres import PostgresServer, execute, kill_connections
from procrastinate.jobs import Job

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.postgres import PostgresQueue, schema
from emulator.backends.queue.postgres.jobs import QUEUES, Jobs
from emulator.backends.queue.protocol import Backlog, Pipeline
from emulator.backends.records import Enqueue, StoreUnreadable
from emulator.backends.unavailable import StoreUnavailable

PROCESS_ID: Pipeline[[], None] = Pipeline("os.getpid")
SLEEP: Pipeline[[float], None] = Pipeline("time.sleep")

RESCUE_SECONDS = 10.0
"""Longest time until another process performs a task of a killed process."""


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition on the database holds."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - the database has no event
            await asyncio.sleep(0.02)


async def open_jobs(url: str) -> Jobs:
    """Return the jobs as another process sees them."""
    jobs = Jobs(url)
    await jobs.open()
    await jobs.register()
    return jobs


def let_die(url: str) -> None:
    """Make all processes appear dead."""
    execute(
        url, "UPDATE face_emulator.procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
    )


def test_a_job_is_added_if_and_only_if_its_transaction_is_committed(postgres_url: str) -> None:
    async def run() -> None:
        jobs = await open_jobs(postgres_url)
        async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
            async with connection.transaction(force_rollback=True):
                await jobs.add(connection, [Enqueue("lost")])
            assert await jobs.backlog() == Backlog(waiting=0, running=0, processes=1)
            async with connection.transaction():
                await jobs.add(connection, [Enqueue("kept"), Enqueue("slow", waits=True)])
                assert (await jobs.backlog()).waiting == 0
            assert (await jobs.backlog()).waiting == 2
            # The state of the connection has not changed.
            path = await (await connection.execute("SHOW search_path")).fetchone()
            assert path == ('"$user", public',)
        kept, slow = await jobs.take(QUEUES), await jobs.take(QUEUES)
        assert kept is not None
        assert slow is not None
        assert [(each.task_kwargs, each.queue) for each in (kept, slow)] == [
            ({"task_id": "kept"}, "tasks"),
            ({"task_id": "slow"}, "waits"),
        ]
        await jobs.close()

    asyncio.run(run())


def test_at_most_one_job_of_a_task_waits_and_at_most_one_runs(postgres_url: str) -> None:
    async def run() -> None:
        jobs = await open_jobs(postgres_url)
        await jobs.add_again("one", waits=False)
        await jobs.add_again("one", waits=False)
        assert (await jobs.backlog()).waiting == 1
        first = await jobs.take(QUEUES)
        assert first is not None
        # Only after the first job has finished is it known whether the task must be performed again.
        await jobs.add_again("one", waits=False)
        assert await jobs.take(QUEUES) is None
        await jobs.finish(first)
        assert await jobs.take(QUEUES) is not None
        await jobs.close()

    asyncio.run(run())


def test_a_task_that_has_the_id_of_a_deleted_one_replaces_its_job(postgres_url: str) -> None:
    """After a reset, the same ids are given again."""

    async def run() -> None:
        jobs = await open_jobs(postgres_url)
        await jobs.add_again("same", waits=False)
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await jobs.add(connection, [Enqueue("same", waits=True)])
        job = await jobs.take(QUEUES)
        assert job is not None
        assert job.queue == "waits"
        assert await jobs.backlog() == Backlog(waiting=0, running=1, processes=1)
        await jobs.close()

    asyncio.run(run())


def test_a_job_of_a_dead_process_is_taken_over_once_by_whoever_is_first(postgres_url: str) -> None:
    async def run() -> None:
        dead, *living = [await open_jobs(postgres_url) for _ in range(4)]
        for number in range(5):
            await dead.add_again(str(number), waits=False)
        taken = [await dead.take(QUEUES) for _ in range(5)]
        assert None not in taken
        assert await living[0].rescue() == 0
        let_die(postgres_url)
        for each in living:
            await each.beat()
        assert sum(await asyncio.gather(*(each.rescue() for each in living))) == 5
        assert await living[0].backlog() == Backlog(waiting=5, running=0, processes=3)
        again = await living[1].take(QUEUES)
        assert again is not None
        # The process was alive after all, and ends the task that another process performs.
        (mine,) = [job for job in taken if job is not None and job.id == again.id]
        await dead.finish(mine)
        await dead.give_back(mine)
        assert (await living[0].backlog()).running == 1
        await living[1].finish(again)
        assert await living[0].backlog() == Backlog(waiting=4, running=0, processes=3)
        for each in (dead, *living):
            await each.close()

    asyncio.run(run())


def test_a_job_of_a_dead_process_is_deleted_if_another_one_of_its_task_waits(postgres_url: str) -> None:
    async def run() -> None:
        dead, living = await open_jobs(postgres_url), await open_jobs(postgres_url)
        await dead.add_again("twice", waits=False)
        await dead.take(QUEUES)
        await living.add_again("twice", waits=False)
        await dead.close()
        assert await living.rescue() == 1
        assert await living.backlog() == Backlog(waiting=1, running=0, processes=1)
        assert await living.take(QUEUES) is not None
        await living.close()

    asyncio.run(run())


def test_a_job_that_a_process_took_without_knowing_it_is_given_back(postgres_url: str) -> None:
    """Its connection was lost before the answer of the database."""

    async def run() -> None:
        jobs, other = await open_jobs(postgres_url), await open_jobs(postgres_url)
        for task_id in ("known", "missed", "of another"):
            await jobs.add_again(task_id, waits=False)
        known, missed = await jobs.take(QUEUES), await jobs.take(QUEUES)
        assert await other.take(QUEUES) is not None
        assert known is not None
        assert known.id is not None
        await jobs.give_back_missed([known.id])
        assert await jobs.backlog() == Backlog(waiting=1, running=2, processes=2)
        again = await other.take(QUEUES)
        assert again is not None
        assert missed is not None
        assert again.id == missed.id
        await jobs.close()
        await other.close()

    asyncio.run(run())


def test_a_process_that_was_forgotten_takes_jobs_again(postgres_url: str) -> None:
    async def run() -> None:
        jobs = await open_jobs(postgres_url)
        execute(postgres_url, "DELETE FROM face_emulator.procrastinate_workers")
        await jobs.add_again("late", waits=False)
        assert await jobs.take(QUEUES) is None
        assert await jobs.take(QUEUES) is not None
        await jobs.close()

    asyncio.run(run())


def test_ten_processes_make_the_tables_once(postgres_url: str) -> None:
    async def run() -> None:
        await asyncio.gather(*(Jobs(postgres_url).open() for _ in range(10)))

    asyncio.run(run())
    last = schema.migrations()[-1]
    assert execute(postgres_url, "SELECT * FROM face_emulator.queue_format") == [(last,)]


def test_tables_of_an_older_procrastinate_are_migrated(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = schema.migrations()
    old = known[: known.index("03.03.00_01_pre_priority_lock_fetch_job.sql") + 1]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA face_emulator; SET search_path = face_emulator")
        for name in old:
            connection.execute(schema.script(f"migrations/{name}").encode())
        connection.execute("CREATE TABLE queue_format (migration text)")
        connection.execute("INSERT INTO queue_format VALUES (%s)", (old[-1],))

    async def run() -> None:
        await asyncio.gather(*(Jobs(postgres_url).open() for _ in range(3)))
        dead, jobs = await open_jobs(postgres_url), await open_jobs(postgres_url)
        await jobs.add_again("task", waits=False)
        await dead.take(QUEUES)
        await dead.close()
        assert await jobs.rescue() == 1
        job = await jobs.take(QUEUES)
        assert job is not None
        await jobs.finish(job)
        await jobs.close()

    asyncio.run(run())
    assert execute(postgres_url, "SELECT * FROM face_emulator.queue_format") == [(known[-1],)]
    monkeypatch.setattr(schema, "migrations", lambda: old)
    with pytest.raises(StoreUnreadable, match=r"03\.04\.00.*use a newer emulator"):
        asyncio.run(Jobs(postgres_url).open())


@contextlib.asynccontextmanager
async def queues(
    url: str, perform: Callable[[int, str], Awaitable[None]], count: int = 2
) -> AsyncIterator[list[PostgresQueue]]:
    """Use several queues with one worker each, like several processes."""
    made = [PostgresQueue(url, WorkerPool(1, PROCESS_ID)) for _ in range(count)]
    try:
        for number, queue in enumerate(made):
            await queue.open()
            await queue.start(partial(perform, number))
            await queue.wait_until_warm()
        yield made
    finally:
        for queue in made:
            await queue.close()


def test_processes_share_the_tasks_and_perform_each_once(postgres_url: str) -> None:
    async def run() -> None:
        performed: list[tuple[int, str]] = []

        async def perform(number: int, task_id: str) -> None:
            await asyncio.sleep(0.01)
            performed.append((number, task_id))

        async with queues(postgres_url, perform) as (first, _):
            async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
                await first.add(connection, [Enqueue(str(number)) for number in range(40)])
            await until(lambda: _is_empty(first))
        assert sorted(int(task_id) for _, task_id in performed) == [*range(40)]
        assert {number for number, _ in performed} == {0, 1}

    asyncio.run(run())


def test_a_process_with_busy_workers_leaves_tasks_to_one_with_a_free_worker(postgres_url: str) -> None:
    async def run() -> None:
        performed: list[int] = []

        async def perform(number: int, _task_id: str) -> None:
            performed.append(number)

        async with queues(postgres_url, perform) as (busy, _):
            calls = [asyncio.create_task(busy.run(SLEEP, 2.0)) for _ in range(2)]
            await asyncio.sleep(0)  # the calls begin
            for number in range(20):
                await busy.enqueue(str(number))
            await until(lambda: _is_empty(busy))
            assert performed.count(1) >= 15
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

    asyncio.run(run())


def test_a_closed_queue_leaves_its_tasks_to_others_at_once(postgres_url: str) -> None:
    async def run() -> None:
        begun = asyncio.Queue[int]()

        first: int | None = None

        async def perform(number: int, _task_id: str) -> None:
            begun.put_nowait(number)
            if first is None:
                await asyncio.Event().wait()

        async with queues(postgres_url, perform) as made:
            await made[0].enqueue("handed over")
            first = await begun.get()
            await made[first].close()
            async with asyncio.timeout(3):
                assert await begun.get() == 1 - first
            await until(lambda: _is_empty(made[1 - first]))

    asyncio.run(run())


@pytest.mark.parametrize(
    "end", [lambda queue: queue.drain(30), lambda queue: queue.close()], ids=["drained", "closed"]
)
def test_a_queue_that_ends_while_it_gets_a_task_leaves_the_task_to_others_at_once(
    end: Callable[[PostgresQueue], Awaitable[None]], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is told to end after the database has given it the task, but before it knows of that."""
    take, given = Jobs.take, asyncio.Event()

    async def take_slowly(jobs: Jobs, queues: Collection[str]) -> Job | None:
        job = await take(jobs, queues)
        if job is not None:
            given.set()
            await asyncio.Event().wait()
        return job

    async def perform(_number: int, task_id: str) -> None:
        raise AssertionError(task_id)

    async def run() -> None:
        other = await open_jobs(postgres_url)
        with monkeypatch.context() as patched:
            patched.setattr(Jobs, "take", take_slowly)
            async with queues(postgres_url, perform, count=1) as (queue,):
                await queue.enqueue("given")
                await given.wait()
                assert await other.backlog() == Backlog(waiting=0, running=1, processes=2)
                await end(queue)
                assert (await other.backlog()).waiting == 1
        assert await other.take(QUEUES) is not None
        await other.close()

    asyncio.run(run())


def test_a_task_that_could_not_be_performed_is_tried_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("emulator.backends.queue.postgres.queue.RETRY_SECONDS", (0.05, 0.05))
    monkeypatch.setattr("emulator.backends.queue.postgres.queue.LOOK_SECONDS", 0.05)

    async def run() -> None:
        tries = 0

        async def perform(_number: int, _task_id: str) -> None:
            nonlocal tries
            tries += 1
            raise ZeroDivisionError

        async with queues(postgres_url, perform, count=1) as (queue,):
            await queue.enqueue("bad")
            await until(lambda: _is_empty(queue))
        assert tries == 3

    asyncio.run(run())
    assert caplog.text.count("task bad could not be performed; it is tried again in 0.05 s") == 2
    assert "task bad could not be performed; it is given up" in caplog.text


def test_tasks_survive_the_end_of_all_connections_and_of_the_database(
    own_postgres_server: PostgresServer,
) -> None:
    url = own_postgres_server.url()

    async def run() -> None:
        performed: list[str] = []

        async def perform(_number: int, task_id: str) -> None:
            await asyncio.sleep(0.02)
            performed.append(task_id)

        async with queues(url, perform) as (first, second):
            for part in range(4):
                tasks = [Enqueue(f"{part}-{number}") for number in range(20)]
                async with await psycopg.AsyncConnection.connect(url) as connection:
                    await first.add(connection, tasks)
                await until(partial(_has_begun, performed, part))
                if part < 3:
                    kill_connections(url)
            await asyncio.to_thread(own_postgres_server.stop)
            with pytest.raises(StoreUnavailable):
                await second.backlog()
            await asyncio.to_thread(own_postgres_server.start)
            await until(lambda: _is_empty(first))
            assert set(performed) == {f"{part}-{number}" for part in range(4) for number in range(20)}
            await second.enqueue("later")
            await until(lambda: _is_empty(second))
            assert "later" in performed

    asyncio.run(run())


async def _has_begun(performed: list[str], part: int) -> bool:
    return any(task_id.startswith(f"{part}-") for task_id in performed)


async def _is_empty(queue: PostgresQueue) -> bool:
    try:
        found = await queue.backlog()
    except StoreUnavailable:
        return False
    return found.waiting == found.running == 0


PROCESS = """
import asyncio, sys
from pathlib import Path
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.postgres import PostgresQueue
from emulator.backends.queue.protocol import Pipeline

async def perform(task_id):
    print("begun", task_id, flush=True)
    while not Path(sys.argv[2]).exists():
        await asyncio.sleep(0.02)
    print("ended", task_id, flush=True)

async def run():
    queue = PostgresQueue(sys.argv[1], WorkerPool(1, Pipeline("os.getpid")))
    await queue.open()
    await queue.start(perform)
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(run())
"""


@contextlib.contextmanager
def process(url: str, go: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that performs tasks, and ends them when the file ``go`` exists."""
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", PROCESS, url, str(go)], stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert _line(running) == "started"
            yield running
        finally:
            running.kill()


def _line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def test_the_tasks_of_killed_processes_are_performed_soon(postgres_url: str, tmp_path: Path) -> None:
    """Both processes are killed, one after the other. A third one is started later."""
    go = tmp_path / "go"

    def enqueue() -> None:
        async def run() -> None:
            jobs = await open_jobs(postgres_url)
            await jobs.add_again("hard", waits=False)
            await jobs.close()

        asyncio.run(run())

    with process(postgres_url, go) as first:
        enqueue()
        assert _line(first) == "begun hard"
        with process(postgres_url, go) as second:
            first.kill()
            killed_at = time.monotonic()
            assert _line(second) == "begun hard"
            assert time.monotonic() - killed_at < RESCUE_SECONDS
            second.kill()
            killed_at = time.monotonic()
    go.touch()
    with process(postgres_url, go) as third:
        assert [_line(third), _line(third)] == ["begun hard", "ended hard"]
        assert time.monotonic() - killed_at < RESCUE_SECONDS
