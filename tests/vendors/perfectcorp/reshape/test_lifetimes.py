"""Expiry of URLs, files and tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DAY = 86400
TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"


def created(emulator: Any, photo: bytes, path: str = TASK) -> str:
    task_id: str = emulator.create(emulator.upload(photo), path).json()["data"]["task_id"]
    return task_id


def status_of(emulator: Any, task_id: str) -> tuple[int, str | None]:
    answer = emulator.client.get(f"{TASK}/{task_id}")
    return answer.status_code, answer.json().get("error_code")


def test_urls_files_and_tasks_expire_by_the_clock(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    late = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    url = emulator.wait(task_id)["results"]["url"]
    emulator.clock.advance(7199)
    assert emulator.anonymous.get(url).status_code == 200
    emulator.clock.advance(1)
    expired = emulator.anonymous.get(url)
    assert expired.status_code == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in expired.text
    assert emulator.anonymous.put(late["url"], headers=late["headers"], content=face_jpeg).status_code == 403
    # Until the task expires, each poll returns a new URL.
    assert emulator.anonymous.get(emulator.wait(task_id)["results"]["url"]).status_code == 200
    emulator.clock.advance(30 * DAY - 7201)
    assert status_of(emulator, task_id) == (200, None)
    emulator.clock.advance(1)
    assert status_of(emulator, task_id) == (500, "TaskTimeout")
    answer = emulator.create(file_id)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")


def test_each_key_can_have_lifetimes_of_its_own(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(url_seconds=100)
    mine = {"url_seconds": 5, "file_days": 1, "task_days": 2, "task_timeout_s": None, "units_days": 3}
    path, whose = "/_emulator/lifetimes", {"credential": "sk-test"}
    before = emulator.client.get(path, params=whose).json()
    answer = emulator.client.put(path, params=whose, json={"perfectcorp": mine})
    assert answer.json() == {**before, "perfectcorp": {**mine, "unpolled_expiry_s": None}}
    other = {"Authorization": "Bearer sk-other"}
    (grant,) = emulator.client.get(CREDIT).json()["results"]
    (others,) = emulator.client.get(CREDIT, headers=other).json()["results"]
    assert others["expiry"] - grant["expiry"] == (365 - 3) * DAY * 1000
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    new = {"files": [{"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(face_jpeg)}]}
    slots = [
        emulator.client.post("/s2s/v2.0/file", json=new, headers=headers).json()["data"]["files"][0]
        for headers in ({}, other)
    ]
    urls = [(slot["requests"][0]["url"], slot["requests"][0]["headers"]) for slot in slots]
    url = emulator.wait(task_id)["results"]["url"]
    emulator.clock.advance(5)
    assert emulator.anonymous.get(url).status_code == 403
    put = [emulator.anonymous.put(url, headers=headers, content=face_jpeg) for url, headers in urls]
    assert [answer.status_code for answer in put] == [403, 200]
    emulator.clock.advance(DAY)
    assert emulator.create(file_id).json()["error_code"] == "InvalidParameters"
    assert status_of(emulator, task_id) == (200, None)
    emulator.clock.advance(DAY)
    assert status_of(emulator, task_id) == (500, "TaskTimeout")
    # The file of the other key has the lifetime in the settings.
    body = {"src_file_id": slots[1]["file_id"], "version": "1.0", "features": {"jaw": 1}, "global": {}}
    assert emulator.client.post(TASK, json=body, headers=other).status_code == 200
    emulator.client.delete(path, params=whose)
    assert status_of(emulator, task_id) == (200, None)


def test_a_task_that_ran_too_long_is_a_timeout(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(task_timeout_s=10)
    finished = created(emulator, face_jpeg)
    emulator.wait(finished)
    emulator.clock.advance(11)
    assert status_of(emulator, finished) == (200, None)
    emulator.progress("manual")
    overran = created(emulator, face_jpeg)
    emulator.clock.advance(11)
    assert status_of(emulator, overran) == (500, "TaskTimeout")


def test_a_task_that_is_not_polled_can_be_lost(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(unpolled_expiry_s=10)
    emulator.progress("manual")
    kept, lost = created(emulator, face_jpeg), created(emulator, face_jpeg)
    for _ in range(3):
        emulator.clock.advance(9)
        assert status_of(emulator, kept) == (200, None)
    assert status_of(emulator, lost) == (400, "InvalidTaskId")
    emulator.finish(kept)
    emulator.wait(kept)
    # A task is not lost if a poll has shown its end.
    emulator.clock.advance(100)
    assert status_of(emulator, kept) == (200, None)
