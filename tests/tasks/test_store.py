from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.backends.records import Change, Create
from emulator.backends.records.sqlite import SqliteRecords
from emulator.tasks.store import KIND, TaskStore
from emulator.tasks.task import Outcome, Task, TaskState, hold, note_poll, start

TASKS = [Task(f"t{number}", "me", "succeed", {"say": "hi"}, created_at=5.0) for number in range(250)]
STARTED = [start(task, 9.0) for task in TASKS]


class WatchedRecords(SqliteRecords):
    """Records that count the writes. Before the first one, ``amid`` is awaited."""

    writes = 0

    async def amid(self) -> None:
        pass

    async def write(self, changes: Sequence[Change]) -> bool:
        self.writes += 1
        if self.writes == 1:
            await self.amid()
        return await super().write(changes)


@pytest.fixture
def records(tmp_path: Path) -> WatchedRecords:
    return WatchedRecords(tmp_path / "records.sqlite")


async def create_all(records: SqliteRecords) -> TaskStore:
    await records.open()
    creations = [Create(KIND, task.id, task.credential, task.to_document()) for task in TASKS]
    assert await SqliteRecords.write(records, creations)
    return TaskStore(records)


def test_the_starts_of_many_tasks_are_recorded_in_few_writes(records: WatchedRecords) -> None:
    async def scenario() -> None:
        store = await create_all(records)
        await store.record_starts(STARTED)
        assert await store.list() == STARTED
        assert records.writes == 3
        await store.record_starts(STARTED)
        assert records.writes == 3  # nothing to change
        again = [start(task, 11.0) for task in TASKS[:2]]
        await store.record_starts(again)
        assert (await store.list())[:3] == [*again, STARTED[2]]
        await records.close()

    asyncio.run(scenario())


def test_the_start_of_a_deleted_or_performed_task_is_not_recorded(records: WatchedRecords) -> None:
    async def scenario() -> None:
        store = await create_all(records)
        held = hold(STARTED[1], Outcome({}))
        await records.delete(KIND, "t0")
        await store.change("t1", lambda _: held)
        await store.record_starts([replace(task, started_at=10.0) for task in STARTED[:3]])
        assert (await store.list())[:2] == [held, replace(STARTED[2], started_at=10.0)]
        await records.close()

    asyncio.run(scenario())


def test_a_task_that_is_changed_at_the_same_time_does_not_prevent_the_other_starts(
    records: WatchedRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        store = await create_all(records)

        async def poll() -> None:
            await store.change("t1", lambda task: note_poll(task, 7.0))

        monkeypatch.setattr(records, "amid", poll)
        await store.record_starts(STARTED)
        assert await store.list() == [STARTED[0], note_poll(STARTED[1], 7.0), *STARTED[2:]]
        assert {task.state for task in await store.list()} == {TaskState.RUNNING}
        await records.close()

    asyncio.run(scenario())
