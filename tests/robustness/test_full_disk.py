"""A full disk: every route returns its own error, and everything works again when there is space."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiosqlite
import pytest
from conftest import FACES
from emulated import Emulated, World
from uploads import upload
from vendor_data import VENDORS, calls_of

from emulator.backends.blobs import folder as blob_files
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records.sqlite.batching import BatchingConnection
from emulator.backends.unavailable import StoreUnavailable
from emulator.settings import Settings
from emulator.world.journal.stored import KIND as JOURNAL

TASK = "/s2s/v2.0/task/face-reshape"
KEY = {"Authorization": "Bearer sk-disk"}
PATIENCE_SECONDS = 60

DEFECTS = {
    "faceplusplus": ['"error_message": "INTERNAL_ERROR"'],
    "metahuman": ["Internal Server Error"],
    "perfectcorp": ['"error_code":"unknown_internal_error"', "<Code>InternalError</Code>"],
    "example_vendor": ['"problem":"defect"'],
}
"""What the vendor's own response to a failure contains."""


OWN_CALLS: Mapping[str, Callable[..., Any]] = {
    "download": lambda world: world.client.get("/yce-us/ttl30/results/nothing.jpg"),
    "static": lambda world: world.client.get("/static/nothing.png"),
}
"""Calls in place of those that first need a call that writes."""


class Disk(Protocol):
    """A disk that can be full."""

    folder: Path

    def fill(self) -> None:
        """Fill the disk."""

    def empty(self) -> None:
        """Free the space."""


class InjectedDisk:
    """A disk on which writes fail, because SQLite and the file system raise their errors."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._is_full = False
        monkeypatch.setattr(aiosqlite.Connection, "execute", self._failing(aiosqlite.Connection.execute))
        for name in ("execute", "execute_fetchall", "execute_together", "edit", "executescript"):
            monkeypatch.setattr(BatchingConnection, name, self._failing(getattr(BatchingConnection, name)))
        for name in ("_write", "_check"):
            monkeypatch.setattr(blob_files, name, self._refusing(getattr(blob_files, name)))

    def fill(self) -> None:
        self._is_full = True

    def empty(self) -> None:
        self._is_full = False

    def _failing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def fail_or_run(connection: object, work: Any, *values: Any) -> Any:
            if self._is_full and not (isinstance(work, str) and work.startswith("SELECT")):
                raise sqlite3.OperationalError("database or disk is full")
            return method(connection, work, *values)

        return fail_or_run

    def _refusing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def fail_or_run(*arguments: Any) -> Any:
            if self._is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return fail_or_run


class SmallDisk:
    """A small file system in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture(params=["injected", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A data folder on a disk that the test can fill."""
    if request.param == "injected":
        yield InjectedDisk(tmp_path, monkeypatch)
        return
    target = tmp_path / "disk"
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(target)]
    if sys.platform != "linux" or _run(mount):
        pytest.skip("a file system can only be mounted by root")
    try:
        yield SmallDisk(target)
    finally:
        assert _run(["umount", str(target)]) == 0


def _run(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 - fixed commands


@pytest.fixture
def on(disk: Disk, workers: WorkerPool) -> Iterator[Emulated]:
    """An emulator with its data folder on the disk."""
    emulated = Emulated(Settings(data_dir=disk.folder / "data"), workers)
    emulated.start()
    yield emulated
    emulated.stop()


def wait(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def create(on: Emulated) -> str:
    """Upload a photo, and create a task for it."""
    photo = (FACES / "ok-frontal.jpg").read_bytes()
    file_id = upload(photo, partial(on.send, "POST"), partial(on.send, "PUT"), KEY)
    body = {"version": "1.0", "features": {"jaw": 10}, "global": {}, "src_file_id": file_id}
    task = on.send("POST", TASK, json=body, headers=KEY).json()["data"]["task_id"]
    return str(task)


def status(on: Emulated, task: str) -> str:
    answer = on.send("GET", f"{TASK}/{task}", headers=KEY)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["task_status"])


def test_everything_works_again_when_there_is_space(disk: Disk, on: Emulated) -> None:
    tasks = [create(on) for _ in range(3)]
    disk.fill()
    ready = on.send("GET", "/_emulator/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["storage"].startswith("the data folder cannot be used now: ")
    assert {status(on, task) for task in tasks} <= {"running", "success"}
    rule = {"effect": "slow"}
    for method, path, body in (
        ("POST", "faults", rule), ("POST", "reset", {"credential": "sk-disk"}), ("GET", "snapshot", None),
        ("PUT", "credentials", {"credential": "a", "state": "revoked"}), ("POST", "clock/freeze", None),
    ):  # fmt: skip
        answer = on.send(method, f"/_emulator/{path}", json=body)
        assert answer.status_code in {200, 201, 204, 503}, path
        if answer.status_code == 503:
            assert answer.json()["error"].startswith("the data folder cannot be used now: ")
    before = on.world.journal.last
    disk.empty()
    assert on.send("GET", "/_emulator/ready").status_code == 200
    on.send("DELETE", "/_emulator/faults")
    on.send("POST", "/_emulator/clock/reset")
    wait(lambda: [status(on, task) for task in tasks] == ["success"] * 3)
    chunks = wait(lambda: [each for each in on.run(on.world.records.find(JOURNAL)) if int(each.key) > before])
    assert chunks
    assert status(on, create(on)) in {"running", "success"}


def test_units_of_a_task_that_could_not_be_stored_are_refunded(
    disk: Disk, on: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def balance() -> int:
        answer = on.send("GET", "/s2s/v1.0/client/credit", headers=KEY).json()
        return int(sum(grant["amount"] for grant in answer["results"]))

    before = balance()

    async def fail(*_arguments: object) -> None:
        disk.fill()
        raise StoreUnavailable("no space left")

    body = {"version": "1.0", "features": {"jaw": 10}, "global": {}, "src_file_url": "http://127.0.0.1:9/a"}
    with monkeypatch.context() as patched:
        patched.setattr(on.world.plans, "create_task", fail)
        assert on.send("POST", TASK, json=body, headers=KEY).status_code == 500
    disk.empty()
    wait(lambda: balance() == before)


def test_every_route_answers_in_its_own_format(disk: Disk, on: Emulated) -> None:
    file = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    (new,) = on.send("POST", "/s2s/v2.0/file", json={"files": [file]}, headers=KEY).json()["data"]["files"]
    (upload,) = new["requests"]
    disk.fill()
    failed = set()
    for vendor in VENDORS.values():
        for name, call in {**calls_of(vendor), **OWN_CALLS}.items():
            if name == "upload":
                answer = on.send("PUT", upload["url"], headers=upload["headers"], content=b"12345")
            elif name in vendor.operations:
                answer = call(World(on, f"sk-{name}"))
            if answer.status_code >= 500:
                failed.add(name)
                assert any(text in answer.text for text in DEFECTS[vendor.name]), (name, answer.text)
    writing = {"create_file", "create_file_v1", "upload", "token", "detect", "create_crop"}
    assert isinstance(disk, SmallDisk) or failed >= writing
    disk.empty()
    assert on.send("GET", "/_emulator/ready").json()["storage"] is None
