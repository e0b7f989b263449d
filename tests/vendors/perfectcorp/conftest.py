"""Clients of Perfect Corp, for the emulator that all tests share, and for emulators with other settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.clock import Clock
from emulator.server import Listening
from emulator.settings import Settings
from emulator.world.credentials import CredentialState

KEY = "sk-test"
NOW = 1_790_000_000.0
FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
PATIENCE_SECONDS = 60


class Api:
    """Calls of the API with a key (``client``) and without one (``anonymous``)."""

    def __init__(self, client: Any, anonymous: Any) -> None:
        self.client = client
        self.anonymous = anonymous

    def register(self, size: int, content_type: str = "image/jpeg", path: str = FILE) -> Any:
        new = {"content_type": content_type, "file_name": "selfie.jpg", "file_size": size}
        return self.client.post(path, json={"files": [new]})

    def registered(self, size: int, content_type: str = "image/jpeg", path: str = FILE) -> dict[str, Any]:
        answer = self.register(size, content_type, path)
        assert answer.status_code == 200, answer.text
        assert list(answer.json()) == ["status", "data"]
        (file,) = answer.json()["data"]["files"]
        found: dict[str, Any] = file
        return found

    def put(self, file: dict[str, Any], data: bytes) -> Any:
        request = file["requests"][0]
        return self.anonymous.request(
            request["method"], request["url"], headers=request["headers"], content=data
        )

    def upload(self, photo: bytes, content_type: str = "image/jpeg") -> str:
        file = self.registered(len(photo), content_type)
        answer = self.put(file, photo)
        assert (answer.status_code, answer.content) == (200, b"")
        file_id: str = file["file_id"]
        return file_id

    def create(self, file_id: str, path: str = TASK) -> Any:
        body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
        return self.client.post(path, json=body)

    def start(self, body: dict[str, Any], path: str = TASK) -> str:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert list(answer.json()) == ["status", "data"]
        task_id: str = answer.json()["data"]["task_id"]
        return task_id

    def wait(self, task_id: str, path: str = TASK) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = self.client.get(f"{path}/{task_id}")
            assert answer.status_code == 200, answer.text
            data: dict[str, Any] = answer.json()["data"]
            if data["task_status"] != "running":
                return data
            assert data == {"error": None, "results": None, "task_status": "running"}
            time.sleep(0.01)
        raise AssertionError("the task did not finish")

    def run(self, photo: bytes) -> dict[str, Any]:
        return self.wait(self.create(self.upload(photo)).json()["data"]["task_id"])

    def result(self, task_id: str) -> bytes:
        """Wait for a reshape task, and return the bytes of its result."""
        answer = self.anonymous.get(self.wait(task_id)["results"]["url"])
        assert answer.status_code == 200
        content: bytes = answer.content
        return content


class Emulator(Api):
    """An emulator in this process, with a clock that the test moves."""

    def __init__(self, client: TestClient, clock: Clock) -> None:
        super().__init__(client, TestClient(client.app, raise_server_exceptions=False))
        self.clock = clock

    def progress(self, mode: str) -> None:
        """Set when new tasks end. ``mode`` is a mode of the progression, such as ``manual``."""
        mine = {"credential": KEY}
        answer = self.client.put("/_emulator/progression", params=mine, json={"mode": mode})
        assert answer.status_code == 200, answer.text

    def finish(self, task_id: str) -> None:
        """End a task with the progression ``manual``."""
        answer = self.client.post(f"/_emulator/tasks/{task_id}/finish")
        assert answer.status_code == 200, answer.text


@contextmanager
def opened(settings: Settings, workers: WorkerPool) -> Iterator[Emulator]:
    """Run an emulator in this process until the block ends."""
    clock = Clock(NOW)
    app = create_app(settings, clock=clock, workers=workers)
    headers = {"Authorization": f"Bearer {KEY}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield Emulator(client, clock)


@pytest.fixture
def emulate(workers: WorkerPool) -> Iterator[Callable[..., Emulator]]:
    """A function that starts an emulator in this process. Its keywords are settings of Perfect Corp."""
    with ExitStack() as stack:

        def start(credentials: dict[str, CredentialState] | None = None, **settings: object) -> Emulator:
            given = Settings(credentials=credentials or {}, vendors={"perfectcorp": settings})
            return stack.enter_context(opened(given, workers))

        yield start


@pytest.fixture
def on_one_folder(tmp_path: Path, workers: WorkerPool) -> Callable[[], AbstractContextManager[Emulator]]:
    """A function that runs an emulator in this process. All runs in one test use the same data folder."""
    return lambda: opened(Settings(data_dir=tmp_path), workers)


@pytest.fixture(scope="session")
def api(server: Listening) -> Iterator[Api]:
    """A client of the emulator that all tests share, over HTTP."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as client,
        httpx.Client(base_url=server.base_url, timeout=60) as anonymous,
    ):
        yield Api(client, anonymous)
