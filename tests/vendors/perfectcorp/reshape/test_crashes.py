"""If a crash interrupts a task at any step, the next process finishes the task and repeats nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.records import Create
from emulator.backends.records.sqlite import SqliteRecords
from emulator.face.errors import NoFaceFound
from emulator.ids import SeededIds
from emulator.pipelines.options import ReshapedPicture
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Task
from emulator.vendors.perfectcorp.kinds import RESHAPE
from emulator.vendors.perfectcorp.reshape.jobs import ACTIONS, Engine
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.units.ledger import Units
from emulator.world.lifetimes import Lifetimes
from emulator.world.meter import Meter
from emulator.world.world import World

SETTINGS = PerfectCorpSettings(units=3, reshape_units=2)
SPENDING = frozenset({"create_reshape"})
RESERVED = ("me", "t", "create_reshape", ACTIONS[RESHAPE], 2)
REQUEST = {
    "file_id": None,
    "url": None,
    "object": "upload",
    "body": {"version": "1.0", "features": {}, "global": {}},
}


class Crash(BaseException):
    """A simulated crash. It is not an ``Exception``, so that the code does not catch it."""


class Process:
    """A simulated process. It counts its steps, such as storing a record, and crashes at ``last_step``."""

    def __init__(self, last_step: int | None) -> None:
        self.steps: list[str] = []
        self._last_step = last_step
        self.has_crashed = False

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self._last_step is not None and len(self.steps) >= self._last_step:
            self.has_crashed = True
            raise Crash(name)


class CrashingProxy:
    """A wrapper of an object. The process can crash before and after each call of the methods ``names``."""

    def __init__(self, target: object, process: Process, names: set[str]) -> None:
        self._target = target
        self._process = process
        self._names = names

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._target, name)
        if name not in self._names:
            return call

        async def crashing(*args: Any, **kwargs: Any) -> Any:
            self._process.step(f"before {name}")
            result = await call(*args, **kwargs)
            self._process.step(f"after {name}")
            return result

        return crashing


class Clock:
    """A clock that does not move, so that the states of different processes can be equal."""

    def now(self, _credential: str = "") -> float:
        return 9.0


class Queue:
    """A queue that records the tasks, and returns a given result instead of computing it."""

    is_in_database = False

    def __init__(self, result: ReshapedPicture | Exception) -> None:
        self.enqueued: list[str] = []
        self._result = result

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        pass

    async def enqueue(self, task_id: str, **_: bool) -> None:
        self.enqueued.append(task_id)

    async def run(self, *_: object) -> ReshapedPicture:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


RESULTS: dict[str, ReshapedPicture | Exception] = {
    "success": ReshapedPicture(b"\xff\xd8 result", "jpeg", 20, 10),
    "failure": NoFaceFound(),
}


class SilentAnnouncer:
    """An announcer that sends no webhooks."""

    async def prepared(self, _task: Task) -> tuple[()]:
        """Return no deliveries."""
        return ()

    async def announce(self, task: Task) -> None:
        """Do nothing."""


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteRecords]:
    """Open the records of a folder, and close them at the end of the block, which ends their thread."""
    records = SqliteRecords(folder / "records.sqlite3")
    await records.open()
    try:
        yield records
    finally:
        await records.close()


async def run_process(
    folder: Path, result: ReshapedPicture | Exception, process: Process, *, is_first: bool
) -> object:
    """Perform all tasks, and return everything that is stored, or None if the process crashed."""
    blobs, queue = FolderBlobs(folder / "blobs"), Queue(result)
    async with opened(folder) as records:
        crashing = CrashingProxy(
            records, process, {"create", "put", "replace", "delete", "count_up", "write"}
        )
        runner = TaskRunner(crashing, cast("Any", queue), cast("Any", Clock()))
        world = cast(
            "World",
            SimpleNamespace(
                clock=Clock(),
                ids=SeededIds(0, records.count_up),
                records=crashing,
                blobs=CrashingProxy(blobs, process, {"put", "delete"}),
                queue=CrashingProxy(queue, process, {"run"}),
                meter=Meter(crashing, {}),
                lifetimes=Lifetimes(records, {}, {}),
            ),
        )
        units = Units(world, SETTINGS, lambda: SPENDING)
        runner.register(Engine(world, SETTINGS, units, cast("Any", SilentAnnouncer())).jobs())
        if is_first:
            whole = {**vars(world), "records": records, "meter": Meter(records, {})}
            units_at_start = Units(cast("World", SimpleNamespace(**whole)), SETTINGS, lambda: SPENDING)
            reserved = await units_at_start.reservation(*RESERVED)
            await blobs.put("upload", b"photo", "me")
            task = Task("t", "me", RESHAPE, REQUEST, created_at=5.0)
            assert await records.write(
                [Create("task", task.id, task.credential, task.to_document()), *reserved]
            )
        with contextlib.suppress(Crash):
            await runner.start()
            for task_id in queue.enqueued:
                await runner.perform(task_id)
        if process.has_crashed:
            return None
        stored = {found.key: (found.credential, await blobs.get(found.key)) for found in await blobs.keys()}
        return [entry async for entry in records.export()], stored


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_after_a_crash_at_any_step_the_next_process_reaches_the_same_state(
    tmp_path: Path, result: ReshapedPicture | Exception
) -> None:
    whole = Process(None)
    expected = asyncio.run(run_process(tmp_path / "whole", result, whole, is_first=True))
    assert expected is not None
    # The steps: the result is computed and stored, and the task ends. Its units are spent and billed, or
    # refunded, in the same write. The work is short, so the start of the task is recorded with its end.
    assert [step.removeprefix("before ") for step in whole.steps if step.startswith("before ")] == [
        "run",
        *(["put"] if isinstance(result, ReshapedPicture) else []),
        "write",
    ]
    for last_step in range(1, len(whole.steps) + 1):
        folder = tmp_path / str(last_step)
        # Two processes crash at the same step, the second one during the recovery. The third one does not.
        for is_first in (True, False):
            assert asyncio.run(run_process(folder, result, Process(last_step), is_first=is_first)) in (
                None,
                expected,
            )
        found = asyncio.run(run_process(folder, result, Process(None), is_first=False))
        assert found == expected, whole.steps[:last_step]


def test_a_success_spends_its_units_and_a_failure_refunds_them_once(tmp_path: Path) -> None:
    for name, left in (("success", 1), ("failure", 3)):
        folder = tmp_path / name
        asyncio.run(run_process(folder, RESULTS[name], Process(None), is_first=True))
        assert asyncio.run(amount_left(folder)) == left


async def amount_left(folder: Path) -> int:
    async with opened(folder) as records:
        return sum(await amounts_left(records))


async def amounts_left(records: SqliteRecords) -> list[int]:
    return [
        grant.document["amount"] - await records.count(f"perfectcorp/grant/{grant.document['id']}", "me")
        for grant in await records.find("perfectcorp/grant")
    ]


async def create(folder: Path, process: Process) -> None:
    """Create a task in a process that can crash, and check that units and costs match the task."""
    async with opened(folder) as records:
        crashing = CrashingProxy(records, process, {"create", "put", "replace", "count_up", "write"})
        ids = SeededIds(0, crashing.count_up)
        parts: dict[str, Any] = {"clock": Clock(), "ids": ids, "records": crashing}
        parts |= {"meter": Meter(crashing, {}), "lifetimes": Lifetimes(records, {}, {})}
        units = Units(cast("World", SimpleNamespace(**parts)), SETTINGS, lambda: SPENDING)
        tasks = TaskRunner(crashing, cast("Any", Queue(NoFaceFound())), cast("Any", Clock()))
        engine = Engine(
            cast("World", SimpleNamespace(**parts)), SETTINGS, units, cast("Any", SilentAnnouncer())
        )
        tasks.register(engine.jobs())
        with contextlib.suppress(Crash):
            await tasks.create(
                Task("t", "me", RESHAPE, REQUEST, created_at=5.0),
                changes=lambda: units.reservation(*RESERVED),
            )
        exists = await records.get("task", "t") is not None
        amounts = await amounts_left(records)
        costs = [(cost.calls, cost.units) for cost in await Meter(records, {}).costs()]
        parts["records"] = records
        again = Units(cast("World", SimpleNamespace(**parts)), SETTINGS, lambda: SPENDING)
        history = [task_id for task_id, _ in await again.history("me")]
        assert (amounts, costs, history) == (
            ([1], [(1, 2)], ["t"]) if exists else (amounts and [3], [], [])
        ), process.steps


def test_after_a_crash_during_a_creation_units_and_costs_match_the_task(tmp_path: Path) -> None:
    whole = Process(None)
    asyncio.run(create(tmp_path / "whole", whole))
    assert [step.removeprefix("before ") for step in whole.steps if step.startswith("before ")] == [
        "count_up",
        "create",
        "write",
    ]
    for last_step in range(1, len(whole.steps) + 1):
        asyncio.run(create(tmp_path / str(last_step), Process(last_step)))
