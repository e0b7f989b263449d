"""Damaged files in the data folder."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from emulated import Emulated
from uploads import upload

from emulator.backends.queue.pool import WorkerPool
from emulator.backends.records import StoreUnreadable
from emulator.settings import Settings

KEY = {"Authorization": "Bearer sk-damage"}
OTHER = {"Authorization": "Bearer sk-other"}

DAMAGE = {
    "empty": b"",
    "zeros": bytes(500),
    "no-json": b"\xff\xfe\n123",
    "no-object": b"[1]\n123",
    "no-key": b'{"credential": "sk-damage"}\n123',
    "null": b'{"key": null, "credential": null}\n123',
    "other-key": b'{"key": "somewhere", "credential": "sk-damage"}\n123',
    "surrogate": b'{"key": "\\ud800", "credential": "sk-damage"}\n123',
    "deep": b"[" * 100_000,
    "long": b'"' + b"a" * 9_000_000,
}


@pytest.fixture
def stored(tmp_path: Path, workers: WorkerPool) -> Iterator[tuple[Emulated, Path]]:
    vendors = {"perfectcorp": {"missing_upload_status": 404}}
    emulated = Emulated(Settings(data_dir=tmp_path, vendors=vendors), workers)
    emulated.start()
    yield emulated, tmp_path
    emulated.stop()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_blob_counts_as_missing(stored: tuple[Emulated, Path], damage: bytes) -> None:
    emulated, folder = stored
    post, put = partial(emulated.send, "POST"), partial(emulated.send, "PUT")
    file_id = upload(b"12345", post, put, KEY)
    (path,) = folder.glob("blobs/??/*")
    upload(b"12345", post, put, OTHER)
    path.write_bytes(damage)
    body = {"version": "1.0", "features": {"jaw": 10}, "global": {}, "src_file_id": file_id}
    created = emulated.send("POST", "/s2s/v2.0/task/face-reshape", json=body, headers=KEY)
    assert created.status_code == 404, created.text  # as if the file was never uploaded
    saved = emulated.send("GET", "/_emulator/snapshot")
    assert saved.status_code == 200
    with zipfile.ZipFile(io.BytesIO(saved.content)) as archive:
        (kept,) = map(json.loads, archive.read("blobs.jsonl").splitlines())
    assert kept["credential"] == "sk-other"
    assert emulated.send("PUT", "/_emulator/snapshot", content=saved.content).status_code == 200
    assert emulated.send("POST", "/_emulator/reset", json={"credential": "sk-damage"}).status_code == 204
    assert emulated.send("POST", "/_emulator/reset").status_code == 204
    assert list(folder.glob("blobs/??/*")) == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE records",
        "DROP TABLE counters",
        "ALTER TABLE records DROP COLUMN version",
        "ALTER TABLE counters RENAME COLUMN value TO worth",
        "DROP TABLE counters; CREATE TABLE counters (name TEXT, credential TEXT, value INTEGER)",
    ],
)
def test_a_missing_table_is_reported_at_the_start(tmp_path: Path, workers: WorkerPool, change: str) -> None:
    first = Emulated(Settings(data_dir=tmp_path), workers)
    first.start()
    upload(b"12345", partial(first.send, "POST"), partial(first.send, "PUT"), KEY)
    first.stop()
    with sqlite3.connect(tmp_path / "records.sqlite3") as connection:
        connection.executescript(change)
    connection.close()
    second = Emulated(Settings(data_dir=tmp_path), workers)
    table = "counters" if "counters" in change else "records"
    sentence = rf"records.sqlite3 cannot be used: its table `{table}` is missing or was changed \(.*\); choose another folder, or move this one elsewhere$"  # noqa: E501 - one sentence
    try:
        with pytest.raises(StoreUnreadable, match=sentence):
            second.start()
    finally:
        second.abandon()
