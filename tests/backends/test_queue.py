"""Behaviour of every adapter of WorkQueue."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from emulator.backends.queue.local import MOST_BEGUN, LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.postgres import PostgresQueue
from emulator.backends.queue.protocol import (
    CLIENT_LEAVING,
    Backlog,
    ClientLeft,
    Pipeline,
    WorkerLost,
    WorkQueue,
)
from emulator.face.errors import FaceTooSmall, ImageTooLarge, NoFaceFound, RefusedImage

POWER: Pipeline[[int, int], int] = Pipeline("builtins.pow")
PROCESS_ID: Pipeline[[], int] = Pipeline("os.getpid")
VARIABLE: Pipeline[[str], str | None] = Pipeline("os.getenv")
REFUSE: Pipeline[[], None] = Pipeline("chores.refuse")
DIE: Pipeline[[], None] = Pipeline("chores.die")
DIE_ONCE: Pipeline[[Path], str] = Pipeline("chores.die_once")
DO_NOTHING: Pipeline[[], None] = Pipeline("chores.do_nothing")
REFUSE_TO_WARM_UP: Pipeline[[], None] = Pipeline("chores.refuse_to_warm_up")


@pytest.fixture(autouse=True)
def _chores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import ``chores``: they inherit the module search path of this process."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


async def ignore(task_id: str) -> None:
    raise AssertionError(task_id)


class Use(Protocol):
    """Runs a scenario with a queue, and closes the queue."""

    def __call__(
        self,
        scenario: Callable[[WorkQueue], Awaitable[None]],
        count: int = 1,
        warm_up: Pipeline[[], None] = DO_NOTHING,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Run a scenario with a queue that has ``count`` workers."""


