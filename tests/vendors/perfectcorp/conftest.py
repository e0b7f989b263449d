"""A Perfect Corp whose clock the test turns, without a socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.clock import Clock
from emulator.settings import Settings
from emulator.web.credentials import CredentialState

KEY = "sk-test"
NOW = 1_790_000_000.0
TASK = "/s2s/v2.0/task/face-reshape"
PATIENCE_SECONDS = 60


class Emulator:
    """A client with a key, one without, and a clock."""

    def __init__(self, client: TestClient, clock: Clock) -> None:
        self.client = client
        self.anonymous = TestClient(client.app, raise_server_exceptions=False)
        self.clock = clock

    def register(self, size: int, content_type: str = "image/jpeg") -> Any:
        new = {"content_type": content_type, "file_name": "a.jpg", "file_size": size}
        return self.client.post("/s2s/v2.0/file", json={"files": [new]})

    def upload(self, photo: bytes) -> str:
        file = self.register(len(photo)).json()["data"]["files"][0]
        request = file["requests"][0]
        answer = self.anonymous.put(request["url"], headers=request["headers"], content=photo)
        assert answer.status_code == 200
        file_id: str = file["file_id"]
        return file_id

    def create(self, file_id: str, path: str = TASK) -> Any:
        body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
        return self.client.post(path, json=body)

    def wait(self, task_id: str, path: str = TASK) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            data: dict[str, Any] = self.client.get(f"{path}/{task_id}").json()["data"]
            if data["task_status"] != "running":
                return data
            time.sleep(0.01)
        raise AssertionError("the task did not finish")

    def run(self, photo: bytes) -> dict[str, Any]:
        return self.wait(self.create(self.upload(photo)).json()["data"]["task_id"])


@contextmanager
def opened(settings: Settings) -> Iterator[Emulator]:
    """Run an emulator as long as the block lasts."""
    clock = Clock(NOW)
    app = create_app(settings, clock=clock)
    headers = {"Authorization": f"Bearer {KEY}"}
    with TestClient(app, headers=headers, raise_server_exceptions=False) as client:
        yield Emulator(client, clock)


@pytest.fixture
def emulate() -> Iterator[Callable[..., Emulator]]:
    """Start emulators with settings of Perfect Corp's, as keywords."""
    with ExitStack() as stack:

        def start(credentials: dict[str, CredentialState] | None = None, **settings: object) -> Emulator:
            given = Settings(workers=1, credentials=credentials or {}, vendors={"perfectcorp": settings})
            return stack.enter_context(opened(given))

        yield start


@pytest.fixture
def on_one_folder(tmp_path: Path) -> Callable[[], AbstractContextManager[Emulator]]:
    """Run emulators one after the other, each on what the one before has left."""
    return lambda: opened(Settings(workers=1, data_dir=tmp_path))
