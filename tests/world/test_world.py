"""Two credentials on one server: resetting one does not affect the other."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from uploads import upload

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import Change
from emulator.vendors.metahuman.static.store import credential_of_file
from emulator.world.world import World

TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"
FILE_NAME = re.compile(r"[^/]+$")


@pytest.fixture
def client(workers: WorkerPool) -> Iterator[TestClient]:
    with TestClient(create_app(workers=workers)) as client:
        yield client


def world_of(client: TestClient) -> World:
    world: World = client.app.state.world  # type: ignore[attr-defined] # the application is ours
    return world


def forget(client: TestClient, credential: str | None) -> None:
    assert client.portal is not None
    client.portal.call(world_of(client).reset, credential)


def stored(client: TestClient) -> dict[str, set[str]]:
    """Return the credentials of all records and counters, and of all blobs."""
    world = world_of(client)

    async def look() -> dict[str, set[str]]:
        return {
            "records": {entry.credential async for entry in world.records.export()},
            "blobs": {found.credential for found in await world.blobs.keys()},
        }

    assert client.portal is not None
    return client.portal.call(look)


def begin(client: TestClient, key: str, photo: bytes) -> str:
    """Return the id of a new task."""
    headers = {"Authorization": f"Bearer {key}"}
    file_id = upload(photo, client.post, client.put, headers)
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    task_id: str = client.post(TASK, json=body, headers=headers).json()["data"]["task_id"]
    return task_id


def poll(client: TestClient, key: str, task_id: str) -> Any:
    return client.get(f"{TASK}/{task_id}", headers={"Authorization": f"Bearer {key}"})


def wait(client: TestClient, key: str, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        data: dict[str, Any] = poll(client, key, task_id).json()["data"]
        if data["task_status"] != "running":
            return data
        time.sleep(0.01)
    raise AssertionError("the task did not finish")


def test_a_reset_also_removes_a_file_that_is_being_registered(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, headers = world_of(client), {"Authorization": "Bearer sk-a"}
    body = {"files": [{"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 9}]}
    drawn, go_on, draw = threading.Event(), threading.Event(), world.records.draw

    async def draw_and_dawdle(*counter: Any) -> tuple[int, Sequence[Change]]:
        found = await draw(*counter)
        drawn.set()
        await asyncio.to_thread(go_on.wait)
        return found

    def register() -> str:
        answer = client.post("/s2s/v2.0/file", json=body, headers=headers).json()
        file_id: str = answer["data"]["files"][0]["file_id"]
        return file_id

    with ThreadPoolExecutor() as pool:
        monkeypatch.setattr(world.records, "draw", draw_and_dawdle)
        half = pool.submit(register)
        assert drawn.wait(30)
        forgetting = pool.submit(forget, client, "sk-a")
        with pytest.raises(TimeoutError):
            forgetting.result(timeout=0.2)
        go_on.set()
        forgetting.result(timeout=30)
        assert "sk-a" not in stored(client)["records"]
        # The ids start again, and the first one is free.
        assert register() == half.result()


def test_resetting_one_credential_does_not_affect_the_work_of_others(
    client: TestClient, face_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, compute = threading.Semaphore(0), threading.Event(), world_of(client).queue.run

    async def compute_later(*work: Any) -> Any:
        begun.release()
        await asyncio.to_thread(go_on.wait)
        return await compute(*work)

    monkeypatch.setattr(world_of(client).queue, "run", compute_later)
    mine, yours = begin(client, "mine", face_jpeg), begin(client, "yours", face_jpeg)
    client.put("/_emulator/credentials", json={"credential": "mine", "state": "no_balance"})
    # Both tasks are running when one credential is reset.
    assert all(begun.acquire(timeout=30) for _ in range(2))
    forget(client, "mine")
    go_on.set()
    assert stored(client) == {"records": {"yours", ""}, "blobs": {"yours"}}
    assert poll(client, "mine", mine).json()["error_code"] == "InvalidTaskId"
    # The same calls get the same ids, and the cancelled work does not finish the new task.
    assert begin(client, "mine", face_jpeg) == mine
    assert wait(client, "yours", yours)["task_status"] == "success"
    assert wait(client, "mine", mine)["task_status"] == "success"
    for key in ("mine", "yours"):
        (grant,) = client.get(CREDIT, headers={"Authorization": f"Bearer {key}"}).json()["results"]
        assert grant["amount"] == 999
    forget(client, None)
    assert stored(client) == {"records": set(), "blobs": set()}


def test_a_texture_belongs_to_the_token_of_its_request(client: TestClient, face_jpeg: bytes) -> None:
    def texture(token: str) -> str:
        answer = client.post(
            "/face_recon/run_pipeline", data={"token": token}, files={"image_bytes": ("a.jpg", face_jpeg)}
        )
        url: str = answer.json()["result"]["face"]["textureUrl"]
        return url

    world = world_of(client)
    mine, yours = texture("mine"), texture("yours")
    for url, owner in ((mine, "mine"), (yours, "yours"), ("unknown", None)):
        found = FILE_NAME.search(url)
        assert found is not None
        assert client.portal is not None
        assert client.portal.call(credential_of_file, world, found[0]) == owner
    forget(client, "mine")
    assert (client.get(mine).status_code, client.get(yours).status_code) == (404, 200)