@pytest.fixture(params=["local", "postgres"])
def use(request: pytest.FixtureRequest) -> Use:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None

    async def make(pool: WorkerPool) -> WorkQueue:
        if url is None:
            return LocalWorkers(pool)
        queue = PostgresQueue(url, pool)
        await queue.open()
        return queue

    def use(
        scenario: Callable[[WorkQueue], Awaitable[None]],
        count: int = 1,
        warm_up: Pipeline[[], None] = DO_NOTHING,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        async def run() -> None:
            queue = await make(WorkerPool(count, warm_up, variables))
            try:
                await scenario(queue)
            finally:
                await queue.close()

        asyncio.run(run())

    return use


def test_a_pipeline_runs_in_a_worker_and_returns_its_result(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        assert await workers.run(POWER, 7, 2) == 49
        assert await workers.run(PROCESS_ID) != os.getpid()

    use(scenario)


def test_workers_get_the_given_environment_variables(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOR_ALL", "theirs")
    monkeypatch.setenv("FOR_WORKERS", "theirs")

    async def scenario(workers: WorkQueue) -> None:
        assert await workers.run(VARIABLE, "FOR_WORKERS") == "ours"
        assert await workers.run(VARIABLE, "FOR_ALL") == "theirs"

    use(scenario, variables={"FOR_WORKERS": "ours"})
    assert os.environ["FOR_WORKERS"] == "theirs"


def test_a_domain_error_keeps_its_attributes_across_processes(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        with pytest.raises(RefusedImage) as caught:
            await workers.run(REFUSE)
        reason = caught.value.reason
        assert isinstance(reason, FaceTooSmall)
        assert (caught.value.position, reason.fraction, reason.limit) == (1, 0.04, 0.05)

    use(scenario)


def test_an_error_that_was_handled_is_freed_without_the_garbage_collector(use: Use) -> None:
    """Its traceback has a frame with the arguments of the pipeline, such as a picture."""

    async def scenario(workers: WorkQueue) -> None:
        try:
            await workers.run(REFUSE)
        except RefusedImage as error:
            seen = weakref.ref(error)
        async with asyncio.timeout(10):
            while seen() is not None:  # noqa: ASYNC110 - the worker's thread sends no event
                await asyncio.sleep(0.001)

    gc.disable()
    try:
        use(scenario)
    finally:
        gc.enable()


def test_work_is_retried_after_its_worker_dies(use: Use, tmp_path: Path) -> None:
    async def scenario(workers: WorkQueue) -> None:
        assert await workers.run(DIE_ONCE, tmp_path / "marker") == "alive"

    use(scenario)


def test_work_that_kills_every_worker_fails_and_later_work_still_runs(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        with pytest.raises(WorkerLost):
            await workers.run(DIE)
        assert await workers.run(POWER, 3, 2) == 9

    use(scenario)


def test_the_workers_are_warm_after_the_warm_up(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        assert workers.why_not_warm is not None
        with pytest.raises(RuntimeError, match="not been started"):
            await workers.wait_until_warm()
        await workers.start(ignore)
        await workers.wait_until_warm()
        assert workers.why_not_warm is None

    use(scenario, count=2)


def test_a_failed_warm_up_raises_and_leaves_the_workers_cold(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        await workers.start(ignore)
        with pytest.raises(WorkerLost):
            await workers.wait_until_warm()
        assert workers.why_not_warm is not None

    use(scenario, warm_up=REFUSE_TO_WARM_UP)


def test_every_enqueued_task_is_performed(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        performed: list[str] = []
        done = asyncio.Event()

        async def perform(task_id: str) -> None:
            performed.append(task_id)
            if len(performed) == 3:
                done.set()

        await workers.start(perform)
        for task_id in "abc":
            await workers.enqueue(task_id)
        await done.wait()
        assert sorted(performed) == ["a", "b", "c"]

    use(scenario, count=2)


def test_tasks_that_wait_do_not_delay_others(use: Use) -> None:
    """256 tasks wait for hosts that do not answer. At least 64 of them begin."""

    async def scenario(workers: WorkQueue) -> None:
        done, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def perform(task_id: str) -> None:
            if task_id == "quick":
                done.set()
                return
            begun.release()
            await asyncio.Event().wait()

        await workers.start(perform)
        for number in range(256):
            await workers.enqueue(str(number), waits=True)
        await workers.enqueue("quick")
        async with asyncio.timeout(30):
            await done.wait()
            for _ in range(64):
                await begun.acquire()

    use(scenario)


def test_a_local_queue_performs_64_tasks_at_once_in_their_order_and_each_once() -> None:
    async def run() -> None:
        workers = LocalWorkers(WorkerPool(1, DO_NOTHING))
        begun, ended, go = list[str](), list[str](), asyncio.Semaphore(0)

        async def perform(task_id: str) -> None:
            begun.append(task_id)
            await go.acquire()
            ended.append(task_id)
            if len(ended) == len(names):
                done.set()

        done, names = asyncio.Event(), [str(number) for number in range(200)]
        await workers.start(perform)
        for _ in range(2):  # a task that waits is not enqueued twice
            for name in names[MOST_BEGUN:] if begun else names:
                await workers.enqueue(name)
            await asyncio.sleep(0)
            assert begun == names[:MOST_BEGUN]
            assert await workers.backlog() == Backlog(
                waiting=len(names) - MOST_BEGUN, running=MOST_BEGUN, processes=1
            )
        for _ in names:
            go.release()
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await done.wait()
        assert begun == ended == names
        await asyncio.sleep(0)
        assert await workers.backlog() == Backlog(waiting=0, running=0, processes=1)
        await workers.close()

    asyncio.run(run())


def test_tasks_that_were_enqueued_before_the_start_are_performed(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        done = asyncio.Event()

        async def perform(task_id: str) -> None:
            assert task_id == "early"
            done.set()

        await workers.enqueue("early")
        assert (await workers.backlog()).waiting == 1
        await workers.start(perform)
        async with asyncio.timeout(30):
            await done.wait()

    use(scenario)


def test_the_backlog_counts_the_tasks_that_are_performed(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        begun, go = asyncio.Semaphore(0), asyncio.Event()

        async def perform(_task_id: str) -> None:
            begun.release()
            await go.wait()

        await workers.start(perform)
        for task_id in "ab":
            await workers.enqueue(task_id)
        for _ in "ab":
            await begun.acquire()
        assert await workers.backlog() == Backlog(waiting=0, running=2, processes=1)
        go.set()
        async with asyncio.timeout(30):
            while (await workers.backlog()).running:  # noqa: ASYNC110 - the database has no event
                await asyncio.sleep(0.01)

    use(scenario)


def test_a_drained_queue_ends_what_it_has_begun_and_begins_no_more(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        begun, go, performed = asyncio.Event(), asyncio.Event(), list[str]()

        async def perform(task_id: str) -> None:
            begun.set()
            await go.wait()
            performed.append(task_id)

        await workers.start(perform)
        await workers.enqueue("first")
        await begun.wait()
        draining = asyncio.create_task(workers.drain(30))
        await asyncio.sleep(0)
        await workers.enqueue("second")
        assert not draining.done()
        go.set()
        await draining
        assert performed == ["first"]
        assert (await workers.backlog()).waiting == 1

    use(scenario)


def test_a_queue_that_is_closed_cancels_its_tasks(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        begun, ended = asyncio.Event(), list[str]()

        async def perform(task_id: str) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(task_id)

        await workers.start(perform)
        await workers.enqueue("long")
        await begun.wait()
        await workers.drain(0)
        await workers.close()
        assert ended == ["long"]
        with pytest.raises(WorkerLost):
            await workers.run(POWER, 7, 2)

    use(scenario)


def test_a_failing_task_does_not_stop_the_next(use: Use, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(workers: WorkQueue) -> None:
        done = asyncio.Event()

        async def perform(task_id: str) -> None:
            if task_id == "bad":
                raise ZeroDivisionError
            done.set()

        await workers.start(perform)
        await workers.enqueue("bad")
        await workers.enqueue("good")
        async with asyncio.timeout(30):
            await done.wait()

    use(scenario)
    assert "task bad could not be performed" in caplog.text


@pytest.mark.parametrize(
    "error", [NoFaceFound(), ImageTooLarge(9, 8, 7), RefusedImage(2, NoFaceFound())], ids=repr
)
def test_errors_keep_their_text_across_processes(error: Exception) -> None:
    import pickle  # noqa: PLC0415 - the queue's serialisation, needed only here

    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes


def test_work_whose_client_leaves_while_it_waits_is_not_begun(
    tmp_path: Path, eventually: Callable[[Callable[[], object]], object]
) -> None:
    touch_after: Pipeline[[Path, Path], None] = Pipeline("chores.touch_after")

    async def run() -> None:
        pool = WorkerPool(1, DO_NOTHING)
        workers = LocalWorkers(pool)
        left = asyncio.Event()

        async def leaving() -> None:
            await left.wait()

        async def call(marker: str) -> None:
            CLIENT_LEAVING.set(leaving)
            await workers.run(touch_after, tmp_path / "go", tmp_path / marker)

        begun = asyncio.create_task(call("begun"))
        await asyncio.sleep(0)
        await asyncio.to_thread(eventually, lambda: pool.waiting == 0)
        waiting = asyncio.create_task(call("waiting"))
        await asyncio.sleep(0)
        left.set()
        with pytest.raises(ClientLeft):
            await waiting
        # A client that has already left is not waited for at all.
        with pytest.raises(ClientLeft):
            await call("late")
        (tmp_path / "go").touch()
        await begun
        await workers.close()

    asyncio.run(run())
    assert {path.name for path in tmp_path.iterdir()} == {"go", "begun"}


def test_work_is_not_affected_by_a_client_that_stays(use: Use) -> None:
    async def scenario(workers: WorkQueue) -> None:
        ended: list[str] = []

        async def leaving() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("watch")

        CLIENT_LEAVING.set(leaving)
        assert await workers.run(POWER, 3, 2) == 9
        with pytest.raises(RefusedImage):
            await workers.run(REFUSE)
        await asyncio.sleep(0)
        assert ended == ["watch", "watch"]

    use(scenario)


SERVER = """
import asyncio
from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import Pipeline

async def run():
    workers = LocalWorkers(WorkerPool(2, Pipeline("os.getpid")))
    print(await workers.run(Pipeline("os.getpid")), flush=True)
    await workers.run({work})
    await asyncio.sleep(1000)

asyncio.run(run())
"""


@pytest.mark.parametrize(
    "work", ['Pipeline("math.sqrt"), 1', 'Pipeline("time.sleep"), 1000'], ids=["idle", "busy"]
)
def test_workers_exit_when_their_server_is_killed(work: str) -> None:
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", SERVER.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) != process.pid
        process.kill()
        try:
            # The workers share stderr, which closes when the last of them exits.
            assert process.communicate(timeout=30)[0] == ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
