"""A pool of workers that several queues share."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import NICENESS, WorkerPool
from emulator.backends.queue.protocol import Load, Pipeline, WorkerLost
from emulator.clock import Stopwatch
from emulator.durations import NO_DURATIONS

POWER: Pipeline[[int, int], int] = Pipeline("builtins.pow")
PROCESS_ID: Pipeline[[], int] = Pipeline("os.getpid")
DO_NOTHING: Pipeline[[], None] = Pipeline("chores.do_nothing")
DIE_AT_FIRST: Pipeline[[], None] = Pipeline("chores.die_at_first")
FAIL_ONCE: Pipeline[[Path, str], str] = Pipeline("chores.fail_once")
STOP_ONCE: Pipeline[[Path], str] = Pipeline("chores.stop_once")
NOTE: Pipeline[[Path, str, float, str], int] = Pipeline("chores.note")
HAS_SECOND_THREAD: Pipeline[[Path | None, Path | None], bool] = Pipeline("chores.has_second_thread")
TOUCH_AFTER: Pipeline[[Path, Path], None] = Pipeline("chores.touch_after")
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


@pytest.fixture
def two() -> Iterator[WorkerPool]:
    pool = WorkerPool(2, DO_NOTHING)
    pool.warm_up()
    yield pool
    pool.close()


def refused(reason: str) -> Exception:
    return ValueError(f"refused: {reason}")


def test_work_that_waits_counts_no_deaths(two: WorkerPool, tmp_path: Path) -> None:
    """Workers die again and again, and only what they had begun is tried again."""
    works = [two.submit(FAIL_ONCE, tmp_path / str(number), "die") for number in range(6)]
    waiting = [two.submit(POWER, number, 2) for number in range(60)]
    assert [work.result(TIMEOUT_SECONDS) for work in waiting] == [number**2 for number in range(60)]
    assert {work.result(TIMEOUT_SECONDS) for work in works} == {"alive"}


def test_only_the_work_that_kills_two_workers_fails(
    two: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    deadly: Pipeline[[], None] = Pipeline("chores.die", refused)
    with caplog.at_level(logging.WARNING):
        before = [two.submit(POWER, number, 2) for number in range(20)]
        work = two.submit(deadly)
        after = [two.submit(POWER, number, 2) for number in range(20)]
        with pytest.raises(
            ValueError, match=r"^refused: 2 workers failed; the last one died \(signal SIGKILL\)$"
        ):
            work.result(TIMEOUT_SECONDS)
        assert [each.result(TIMEOUT_SECONDS) for each in [*before, *after]] == [
            *(n**2 for n in range(20))
        ] * 2
    assert [record.message for record in caplog.records] == [
        "a worker process died (signal SIGKILL) during chores.die; it is replaced"
    ] * 2


def test_a_suspect_is_tried_again_alone(two: WorkerPool, tmp_path: Path) -> None:
    first = [two.submit(NOTE, tmp_path, str(number), 0.02, "1") for number in range(20)]
    together = [work.result(TIMEOUT_SECONDS) for work in first]
    assert together[1] == 1
    assert max(together) == 2


def test_a_work_that_takes_too_long_is_ended_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sleep: Pipeline[[float], None] = Pipeline("time.sleep", refused)
    pool = WorkerPool(1, DO_NOTHING, work_seconds=0.3)
    try:
        with caplog.at_level(logging.WARNING):
            hanging = pool.submit(FAIL_ONCE, tmp_path / "sleeps", "sleep")
            stopped = pool.submit(STOP_ONCE, tmp_path / "stops")
            endless = pool.submit(sleep, 1000)
            waiting = pool.submit(POWER, 3, 2)
            assert (hanging.result(TIMEOUT_SECONDS), stopped.result(TIMEOUT_SECONDS)) == ("alive", "alive")
            assert waiting.result(TIMEOUT_SECONDS) == 9
            with pytest.raises(ValueError, match=r"took longer than 0\.3 seconds"):
                endless.result(TIMEOUT_SECONDS)
            assert pool.submit(POWER, 2, 2).result(TIMEOUT_SECONDS) == 4
    finally:
        pool.close()
    assert {"took longer than 0.3 seconds" in record.message for record in caplog.records} == {True}
    assert len(caplog.records) == 4


def test_a_worker_that_dies_before_it_begins_counts_no_try(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    """A stopped worker receives work, but does not begin with it."""
    for _ in range(3):
        worker = pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS)
        os.kill(worker, signal.SIGSTOP)
        with caplog.at_level(logging.WARNING):
            work = pool.submit(POWER, 3, 2)
            os.kill(worker, signal.SIGKILL)
            assert work.result(TIMEOUT_SECONDS) == 9
    assert all(
        text.startswith("a worker process died (signal SIGKILL)") and " during " not in text
        for text in caplog.messages
    )


def test_a_worker_that_was_stopped_while_idle_is_replaced(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("emulator.backends.queue.process.BEGIN_SECONDS", 0.3)
    works = []
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            os.kill(pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS), signal.SIGSTOP)
            works.append(pool.submit(POWER, 3, 2).result(TIMEOUT_SECONDS))
    assert works == [9] * 3
    assert (
        caplog.messages
        == ["a worker process took longer than 0.3 seconds before builtins.pow; it is replaced"] * 3
    )


def test_the_time_to_begin_does_not_limit_work_that_has_begun(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("emulator.backends.queue.process.BEGIN_SECONDS", 0.1)
    sleep: Pipeline[[float], None] = Pipeline("time.sleep", refused)
    pool = WorkerPool(1, DO_NOTHING, work_seconds=0.4)
    try:
        with caplog.at_level(logging.WARNING):
            assert pool.submit(sleep, 0.2).result(TIMEOUT_SECONDS) is None
            assert caplog.messages == []
            with pytest.raises(ValueError, match=r"took longer than 0\.4 seconds"):
                pool.submit(sleep, 1000).result(TIMEOUT_SECONDS)
    finally:
        pool.close()
    text = "a worker process took longer than 0.4 seconds during time.sleep; it is replaced"
    assert caplog.messages == [text] * 2


def test_work_that_is_cancelled_or_withdrawn_is_not_begun(pool: WorkerPool, tmp_path: Path) -> None:
    busy = pool.submit(TOUCH_AFTER, tmp_path / "go", tmp_path / "busy")
    cancelled, withdrawn, last = (
        pool.submit(TOUCH_AFTER, tmp_path / "go", tmp_path / name)
        for name in ("cancelled", "withdrawn", "last")
    )
    assert cancelled.cancel()
    assert pool.withdraw(withdrawn)
    assert not pool.withdraw(withdrawn)
    (tmp_path / "go").touch()
    last.result(TIMEOUT_SECONDS)
    assert not pool.withdraw(busy)
    busy.result(TIMEOUT_SECONDS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "go", "last"]
    assert withdrawn.cancelled()


@pytest.mark.parametrize("how", ["time.sleep", "chores.stop"])
def test_closing_a_pool_ends_busy_and_stopped_workers(how: str) -> None:
    pool = WorkerPool(1, DO_NOTHING)
    worker = pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS)
    endless: Pipeline[[float], None] = Pipeline(how)
    begun = pool.submit(endless, 1000)
    waiting = pool.submit(POWER, 3, 2)
    pool.close()
    for work in (begun, waiting):
        with pytest.raises(WorkerLost, match="the workers are stopped"):
            work.result(0)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_only_work_that_cannot_be_pickled_fails(pool: WorkerPool) -> None:
    with pytest.raises(Exception, match="pickle"):
        pool.submit(Pipeline("builtins.id"), threading.Lock()).result(TIMEOUT_SECONDS)
    with pytest.raises(TypeError, match=r"chores\.return_function: the result cannot be pickled"):
        pool.submit(Pipeline("chores.return_function")).result(TIMEOUT_SECONDS)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pool.submit(Pipeline("chores.raise_unpicklable")).result(TIMEOUT_SECONDS)
    with pytest.raises(ModuleNotFoundError):
        pool.submit(Pipeline("no_such_module.run")).result(TIMEOUT_SECONDS)
    worker = pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS)
    assert pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS) == worker


def test_an_exception_has_the_traceback_of_the_worker(pool: WorkerPool) -> None:
    with pytest.raises(ValueError, match="math domain error") as caught:
        pool.submit(Pipeline("math.sqrt"), -1).result(TIMEOUT_SECONDS)
    (note,) = caught.value.__notes__
    assert "In the worker process" in note
    assert "worker.py" in note


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_000, 20_000_000])
def test_bytes_of_every_size_arrive(pool: WorkerPool, size: int) -> None:
    data = random.Random(size).randbytes(size)  # noqa: S311 - for a test
    same: Pipeline[[Any], Any] = Pipeline("builtins.tuple")
    value = (data, [data, {"a": data}], np.arange(9.0))
    first, (second, others), numbers = pool.submit(same, value).result(TIMEOUT_SECONDS)
    assert first == second == others["a"] == data
    assert type(first) is bytes
    numbers += 1  # arrays can be changed


def test_output_of_a_worker_is_not_taken_for_a_reply(
    pool: WorkerPool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert pool.submit(Pipeline("chores.print_noise")).result(TIMEOUT_SECONDS) == "quiet"
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "noise of a native library" in printed.err


def test_workers_have_a_lower_priority_than_the_server(pool: WorkerPool) -> None:
    niceness: Pipeline[[], int] = Pipeline("chores.niceness")
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert pool.submit(niceness).result(TIMEOUT_SECONDS) == before + NICENESS
    os.kill(pool.submit(PROCESS_ID).result(TIMEOUT_SECONDS), signal.SIGKILL)
    assert pool.submit(niceness).result(TIMEOUT_SECONDS) == before + NICENESS


def test_if_no_worker_can_be_started_work_fails_instead_of_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.backends.queue.pool.RETRY_SECONDS", 0.01)
    pool = WorkerPool(2, Pipeline("chores.refuse_to_warm_up"))
    try:
        with pytest.raises(WorkerLost, match="no worker process can be started: no model"):
            pool.submit(POWER, 3, 2).result(TIMEOUT_SECONDS)
        assert pool.missing == 2
    finally:
        pool.close()


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


def test_the_load_counts_workers_works_and_their_times(pool: WorkerPool, tmp_path: Path) -> None:
    assert pool.load() == Load(workers=1, alive=0, waiting=0, waits=NO_DURATIONS, works={})
    pool.warm_up()
    go, stopwatch = tmp_path / "go", Stopwatch()
    busy = pool.submit(TOUCH_AFTER, go, tmp_path / "busy")
    while pool.waiting:
        time.sleep(0.001)
    waiting = [pool.submit(POWER, 2, 2) for _ in range(3)]
    waited = Stopwatch()
    assert waiting[0].cancel()
    load = pool.load()
    assert (load.alive, load.waiting, load.waits.count, load.works) == (1, 2, 1, {})
    least = waited.elapsed_s()
    go.touch()
    works: list[Future[Any]] = [busy, *waiting[1:]]
    assert not wait(works, TIMEOUT_SECONDS).not_done
    most = stopwatch.elapsed_s()
    load = pool.load()
    assert (load.waiting, load.waits.count) == (0, 3)
    counts = {name: times.count for name, times in load.works.items()}
    assert counts == {TOUCH_AFTER.name: 1, POWER.name: 2}
    # Meanwhile the first work ran, and the two others waited.
    assert least <= load.works[TOUCH_AFTER.name].sum_s
    assert sum(times.sum_s for times in load.works.values()) <= most
    assert 2 * least <= load.waits.sum_s <= 3 * most


def test_work_is_counted_again_after_its_worker_dies(pool: WorkerPool, tmp_path: Path) -> None:
    assert pool.submit(FAIL_ONCE, tmp_path / "marker", "die").result(TIMEOUT_SECONDS) == "alive"
    load = pool.load()
    assert (load.waits.count, load.works[FAIL_ONCE.name].count) == (2, 2)


def test_work_has_a_second_thread_while_the_other_workers_are_idle(tmp_path: Path) -> None:
    pool = WorkerPool(2, DO_NOTHING)
    try:
        pool.warm_up()
        begun, go = tmp_path / "begun", tmp_path / "go"
        first = pool.submit(HAS_SECOND_THREAD, begun, go)
        while not begun.exists():
            time.sleep(0.001)
        second = pool.submit(HAS_SECOND_THREAD, None, None)
        assert not second.result(TIMEOUT_SECONDS)
        go.touch()
        assert first.result(TIMEOUT_SECONDS)
        assert pool.submit(HAS_SECOND_THREAD, None, None).result(TIMEOUT_SECONDS)
    finally:
        pool.close()


def test_the_only_worker_gives_its_work_no_second_thread(pool: WorkerPool) -> None:
    assert not pool.submit(HAS_SECOND_THREAD, None, None).result(TIMEOUT_SECONDS)
