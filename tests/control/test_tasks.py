"""Tasks that a tester holds and finishes."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import httpx
from tester import call, refusal

from emulator.server import Listening
from face_api_emulator.client import Client
from face_api_emulator.client.models import Mode, TaskState

TASK = "/s2s/v2.0/task/face-reshape"
NEW_TASK = {
    "src_file_url": "http://127.0.0.1:9/a.jpg",
    "version": "1.0",
    "features": {"jaw": 9},
    "global": {},
}


def create(server: Listening, me: Client) -> str:
    return str(call(server, me, "POST", TASK, json=NEW_TASK).json()["data"]["task_id"])


def polled(server: Listening, me: Client, task_id: str) -> dict[str, Any]:
    data: dict[str, Any] = call(server, me, path=f"{TASK}/{task_id}").json()["data"]
    return data


def test_the_progression_of_a_credential_is_set_and_reset(me: Client) -> None:
    assert me.set_progression("after_polls", polls=3).polls == 3
    assert me.set_progression("after_seconds", seconds=1.5).seconds == 1.5
    assert me.set_progression("manual").mode == Mode.MANUAL
    assert me.reset_progression().mode == Mode.REAL
    for mode, details in (("after_polls", {}), ("manual", {"polls": 3}), ("after_polls", {"polls": -1})):
        assert refusal(partial(me.set_progression, mode, **details))[0] == 422
    assert "must be given with the mode" in refusal(lambda: me.set_progression("after_seconds"))[1]


def test_a_held_task_finishes_as_the_tester_chooses(server: Listening, me: Client) -> None:
    me.set_progression("manual")
    as_it_comes, otherwise = create(server, me), create(server, me)
    assert [task.id for task in me.tasks()] == [as_it_comes, otherwise]
    assert {task.credential for task in me.tasks()} == {me.credential}
    deadline = time.monotonic() + 60
    while {task.state for task in me.tasks()} != {TaskState.HELD}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert polled(server, me, as_it_comes)["task_status"] == "running"
    ended = me.finish_task(as_it_comes)
    assert (ended.state, ended.error) == (TaskState.FAILED, "error_download_image")
    assert me.finish_task(otherwise, "error_pose").error == "error_pose"
    assert polled(server, me, otherwise)["error"] == "error_pose"
    assert refusal(lambda: me.finish_task(otherwise)) == (
        409,
        f"task {otherwise} has already failed; only an unfinished task can be finished",
    )


def test_only_an_existing_task_can_be_finished_and_only_with_an_error_of_a_task(
    server: Listening, client: httpx.Client, me: Client
) -> None:
    me.set_progression("manual")
    task_id = create(server, me)
    status, detail = refusal(lambda: me.finish_task(task_id, "TooManyRequests"))
    assert (status, detail.startswith("no task ends with TooManyRequests; choose one of error_")) == (
        422,
        True,
    )
    unknown = "there is no task unknown; GET /_emulator/tasks lists them"
    assert refusal(lambda: me.finish_task("unknown")) == (404, unknown)
    assert client.get("/_emulator/tasks/unknown").json() == {"error": unknown}
    assert client.get(f"/_emulator/tasks/{task_id}").json()["id"] == task_id
    text = b'{"error": "\\ud800"}'
    assert client.post(f"/_emulator/tasks/{task_id}/finish", content=text).status_code == 422
