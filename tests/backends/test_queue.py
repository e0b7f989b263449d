"""Behaviour of every adapter of WorkQueue."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from emulator.backends.queue.local import LocalWorkers
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.queue.protocol import CLIENT_LEAVING, ClientLeft, Pipeline, WorkerLost
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


def use(
    scenario: Callable[[LocalWorkers], Awaitable[None]],
    count: int = 1,
    warm_up: Pipeline[[], None] = DO_NOTHING,
    variables: Mapping[str, str] | None = None,
) -> None:
    async def run() -> None:
        workers = LocalWorkers(WorkerPool(count, warm_up, variables))
        try:
            await scenario(workers)
        finally:
            await workers.close()

    asyncio.run(run())


def test_a_pipeline_runs_in_a_worker_and_returns_its_result() -> None:
    async def scenario(workers: LocalWorkers) -> None:
        assert await workers.run(POWER, 7, 2) == 49
        assert await workers.run(PROCESS_ID) != os.getpid()

    use(scenario)


def test_workers_get_the_given_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOR_ALL", "theirs")
    monkeypatch.setenv("FOR_WORKERS", "theirs")

    async def scenario(workers: LocalWorkers) -> None:
        assert await workers.run(VARIABLE, "FOR_WORKERS") == "ours"
        assert await workers.run(VARIABLE, "FOR_ALL") == "theirs"

    use(scenario, variables={"FOR_WORKERS": "ours"})
    assert os.environ["FOR_WORKERS"] == "theirs"


def test_a_domain_error_keeps_its_attributes_across_processes() -> None:
    async def scenario(workers: LocalWorkers) -> None:
        with pytest.raises(RefusedImage) as caught:
            await workers.run(REFUSE)
        reason = caught.value.reason
        assert isinstance(reason, FaceTooSmall)
        assert (caught.value.position, reason.fraction, reason.limit) == (1, 0.04, 0.05)

    use(scenario)


def test_work_is_retried_after_its_worker_dies(tmp_path: Path) -> None:
    async def scenario(workers: LocalWorkers) -> None:
        assert await workers.run(DIE_ONCE, tmp_path / "marker") == "alive"

    use(scenario)


def test_work_that_kills_every_worker_fails_and_later_work_still_runs() -> None:
    async def scenario(workers: LocalWorkers) -> None:
        with pytest.raises(WorkerLost):
            await workers.run(DIE)
        assert await workers.run(POWER, 3, 2) == 9

    use(scenario)


def test_is_warm_is_true_after_the_warm_up() -> None:
    async def scenario(workers: LocalWorkers) -> None:
        assert not workers.is_warm
        with pytest.raises(RuntimeError, match="not been started"):
            await workers.wait_until_warm()
        await workers.start(ignore)
        await workers.wait_until_warm()
        assert workers.is_warm

    use(scenario, count=2)


def test_a_failed_warm_up_raises_and_leaves_is_warm_false() -> None:
    async def scenario(workers: LocalWorkers) -> None:
        await workers.start(ignore)
        with pytest.raises(WorkerLost):
            await workers.wait_until_warm()
        assert not workers.is_warm

    use(scenario, warm_up=REFUSE_TO_WARM_UP)


def test_every_enqueued_task_is_performed() -> None:
    async def scenario(workers: LocalWorkers) -> None:
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


def test_tasks_that_wait_do_not_delay_others() -> None:
    """256 tasks wait for hosts that do not answer."""

    async def scenario(workers: LocalWorkers) -> None:
        done, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def perform(task_id: str) -> None:
            if task_id == "quick":
                done.set()
                return
            begun.release()
            await asyncio.Event().wait()

        await workers.start(perform)
        for number in range(256):
            await workers.enqueue(str(number))
        await workers.enqueue("quick")
        async with asyncio.timeout(30):
            await done.wait()
            for _ in range(256):
                await begun.acquire()

    use(scenario)


def test_a_failing_task_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(workers: LocalWorkers) -> None:
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


def test_work_is_not_affected_by_a_client_that_stays() -> None:
    async def scenario(workers: LocalWorkers) -> None:
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
