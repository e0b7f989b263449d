"""State that survives the end of a server, including ``kill -9``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from uploads import upload

from emulator.backends.blobs import BlobKey
from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.records import Counter as StoredCounter
from emulator.backends.records import Document
from emulator.backends.records.sqlite import SqliteRecords

KEY = "sk-killed"
TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"
TIMEOUT_SECONDS = 90


@dataclass(frozen=True)
class Server:
    """A server in its own process group, and a client with a key."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def end(self, how: signal.Signals, *, with_workers: bool) -> None:
        """Send a signal, and wait until the server has exited."""
        if with_workers:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        self.process.communicate(timeout=30)


@contextlib.contextmanager
def serving(temporary: Path, *options: object) -> Iterator[Server]:
    """Run ``face-emulator serve`` with one worker."""
    environment = {**os.environ, "FACE_EMULATOR_WORKERS": "1", "TMPDIR": str(temporary)}
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", "serve", "--port", "0", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert found is not None
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=found[0], headers=headers, timeout=TIMEOUT_SECONDS) as client:
                yield Server(process, client)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def begin(client: httpx.Client, file_id: str) -> str:
    """Return the id of a new task."""
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    task_id: str = client.post(TASK, json=body).json()["data"]["task_id"]
    return task_id


def poll(client: httpx.Client, task_id: str) -> dict[str, Any]:
    data: dict[str, Any] = client.get(f"{TASK}/{task_id}").json()["data"]
    return data


def wait(client: httpx.Client, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        data = poll(client, task_id)
        if data["task_status"] != "running":
            return data
        time.sleep(0.01)
    raise AssertionError("the task did not finish")


async def stored_below(folder: Path) -> tuple[list[Document | StoredCounter], list[BlobKey]]:
    records = SqliteRecords(folder / "records.sqlite3")
    await records.open()
    try:
        entries = [entry async for entry in records.export()]
    finally:
        await records.close()
    return entries, await FolderBlobs(folder / "blobs").keys()


def documents(folder: Path, kind: str) -> dict[str, Any]:
    """Return the documents of a kind, by key."""
    entries, _ = asyncio.run(stored_below(folder))
    return {
        entry.key: entry.document for entry in entries if isinstance(entry, Document) and entry.kind == kind
    }


@pytest.mark.parametrize("with_workers", [True, False], ids=["the-group", "the-server"])
def test_tasks_interrupted_by_a_kill_are_finished_exactly_once(
    tmp_path: Path, face_jpeg: bytes, landscape_jpeg: bytes, *, with_workers: bool
) -> None:
    data = tmp_path / "data"
    with serving(tmp_path, "--data-dir", data) as server:
        client = server.client
        good, bad = (upload(photo, client.post, httpx.put) for photo in (face_jpeg, landscape_jpeg))
        numbers = [client.get(CREDIT).headers["x-request-id"]]
        tasks = {begin(client, file_id): file_id for file_id in (good, bad, good, bad, good, good)}
        first = next(iter(tasks))
        # The one worker has finished the first task and works on another.
        assert wait(client, first)["task_status"] == "success"
        server.end(signal.SIGKILL, with_workers=with_workers)
    at_the_kill = documents(data, "task")
    assert Counter(task["state"] for task in at_the_kill.values())["running"] >= 1
    ended = {key: task for key, task in at_the_kill.items() if task["state"] in {"succeeded", "failed"}}
    assert first in ended

    with serving(tmp_path, "--data-dir", data) as server:
        client = server.client
        answers = {task_id: wait(client, task_id) for task_id in tasks}
        for task_id, file_id in tasks.items():
            assert answers[task_id]["task_status"] == ("success" if file_id == good else "error")
        pictures = {
            httpx.get(answer["results"]["url"]).content
            for answer in answers.values()
            if answer["task_status"] == "success"
        }
        assert len(pictures) == 1  # the same photo with the same features
        # Each task was charged once, and refunded where no face was found.
        assert [grant["amount"] for grant in client.get(CREDIT).json()["results"]] == [1000 - 4]
        history = client.get(f"{CREDIT}/history", params={"page_size": 30}).json()["result"]["history"]
        assert {entry["target_id"] for entry in history} == {
            task_id for task_id, file_id in tasks.items() if file_id == good
        }
        # Ids from before the kill are not drawn again.
        numbers.append(client.get(CREDIT).headers["x-request-id"])
        later = begin(client, upload(face_jpeg, client.post, httpx.put))
        assert wait(client, later)["task_status"] == "success"
        assert later not in tasks
        assert len(set(numbers)) == len(numbers)
        server.end(signal.SIGTERM, with_workers=False)

    finished = documents(data, "task")
    assert finished.keys() == {*tasks, later}
    assert {key: finished[key] for key in ended} == ended
    results = [task["result"]["object"] for task in finished.values() if task["result"] is not None]
    assert len(set(results)) == len(results) == 5
    charges = documents(data, "perfectcorp/charge")
    assert {key: charge["refunded"] for key, charge in charges.items()} == {
        **{task_id: file_id == bad for task_id, file_id in tasks.items()},
        later: False,
    }
    _, blobs = asyncio.run(stored_below(data))
    uploads = [file["object"] for file in documents(data, "perfectcorp/file").values()]
    assert len(uploads) == 3
    assert blobs == [BlobKey(key, KEY) for key in sorted([*uploads, *results])]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_without_a_data_folder_nothing_survives(
    tmp_path: Path, face_jpeg: bytes, how: signal.Signals
) -> None:
    with serving(tmp_path) as server:
        server.client.put("/_emulator/credentials", json={"credential": "a", "state": "revoked"})
        first = begin(server.client, upload(face_jpeg, server.client.post, httpx.put))
        server.end(how, with_workers=False)
    if how is signal.SIGTERM:
        assert list(tmp_path.glob("face-emulator-*")) == []
    with serving(tmp_path) as server:
        assert server.client.get("/_emulator/credentials").json() == []
        assert server.client.get(f"{TASK}/{first}").json()["error_code"] == "InvalidTaskId"
        # The new server draws the same ids from the start.
        assert begin(server.client, upload(face_jpeg, server.client.post, httpx.put)) == first
        server.end(signal.SIGTERM, with_workers=False)
