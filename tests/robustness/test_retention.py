"""Old state is deleted while the server runs, by the clock of its credential."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated import Emulated

from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.tasks.progression import MANUAL
from emulator.tasks.task import Outcome, Task, finish, hold, start
from emulator.vendors.perfectcorp.files.store import result_key
from emulator.vendors.perfectcorp.kinds import RESHAPE
from emulator.webhooks.delivery import Delivery, DeliveryState, Message
from emulator.world.journal.stored import KIND as JOURNAL
from emulator.world.retention import Retention

DAY = 86400.0
TASKS = 200
KINDS = ("task", "perfectcorp/file", "perfectcorp/object", "webhook/delivery", "metahuman/file", JOURNAL)
OLD, YOUNG = "sk-old", "sk-young"


@pytest.fixture
def stored(tmp_path: Path, workers: WorkerPool) -> Iterator[tuple[Emulated, Path]]:
    emulated = Emulated(Settings(data_dir=tmp_path), workers)
    emulated.start()
    yield emulated, tmp_path
    emulated.stop()


async def fill(world: Any, credential: str, count: int) -> None:
    """Store finished tasks with their files, results and deliveries, and one that runs."""
    now = world.clock.now(credential)
    for number in range(count):
        name = f"{credential}-{number}"
        object_key = f"ttl30/{name}.jpg"
        file = {"object": object_key, "created_at": now}
        await world.records.create("perfectcorp/file", name, credential, file)
        await world.records.create("perfectcorp/object", object_key, credential, {})
        await world.blobs.put(object_key, bytes(1000), credential)
        request = {"file_id": name, "object": object_key, "url": None, "body": {"a": "b" * 500}}
        task = start(Task(name, credential, RESHAPE, request, now, MANUAL), now)
        if number:
            key = result_key(name, "jpg")
            outcome = Outcome({"object": key, "timed": 1, "timed_apply": 1})
            task = finish(hold(task, outcome), outcome, now)
            await world.blobs.put(key, bytes(1000), credential)
        await world.records.create("task", name, credential, task.to_document())
        delivery = Delivery(
            name, credential, "perfectcorp", name, "ep", "http://127.0.0.1:9", Message("a", b"b"),
            DeliveryState.DELIVERED if number else DeliveryState.HELD, now,
        )  # fmt: skip
        await world.records.create("webhook/delivery", name, credential, delivery.to_document())
        await asyncio.sleep(0)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_folder_shrinks_400_days_later_without_blocking(stored: tuple[Emulated, Path]) -> None:
    emulated, folder = stored
    world = emulated.world
    emulated.run(fill(world, OLD, TASKS))
    emulated.run(fill(world, YOUNG, 3))
    form = {"token": OLD}
    for _ in range(50):
        emulated.send("POST", "/auth/token", data={"mail": "a@example.com", **form})
        for key in (OLD, YOUNG):
            body = json.dumps({"files": [], "padding": "x" * 5000})
            emulated.send("POST", "/s2s/v2.0/file", content=body, headers={"Authorization": f"Bearer {key}"})
    emulated.run(world.journal.flush())
    retention = Retention(world, 365)
    emulated.run(retention.purge())
    before = size(folder)
    clock = {"seconds": 400 * DAY}
    emulated.send("POST", "/_emulator/clock/advance", json=clock, params={"credential": OLD})
    with emulated.probed():
        emulated.run(retention.purge())
    assert size(folder) < before / 5
    left = {kind: [each.key for each in emulated.run(world.records.find(kind, OLD))] for kind in KINDS}
    first = f"{OLD}-0"
    # Unfinished state is kept, with its file.
    assert left == {
        "task": [first],
        "perfectcorp/file": [first],
        "perfectcorp/object": [f"ttl30/{first}.jpg"],
        "webhook/delivery": [first],
        "metahuman/file": [],
        JOURNAL: [],
    }
    assert [each.key for each in emulated.run(world.blobs.keys(OLD))] == [f"ttl30/{first}.jpg"]
    assert len(emulated.run(world.records.find("task", YOUNG))) == 3
    assert len(emulated.run(world.blobs.keys(YOUNG))) == 5
    for key, count in ((OLD, 0), (YOUNG, 50)):
        calls = emulated.send("GET", "/_emulator/calls", params={"credential": key}).json()
        assert calls["total"] == count
    stored_calls = [
        call for each in emulated.run(world.records.find(JOURNAL)) for call in each.document["calls"]
    ]
    assert OLD not in {call["exact_credential"] for call in stored_calls}
    emulated.send("POST", "/_emulator/reset")


def test_a_moved_clock_starts_a_purge(
    stored: tuple[Emulated, Path], monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr("emulator.world.retention.CHECK_SECONDS", 0.01)
    emulated, _ = stored
    emulated.run(fill(emulated.world, OLD, 3))

    async def run() -> Retention:
        retention = Retention(emulated.world, 365)
        retention.start()
        return retention

    retention = emulated.run(run())
    assert len(emulated.run(emulated.world.records.find("task"))) == 3
    emulated.send("POST", "/_emulator/clock/advance", json={"seconds": 400 * DAY})
    assert eventually(lambda: len(emulated.run(emulated.world.records.find("task"))) == 1)
    emulated.run(retention.close())


def test_nothing_is_deleted_without_a_retention(stored: tuple[Emulated, Path]) -> None:
    emulated, _ = stored
    emulated.run(fill(emulated.world, OLD, 3))
    emulated.send("POST", "/_emulator/clock/advance", json={"seconds": 4000 * DAY})
    emulated.run(Retention(emulated.world, None).purge())
    assert len(emulated.run(emulated.world.records.find("task"))) == 3
