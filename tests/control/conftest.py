"""Fixtures for tests of the control API: an emulator for each module, and clients of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from face_api_emulator.client import Client

TASK = "/s2s/v2.0/task/face-reshape"
CALLS = "/_emulator/calls"

numbers = itertools.count()


class Caller:
    """A Perfect Corp client with its own key."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self.client = client
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"}

    def other(self, key: str) -> Caller:
        """Return a client with another key."""
        return Caller(self.client, key)

    def register(self, **more: object) -> httpx.Response:
        """Register a file."""
        new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
        return self.client.post("/s2s/v2.0/file", json={"files": [new], **more}, headers=self.headers)

    def poll(self, task: str = "nowhere") -> httpx.Response:
        """Poll a task."""
        return self.client.get(f"{TASK}/{task}", headers=self.headers)

    def calls(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the recorded calls of this key."""
        listed: list[dict[str, Any]] = self.client.get(
            CALLS, params={"credential": self.key, **filters}
        ).json()["calls"]
        return listed

    def verify(self, count: object = None, **match: object) -> dict[str, Any]:
        """Return the result of a verification of this key's calls."""
        body: dict[str, object] = {"match": {"credential": self.key, **match}}
        if count is not None:
            body["count"] = count
        answer = self.client.post(f"{CALLS}/verify", json=body)
        assert answer.status_code == 200
        verdict: dict[str, Any] = answer.json()
        return verdict


@pytest.fixture(scope="module")
def url(workers: WorkerPool) -> Iterator[str]:
    """The URL of an emulator for one module of tests."""
    with running_server(workers=workers) as server:
        yield server.base_url


@pytest.fixture
def tester(url: str) -> Iterator[httpx.Client]:
    """An HTTP client of the module's emulator."""
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client


@pytest.fixture
def caller(tester: httpx.Client, request: pytest.FixtureRequest) -> Caller:
    """A Perfect Corp client with its own key."""
    return Caller(tester, f"sk-{request.node.name}")


@pytest.fixture
def calling() -> Callable[[Listening, str], AbstractContextManager[Caller]]:
    """Return a context manager that yields a caller of a given emulator."""

    @contextmanager
    def calling(server: Listening, key: str) -> Iterator[Caller]:
        with httpx.Client(base_url=server.base_url, timeout=30) as client:
            yield Caller(client, key)

    return calling


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A control client with a credential of its own."""
    with Client(server.base_url, f"sk-client-{next(numbers)}") as control:
        yield control
        control.reset()
