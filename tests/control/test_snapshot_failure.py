"""A failed restore changes nothing; a successful one also clears what is only in memory."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.backends.blobs.folder import FolderBlobs
from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records.sqlite import SqliteRecords
from emulator.server import Listening, running_server
from emulator.settings import Settings

SNAPSHOT = "/_emulator/snapshot"
RULE = {"effect": "slow"}

Calling = Callable[[Listening, str], AbstractContextManager[Any]]


@pytest.fixture
def own(workers: WorkerPool, tmp_path: Path) -> Iterator[Listening]:
    with running_server(Settings(data_dir=tmp_path / "data"), workers=workers) as listening:
        yield listening


async def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def everything(client: httpx.Client) -> dict[str, Any]:
    """Return the state in memory and in the records, as far as the control API shows it."""
    paths = ("calls", "clock", "costs", "faults", "credentials", "webhooks/endpoints", "progression")
    return {path: client.get(f"/_emulator/{path}").raise_for_status().json() for path in paths}


@pytest.mark.parametrize("port", [SqliteRecords, FolderBlobs])
def test_a_failed_restore_changes_nothing(
    own: Listening, calling: Calling, monkeypatch: pytest.MonkeyPatch, port: type
) -> None:
    with calling(own, "sk-before") as caller:
        caller.register()
        taken = caller.client.get(SNAPSHOT).content
        caller.client.post("/_emulator/faults", json=RULE).raise_for_status()
        revoked = {"credential": "gone", "state": "revoked"}
        caller.client.put("/_emulator/credentials", json=revoked).raise_for_status()
        caller.client.post("/_emulator/clock/freeze").raise_for_status()
        caller.poll()
        before = everything(caller.client)
        with monkeypatch.context() as patched:
            patched.setattr(port, "restore" if port is SqliteRecords else "keys", full)
            failed = caller.client.put(SNAPSHOT, content=taken)
            assert failed.status_code == 503
            assert "no space left on device" in failed.json()["error"]
        assert everything(caller.client) == before
        # A restore is still possible.
        assert caller.client.put(SNAPSHOT, content=taken).status_code == 200
        assert everything(caller.client) != before


def test_a_restore_clears_state_that_is_only_in_memory(own: Listening, calling: Calling) -> None:
    with calling(own, "sk-memory") as caller:
        taken = caller.client.get(SNAPSHOT).content
        plan = "/_emulator/webhooks/plan"
        params = {"credential": "sk-memory"}
        caller.client.put(plan, json={}, params=params).raise_for_status()
        assert caller.client.get(plan, params=params).status_code == 200
        caller.client.put(SNAPSHOT, content=taken).raise_for_status()
        assert caller.client.get(plan, params=params).status_code == 404
