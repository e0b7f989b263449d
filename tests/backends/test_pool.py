"""A pool of workers that several queues share."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Pipeline, WorkerLost

POWER: Pipeline[[int, int], int] = Pipeline("builtins.pow")
PROCESS_ID: Pipeline[[], int] = Pipeline("os.getpid")
DO_NOTHING: Pipeline[[], None] = Pipeline("chores.do_nothing")
DIE_AT_FIRST: Pipeline[[], None] = Pipeline("chores.die_at_first")
DIE_WHEN_TOLD: Pipeline[[Path, Path], None] = Pipeline("chores.die_when_told")

TIMEOUT_SECONDS = 30


@pytest.fixture(autouse=True)
def _chores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import ``chores``: they inherit the module search path of this process."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1, DO_NOTHING)
    yield pool
    pool.close()


async def ignore(task_id: str) -> None:
    raise AssertionError(task_id)


def test_closing_a_queue_keeps_a_pool_that_it_does_not_own(pool: WorkerPool) -> None:
    async def run() -> int:
        workers = LocalWorkers(pool, owns_pool=False)
        await workers.start(ignore)
        await workers.wait_until_warm()
        worker = await workers.run(PROCESS_ID)
        await workers.close()
        return worker

    assert asyncio.run(run()) == asyncio.run(run())
    assert pool.submit(POWER, 3, 2).result(TIMEOUT_SECONDS) == 9


def test_closing_a_queue_stops_the_pool_that_it_owns(pool: WorkerPool) -> None:
    async def run() -> None:
        workers = LocalWorkers(pool)
        await workers.run(PROCESS_ID)
        await workers.close()
        with pytest.raises(WorkerLost, match="the workers are stopped"):
            await workers.run(PROCESS_ID)
        with pytest.raises(WorkerLost, match="the workers are stopped"):
            pool.warm_up()

    asyncio.run(run())


def test_two_queues_in_different_threads_share_one_pool(pool: WorkerPool) -> None:
    met = threading.Barrier(2)

    async def run(name: str) -> tuple[int, list[int], list[str]]:
        workers = LocalWorkers(pool, owns_pool=False)
        performed: list[str] = []
        done = asyncio.Event()

        async def perform(task_id: str) -> None:
            await workers.run(POWER, 2, 2)
            performed.append(task_id)
            if len(performed) == 5:
                done.set()

        await workers.start(perform)
        await workers.wait_until_warm()
        # Neither queue is closed before the other has started.
        await asyncio.to_thread(met.wait, TIMEOUT_SECONDS)
        for number in range(5):
            await workers.enqueue(f"{name}{number}")
        powers = await asyncio.gather(*(workers.run(POWER, number, 2) for number in range(5)))
        worker = await workers.run(PROCESS_ID)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await done.wait()
        await workers.close()
        return worker, powers, sorted(performed)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda name: asyncio.run(run(name)), "ab")
    assert first[0] == second[0] != os.getpid()
    assert first[1] == second[1] == [0, 1, 4, 9, 16]
    assert first[2] == [f"a{number}" for number in range(5)]
    assert second[2] == [f"b{number}" for number in range(5)]


def test_a_worker_killed_by_the_work_of_one_queue_is_replaced_for_both(
    pool: WorkerPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        deadly = LocalWorkers(pool, owns_pool=False)
        other = LocalWorkers(pool, owns_pool=False)
        before = await other.run(PROCESS_ID)
        dying = asyncio.create_task(deadly.run(DIE_WHEN_TOLD, tmp_path / "go", tmp_path / "died"))
        # The other queue's work waits behind the work that kills the worker, and is retried.
        waiting = asyncio.create_task(other.run(PROCESS_ID))
        await asyncio.sleep(0)
        (tmp_path / "go").touch()
        await dying
        after = await waiting
        assert after != before
        assert await deadly.run(PROCESS_ID) == await other.run(PROCESS_ID) == after

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    # The second queue to notice finds the worker replaced already, and logs nothing.
    assert [record.message.startswith("a worker process died") for record in caplog.records] == [True]


def test_a_worker_that_dies_while_idle_is_replaced(
    pool: WorkerPool, eventually: Callable[[Callable[[], object]], object]
) -> None:
    pool.warm_up()
    before = pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: pool.missing == 1)
    # It is replaced without any work to do.
    eventually(lambda: pool.missing == 0)
    assert pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS) != before


def test_a_worker_that_dies_during_the_warm_up_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKER", str(tmp_path / "marker"))
    pool = WorkerPool(1, DIE_AT_FIRST)
    try:
        pool.warm_up()
        assert pool.submit(POWER, 3, 2).result(TIMEOUT_SECONDS) == 9
    finally:
        pool.close()
    assert (tmp_path / "marker").exists()
