"""Keys and secrets of webhooks on the disk."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated import Emulated

from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings
from face_api_emulator.client import Client

KEY = "sk-a-key-of-mine"
SHORT = "k7"
REVOKED = "sk-revoked-key:its-secret"
PASSWORD = "pass-word-of-a-host"  # noqa: S105 - no real secret
PATTERN = f"Bearer {KEY}"
NOT_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are those of POSIX")


@pytest.fixture
def stored(tmp_path: Path, workers: WorkerPool) -> Iterator[tuple[Emulated, Path]]:
    emulated = Emulated(Settings(data_dir=tmp_path / "outer" / "data"), workers)
    emulated.start()
    yield emulated, tmp_path / "outer" / "data"
    emulated.stop()


def fill(emulated: Emulated) -> tuple[str, str]:
    """Store state with secrets, and return the issued access token and the secret of an endpoint."""
    file = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    for key in (KEY, SHORT):
        headers = {"Authorization": f"Bearer {key}"}
        answer = emulated.send("POST", "/s2s/v2.0/file", json={"files": [file]}, headers=headers)
        (put,) = answer.json()["data"]["files"][0]["requests"]
        assert emulated.send("PUT", put["url"], headers=put["headers"], content=b"12345").status_code == 200
        url = f"http://user:{PASSWORD}@127.0.0.1:9/a.jpg?token={PASSWORD}"
        body = {"version": "1.0", "features": {"jaw": 10}, "global": {}, "src_file_url": url}
        created = emulated.send("POST", "/s2s/v2.0/task/face-reshape", json=body, headers=headers)
        assert created.status_code == 200
    client = {"client_id": KEY, "id_token": "A" * 171 + "="}
    token = emulated.send("POST", "/s2s/v1.0/client/auth", json=client).json()["result"]["access_token"]
    emulated.send("PUT", "/_emulator/credentials", json={"credential": REVOKED, "state": "revoked"})
    rule = {"effect": "slow", "match": {"credential": KEY, "headers": {"authorization": PATTERN}, "nth": 99}}
    assert emulated.send("POST", "/_emulator/faults", json=rule).status_code == 201
    emulated.send("POST", "/_emulator/faults", json={"effect": "slow", "match": {"nth": 99}})
    emulated.send("GET", "/s2s/v1.0/client/credit", headers={"Authorization": f"Bearer {SHORT}"})
    hook = {"url": f"http://127.0.0.1:9/?key={PASSWORD}"}
    endpoint = emulated.send("POST", "/_emulator/webhooks/endpoints", json=hook, params={"credential": KEY})
    schema = {"schema": ("schema.json", b'{"hair": ["a"]}', "application/json")}
    emulated.send("PUT", "/glb_const/schema", data={"token": KEY}, files=schema)
    emulated.send(
        "PUT", "/_emulator/lifetimes", json={"perfectcorp": {"url_seconds": 9}}, params={"credential": KEY}
    )
    emulated.run(emulated.world.journal.flush())
    return token, endpoint.json()["secret"]


@NOT_POSIX
def test_only_the_owner_can_read_the_data_folder(stored: tuple[Emulated, Path]) -> None:
    emulated, folder = stored
    fill(emulated)
    found = [folder, *folder.rglob("*")]
    assert len(found) > 6
    modes = {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in found}
    assert modes == {path.relative_to(folder).as_posix(): 0o700 if path.is_dir() else 0o600 for path in found}


@NOT_POSIX
def test_an_existing_folder_keeps_its_mode_and_its_files_become_private(
    tmp_path: Path, workers: WorkerPool
) -> None:
    tmp_path.chmod(0o755)
    database = tmp_path / "records.sqlite3"
    database.touch()
    database.chmod(0o644)
    emulated = Emulated(Settings(data_dir=tmp_path), workers)
    emulated.start()
    emulated.stop()
    assert [path.stat().st_mode & 0o777 for path in (tmp_path, database)] == [0o755, 0o600]


def contents(snapshot: bytes) -> tuple[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(snapshot)) as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith("jsonl")]
    return "\n".join(texts), [json.loads(line) for line in texts[0].splitlines()]


def test_a_snapshot_without_secrets_has_none_and_can_be_restored(stored: tuple[Emulated, Path]) -> None:
    emulated, _ = stored
    token, secret = fill(emulated)
    plain, _ = contents(emulated.send("GET", "/_emulator/snapshot").content)
    for each in (KEY, token, secret, PASSWORD, REVOKED, f'"credential": "{SHORT}"'):
        assert each in plain
    answer = emulated.send("GET", "/_emulator/snapshot", params={"without_secrets": True})
    hidden, records = contents(answer.content)
    for each in (KEY, token, secret, PASSWORD, REVOKED, "its-secret", f'"{SHORT}"', f"{SHORT}/first"):
        assert each not in hidden
    assert '"Bearer credential-' in hidden
    restored = emulated.send("PUT", "/_emulator/snapshot", content=answer.content)
    assert (restored.status_code, restored.json()["documents"]) == (
        200,
        sum("kind" in each for each in records),
    )
    (name,) = {each["credential"] for each in records if each.get("kind") == "metahuman/schema"}
    calls = emulated.send("GET", "/_emulator/calls", params={"credential": name}).json()
    assert calls["total"] > 1
    tasks = emulated.send("GET", "/_emulator/tasks", params={"credential": name}).json()
    assert len(tasks) == 1
    got = emulated.send("POST", "/glb_const/schema", data={"token": name})
    assert got.json()["result"] == {"schema": {"hair": ["a"]}} or "hair" in got.text
    history = emulated.send("GET", "/s2s/v1.0/client/credit", headers={"Authorization": f"Bearer {name}"})
    assert history.status_code == 200
    again = emulated.send("GET", "/_emulator/snapshot", params={"without_secrets": True})
    assert again.status_code == 200


def test_the_client_saves_a_snapshot_that_only_its_owner_can_read(
    tmp_path: Path, workers: WorkerPool
) -> None:
    with running_server(workers=workers) as server, Client(server.base_url) as client:
        client.list_credential(KEY)
        for without, is_there in ((False, True), (True, False)):
            file = tmp_path / f"{without}.zip"
            file.touch(0o644)
            client.save_snapshot(file, without_secrets=without)
            assert (KEY in contents(file.read_bytes())[0]) is is_there
            assert os.name == "nt" or file.stat().st_mode & 0o777 == 0o600
