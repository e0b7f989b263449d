"""Deletion of tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.vendors.perfectcorp.files.store import FILE, OBJECT

TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
DELETE = "/s2s/v2.0/task/delete"


def created(emulator: Any, photo: bytes, path: str = TASK) -> str:
    task_id: str = emulator.create(emulator.upload(photo), path).json()["data"]["task_id"]
    return task_id


def status_of(emulator: Any, task_id: str) -> tuple[int, str | None]:
    answer = emulator.client.get(f"{TASK}/{task_id}")
    return answer.status_code, answer.json().get("error_code")


def test_a_finished_task_is_deleted_with_its_pictures(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    url = emulator.wait(task_id)["results"]["url"]
    answer = emulator.client.post(DELETE, json={"task_id": task_id})
    assert (answer.status_code, answer.json()) == (200, {"status": 200})
    assert status_of(emulator, task_id) == (400, "InvalidTaskId")
    gone = emulator.anonymous.get(url)
    assert (gone.status_code, gone.headers["content-type"]) == (404, "application/xml")
    assert "<Code>NoSuchKey</Code>" in gone.text
    assert emulator.create(file_id).json()["error_code"] == "InvalidParameters"


def test_tasks_that_cannot_be_deleted_get_an_error(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    emulator.progress("manual")
    running = created(emulator, face_jpeg)
    pre_process = created(emulator, face_jpeg, PRE_PROCESS)
    bodies = [{}, {"task_id": "unknown"}, {"task_id": pre_process}, {"task_id": running}]
    codes = ["InvalidParameters", "InvalidTaskId", "OperationNotSupport", "OperationInvalid"]
    for body, code in zip(bodies, codes, strict=True):
        answer = emulator.client.post(DELETE, json=body)
        assert (answer.status_code, answer.json()) == (
            400,
            {"status": 400, "error": "Operation not supported", "error_code": code},
        )


def test_a_picture_that_other_tasks_use_is_kept(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    file_id = emulator.upload(face_jpeg)
    first, second = (emulator.create(file_id).json()["data"]["task_id"] for _ in range(2))
    emulator.wait(first)
    assert emulator.client.post(DELETE, json={"task_id": first}).status_code == 200
    assert emulator.wait(second)["task_status"] == "success"
    assert emulator.create(file_id).status_code == 200


def test_nothing_is_left_of_a_file_that_is_deleted(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    world = emulator.client.app.state.world
    run = emulator.client.portal.call
    file = emulator.registered(len(face_jpeg))
    assert emulator.put(file, face_jpeg).status_code == 200
    task_id = emulator.create(file["file_id"]).json()["data"]["task_id"]
    emulator.wait(task_id)
    assert [len(run(world.records.find, kind)) for kind in (FILE, OBJECT)] == [1, 1]
    assert emulator.client.post(DELETE, json={"task_id": task_id}).status_code == 200
    # An upload to its URL still returns 200, but is not stored.
    assert emulator.put(file, face_jpeg).status_code == 200
    assert [run(world.records.find, kind) for kind in (FILE, OBJECT)] == [[], []]
    assert run(world.blobs.keys) == []
