"""Snapshots over HTTP and from the command line, with unfinished tasks."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from uploads import upload

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client, ControlError

KEY = {"Authorization": "Bearer sk-snapshot"}
TASK = "/s2s/v2.0/task/face-reshape"
CREDIT = "/s2s/v1.0/client/credit"
SNAPSHOT = "/_emulator/snapshot"


@pytest.fixture
def own(workers: WorkerPool) -> Iterator[httpx.Client]:
    with (
        running_server(Settings(), workers=workers) as server,
        httpx.Client(base_url=server.base_url, headers=KEY, timeout=120) as client,
    ):
        yield client


@pytest.fixture
def cold() -> Iterator[httpx.Client]:
    """A client of an emulator that does not finish tasks yet, because its worker is still warming up."""
    with (
        running_server(Settings(workers=1)) as server,
        httpx.Client(base_url=server.base_url, headers=KEY, timeout=120) as client,
    ):
        yield client


def begin(client: httpx.Client, photo: bytes) -> str:
    file_id = upload(photo, client.post, httpx.put)
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    task_id: str = client.post(TASK, json=body).json()["data"]["task_id"]
    return task_id


def wait(client: httpx.Client, task_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        data: dict[str, Any] = client.get(f"{TASK}/{task_id}").json()["data"]
        if data["task_status"] != "running":
            return data
        time.sleep(0.01)
    raise AssertionError("the task did not finish")


def balance(client: httpx.Client) -> int:
    return sum(grant["amount"] for grant in client.get(CREDIT).json()["results"])


def test_unfinished_tasks_of_a_snapshot_are_finished_after_the_restore(
    cold: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    # Neither task is finished when the snapshot is taken.
    good, bad = begin(cold, face_jpeg), begin(cold, landscape_jpeg)
    cold.put("/_emulator/credentials", json={"credential": "gone", "state": "revoked"})
    taken = cold.get(SNAPSHOT)
    assert taken.headers["content-type"] == "application/zip"
    assert int(taken.headers["content-length"]) == len(taken.content)
    later = begin(cold, face_jpeg)
    assert cold.delete("/_emulator/credentials/gone").status_code == 204
    result = wait(cold, good)["results"]["url"]
    picture = httpx.get(result).content

    restored = cold.put(SNAPSHOT, content=taken.content)
    assert restored.status_code == 200
    assert restored.json()["blobs"] == 2
    assert cold.get(f"{TASK}/{later}").json()["error_code"] == "InvalidTaskId"
    assert {"credential": "gone", "state": "revoked"} in cold.get("/_emulator/credentials").json()
    # The unfinished task is finished after the restore, with the same picture.
    assert httpx.get(wait(cold, good)["results"]["url"]).content == picture
    assert wait(cold, bad)["error"] == "error_no_face"
    assert balance(cold) == 999
    # The counters were restored too, so the next task gets the same id again.
    assert begin(cold, face_jpeg) == later


def test_a_snapshot_is_restored_on_another_server(
    own: httpx.Client, client: httpx.Client, workers: WorkerPool, face_jpeg: bytes
) -> None:
    task_id = begin(own, face_jpeg)
    picture = httpx.get(wait(own, task_id)["results"]["url"]).content
    taken = own.get(SNAPSHOT).content
    with (
        running_server(Settings(), workers=workers) as other,
        httpx.Client(base_url=other.base_url, headers=KEY, timeout=120) as there,
    ):
        assert there.put(SNAPSHOT, content=taken).status_code == 200
        url = wait(there, task_id)["results"]["url"]
        assert url.startswith(other.base_url)
        assert httpx.get(url).content == picture
        assert balance(there) == 999
    assert client.get(f"{TASK}/{task_id}", headers=KEY).json()["error_code"] == "InvalidTaskId"


def test_an_invalid_snapshot_is_refused_and_tasks_continue(cold: httpx.Client, face_jpeg: bytes) -> None:
    task_id = begin(cold, face_jpeg)
    refused = cold.put(SNAPSHOT, content=face_jpeg)
    reason = "this snapshot cannot be restored: it is not a zip file, or it is damaged"
    assert (refused.status_code, refused.json()["error"]) == (422, reason)
    assert wait(cold, task_id)["task_status"] == "success"


CLOCK = {"offset_s": 0, "frozen_at": None}
DELIVERY: dict[str, Any] = {
    "id": "d",
    "credential": "",
    "vendor": "perfectcorp",
    "task_id": "t",
    "endpoint_id": "e",
    "url": "u",
    "message": {"id": "m", "body": "b"},
    "state": "waiting",
    "next_at": 0,
    "attempts": [],
    "fault": {},
    "source": None,
    "reason": None,
}
ENDPOINT = {
    "id": "e",
    "credential": "",
    "vendor": "perfectcorp",
    "url": "http://h/",
    "secret": f"whsec_{'YWFh' * 8}",
}
HELD_TASK = {
    "id": "t",
    "credential": "k",
    "kind": "perfectcorp/face-reshape",
    "request": {
        "file_id": None,
        "object": None,
        "url": "http://h/",
        "body": {"version": "1.0", "features": {"jaw": 1}, "global": {}, "src_file_url": "http://h/"},
    },
    "created_at": 0,
    "started_at": 0,
    "progression": {"mode": "manual"},
    "state": "held",
    "held": {"result": {"object": "ttl30/results/t.jpg", "timed": 1, "timed_apply": 1}, "error": None},
}
GRANT = {"id": 1, "amount": 2, "expires_at": 3.0}
CHARGE = {
    "id": 1,
    "timestamp": 2.0,
    "operation": "create_reshape",
    "action": "api_face_reshape",
    "parts": [{"id": 1, "amount": 1}],
}
FILE = {"object": "ttl30/a.jpg", "created_at": 1.0}
AUTHORIZED = {"vendor": "perfectcorp", "operation": "o", "units": 0}
RULE = {"rule": {"effect": "slow"}, "added_at": 0, "seen": {}, "fired": 0}


KEYS = {
    "clock": ("", ""),
    "journal": ("3", ""),
    "meter/authorized": ("perfectcorp\nt", "k"),
    "webhook/endpoint": ("e", ""),
    "webhook/delivery": ("d", ""),
    "task": ("t", "k"),
    "perfectcorp/grant": ("k/first", "k"),
}
"""The key and the credential of a document, by kind."""

WRONG: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("clock", CLOCK, {"offset_s": "x"}),
    ("clock", CLOCK, {"offset_s": 1e300}),
    ("clock", CLOCK, {"frozen_at": -1e18}),
    ("journal", {"last": 3, "calls": []}, {"last": "x"}),
    ("journal", {"last": 3, "calls": []}, {"calls": [{}]}),
    ("meter/authorized", AUTHORIZED, {"units": []}),
    ("fault", RULE, {"added_at": "x"}),
    ("fault", RULE, {"seen": {"k": "x"}}),
    ("webhook/endpoint", ENDPOINT, {"url": 4}),
    ("webhook/delivery", DELIVERY, {"vendor": "nobody"}),
    ("webhook/delivery", DELIVERY, {"next_at": "x"}),
    ("task", HELD_TASK, {"kind": "nobody/nothing"}),
    ("task", HELD_TASK, {"created_at": "x"}),
    ("perfectcorp/grant", GRANT, {"amount": None}),
    ("perfectcorp/grant", GRANT, {"expires_at": "x"}),
    ("perfectcorp/charge", CHARGE, {"parts": [{}]}),
    ("perfectcorp/charge", CHARGE, {"operation": "nothing"}),
    ("perfectcorp/file", FILE, {"object": 4}),
]


def test_an_invalid_document_in_a_snapshot_is_refused_and_changes_nothing(
    own: httpx.Client,
) -> None:
    for kind, right, wrong in WRONG:
        check_a_wrong_document(own, kind, right, wrong)


def check_a_wrong_document(
    own: httpx.Client, kind: str, right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    own.put("/_emulator/credentials", json={"credential": "stays", "state": "revoked"})
    answer = own.put(SNAPSHOT, content=snapshot_of(kind, {**right, **wrong}))
    place = f"the {kind} {KEYS.get(kind, 'a')[0]!r} is invalid"
    assert (answer.status_code, place in answer.json()["error"]) == (422, True)
    assert own.get("/_emulator/credentials").json() == [{"credential": "stays", "state": "revoked"}]
    restored = own.put(SNAPSHOT, content=snapshot_of(kind, right))
    assert restored.status_code == 200, restored.text


def snapshot_of(kind: str, document: dict[str, Any]) -> bytes:
    """Return a snapshot with one document."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        key, credential = KEYS.get(kind, ("a", ""))
        record = {"kind": kind, "key": key, "credential": credential, "document": document}
        archive.writestr("records.jsonl", json.dumps(record))
        archive.writestr("blobs.jsonl", "")
        counts = {"documents": 1, "counters": 0, "blobs": 0}
        archive.writestr("manifest.json", json.dumps({"format": 1, "emulator": "x", **counts}))
    return file.getvalue()


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", "snapshot", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_snapshot_command_saves_and_restores(own: httpx.Client, tmp_path: Path) -> None:
    file, url = tmp_path / "all.zip", str(own.base_url)
    own.put("/_emulator/credentials", json={"credential": "a", "state": "revoked"})
    done = command("save", file, "--url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file}: {file.stat().st_size:,} bytes\n"
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]
    own.delete("/_emulator/credentials/a")
    done = command("restore", file, "--url", f"{url}/")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"1 documents, \d+ counters and 0 blobs restored\n", done.stdout)
    assert own.get("/_emulator/credentials").json() == [{"credential": "a", "state": "revoked"}]


