"""Emulators whose pictures are in an object store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_runs import face_emulator
from emulated import Emulated
from object_stores import ACCESS, BUCKET, S3Server

from emulator.app import create_app
from emulator.backends.blobs.object_store import StoreAddress, connect
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings

KEY = {"Authorization": "Bearer sk-objects"}
TASK = "/s2s/v2.0/task/face-reshape"

Emulate = Callable[..., Emulated]


@pytest.fixture
def emulate(workers: WorkerPool) -> Iterator[Emulate]:
    """Return a function that starts an emulator."""
    running: list[Emulated] = []

    def start(**settings: Any) -> Emulated:
        emulated = Emulated(Settings(**settings), workers)
        emulated.start()
        running.append(emulated)
        return emulated

    yield start
    for emulated in running:
        emulated.stop()


def put_picture(emulated: Emulated, photo: bytes) -> tuple[str, httpx.Response]:
    """Upload a picture. Return its id and the last response."""
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(photo)}
    file = emulated.send("POST", "/s2s/v2.0/file", headers=KEY, json={"files": [new]}).json()["data"][
        "files"
    ][0]
    request = file["requests"][0]
    sent = emulated.send("PUT", request["url"], headers=request["headers"], content=photo)
    return file["file_id"], sent


def begin(emulated: Emulated, file_id: str) -> httpx.Response:
    body = {"src_file_id": file_id, "version": "1.0", "features": {"jaw": 10}, "global": {}}
    return emulated.send("POST", TASK, headers=KEY, json=body)


def reshape(emulated: Emulated, photo: bytes, eventually: Callable[[Callable[[], object]], Any]) -> str:
    """Return the URL of a new result."""

    def ended() -> dict[str, Any] | None:
        data: dict[str, Any] = emulated.send("GET", f"{TASK}/{task_id}", headers=KEY).json()["data"]
        return None if data["task_status"] == "running" else data

    file_id, sent = put_picture(emulated, photo)
    assert sent.status_code == 200
    task_id = begin(emulated, file_id).json()["data"]["task_id"]
    url: str = eventually(ended)["results"]["url"]
    return url


def paths(url: str) -> list[str]:
    """Return the paths of all objects of a store."""
    return [each["path"] for each in connect(StoreAddress.parse(url)).list().collect()]


def test_pictures_survive_a_restart_and_end_with_a_reset(
    s3: str, tmp_path: Path, workers: WorkerPool, emulate: Emulate, face_jpeg: bytes, eventually: Any
) -> None:
    first = Emulated(Settings(blobs_url=s3, data_dir=tmp_path), workers)
    first.start()
    url = reshape(first, face_jpeg, eventually)
    picture = first.send("GET", url)
    assert picture.headers["content-type"] == "image/jpeg"
    first.stop()
    assert len([path for path in paths(s3) if path.startswith("blobs/")]) == 2
    assert not (tmp_path / "blobs").exists()

    second = emulate(blobs_url=s3, data_dir=tmp_path)
    assert second.send("GET", url).content == picture.content
    assert second.send("GET", "/_emulator/health").json()["runs"]["blobs"] == f"objects in {s3}"
    assert second.send("POST", "/_emulator/reset").is_success
    assert paths(s3) == []
    assert second.send("GET", url).status_code == 404


def test_without_a_data_folder_no_picture_survives(s3: str, workers: WorkerPool, face_jpeg: bytes) -> None:
    first, other = (Emulated(Settings(blobs_url=s3), workers) for _ in range(2))
    first.start()
    other.start()
    put_picture(first, face_jpeg)
    # Both draw the same ids, and yet each has files of its own.
    file_id, _ = put_picture(other, face_jpeg)
    assert first.send("POST", "/_emulator/reset").is_success
    assert begin(other, file_id).is_success
    put_picture(first, face_jpeg)
    first.stop()
    assert len({path.partition("/")[0] for path in paths(s3)}) == 1
    assert begin(other, file_id).is_success
    other.stop()
    assert paths(s3) == []


def test_calls_fail_in_the_format_of_the_vendor_while_the_store_is_unavailable(
    emulate: Emulate, face_jpeg: bytes, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = S3Server()
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    emulated = emulate(blobs_url=f"s3://{BUCKET}/sometimes-away")
    url = reshape(emulated, face_jpeg, eventually)
    file_id, _ = put_picture(emulated, face_jpeg)
    s3.stop()

    _, sent = put_picture(emulated, face_jpeg)
    for failed in (sent, emulated.send("GET", url)):
        assert (failed.status_code, "<Code>InternalError</Code>" in failed.text) == (500, True)
    failed = begin(emulated, file_id)
    assert (failed.status_code, failed.json()["error_code"]) == (500, "unknown_internal_error")
    ready = emulated.send("GET", "/_emulator/ready")
    assert ready.status_code == 503
    assert ready.json()["storage"].startswith("the object store s3://blobs/sometimes-away")
    failed = emulated.send("POST", "/_emulator/reset")
    assert (failed.status_code, failed.json()["error"]) == (503, ready.json()["storage"])

    s3.start()
    assert emulated.send("GET", "/_emulator/ready").status_code == 200
    assert emulated.send("GET", reshape(emulated, face_jpeg, eventually)).status_code == 200
    assert emulated.send("POST", "/_emulator/reset").is_success
    monkeypatch.undo()
    s3.stop()


def test_a_url_with_a_secret_prevents_the_start_and_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="FACE_EMULATOR_BLOBS_URL: the URL cannot contain a user") as caught:
        create_app(Settings(blobs_url="s3://key:secret@bucket"))
    assert "secret" not in str(caught.value)


def test_serve_ends_with_a_sentence_if_the_store_is_unavailable(tmp_path: Path) -> None:
    variables = {**ACCESS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "FACE_EMULATOR_BLOBS_URL": "s3://b/x"}
    done = face_emulator("serve", "--port", "0", "--data-dir", str(tmp_path), **variables)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "face-emulator: the object store s3://b/x cannot be used now: HTTP error: error sending request "
        "(Connection refused)"
    )
    assert "Traceback" not in done.stderr


def test_serve_ends_with_a_sentence_if_the_driver_is_missing(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError(name='obstore')")
    done = face_emulator(
        *("serve", "--port", "0"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]),
        FACE_EMULATOR_BLOBS_URL="s3://bucket",
    )
    assert done.returncode == 1
    assert done.stderr == (
        "face-emulator: FACE_EMULATOR_BLOBS_URL needs the package obstore, which is not installed; run "
        '`pip install "face-api-emulator[scale]"`\n'
    )