def test_the_snapshot_command_reports_errors(own: httpx.Client, tmp_path: Path) -> None:
    file, url = tmp_path / "all.zip", str(own.base_url)
    file.write_bytes(b"mine")
    for arguments, message in (
        (("restore", file, "--url", url), "it is not a zip file"),
        (("restore", tmp_path / "missing.zip", "--url", url), "missing.zip"),
        (("save", file, "--url", "http://127.0.0.1:1"), "no emulator answers at http://127.0.0.1:1"),
        (("save", file, "--url", f"{url}/facepp"), "is not from a control API"),
        (("save", tmp_path / "no" / "folder.zip", "--url", url), "folder.zip"),
    ):
        done = command(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    # A failed save leaves the existing file unchanged.
    assert file.read_bytes() == b"mine"


def test_a_snapshot_is_saved_and_restored_from_python(
    server: Listening, workers: WorkerPool, tmp_path: Path
) -> None:
    with running_server(Settings(), workers=workers) as other, Client(other.base_url) as there:
        with Client(server.base_url) as here:
            here.save_snapshot(tmp_path / "state.zip")
            assert there.restore_snapshot(tmp_path / "state.zip").emulator == here.health().version
        (tmp_path / "state.zip").write_bytes(b"nothing")
        with pytest.raises(ControlError, match="snapshot"):
            there.restore_snapshot(tmp_path / "state.zip")
