"""What can be reached only with a hand in the emulator: limits, lost objects, defects."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image as PillowImage

from emulator.app import create_app
from emulator.settings import Settings
from emulator.vendors.perfectcorp import routes
from emulator.vendors.perfectcorp.jobs import Engine
from emulator.vendors.perfectcorp.settings import PerfectCorpSettings
from emulator.vendors.perfectcorp.uploads import SignedRequest, presign
from emulator.web.services import Services

HEADERS = {"Authorization": "Bearer sk-test"}
TASK = "/s2s/v2.0/task/face-reshape"
PATIENCE_SECONDS = 60

# Strict enough for the sample pictures to break every limit.
STRICT = {"file_bytes": 300_000, "longest_side": 700, "face_fraction": 0.6, "face_angle_deg": 89.0}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(workers=1, vendors={"perfectcorp": STRICT}))


@pytest.fixture(scope="module")
def strict(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, headers=HEADERS, raise_server_exceptions=False) as client:
        yield client


def run(client: TestClient, photo: bytes) -> dict[str, Any]:
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(photo)}
    file = client.post("/s2s/v2.0/file", json={"files": [new]}).json()["data"]["files"][0]
    request = file["requests"][0]
    assert client.put(request["url"], headers=request["headers"], content=photo).status_code == 200
    body = {"src_file_id": file["file_id"], "version": "1.0", "features": {"jaw": 10}, "global": {}}
    task_id = client.post(TASK, json=body).json()["data"]["task_id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        data: dict[str, Any] = client.get(f"{TASK}/{task_id}").json()["data"]
        if data["task_status"] != "running":
            return data
        time.sleep(0.02)
    raise AssertionError("the task did not finish")


def enlarged(photo: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(photo)).resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_limits_of_the_picture_are_the_engines_errors(strict: TestClient, face_jpeg: bytes) -> None:
    assert run(strict, face_jpeg)["error"] == "error_pose"
    assert run(strict, face_jpeg + bytes(300_000))["error"] == "exceed_max_filesize"
    assert run(strict, enlarged(face_jpeg, 701))["error"] == "exceed_max_filesize"


def test_an_object_that_is_gone_is_said_in_xml(app: FastAPI, strict: TestClient) -> None:
    assert strict.get("/_emulator/health").status_code == 200
    services = _services(app)
    url = presign(
        SignedRequest("GET", "ttl30/gone.jpg", {}),
        base_url="http://testserver/",
        secret=services.ids.secret("perfectcorp/presign"),
        now=services.clock.now(),
        seconds=60,
    )
    answer = strict.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/xml")
    assert "<Code>NoSuchKey</Code>" in answer.text


def test_a_task_that_fails_unexpectedly_says_so(
    strict: TestClient, face_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "_read_picture", fail)
    data = run(strict, face_jpeg)
    assert (data["error"], data["task_status"]) == ("unknown_internal_error", "error")


def test_a_defect_is_answered_in_the_envelope(strict: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "check_source", fail)
    answer = strict.post(TASK, json={"version": "1.0", "features": {"jaw": 1}, "global": {}})
    assert (answer.status_code, answer.json()) == (
        500,
        {"status": 500, "error": "Server Error", "error_code": "unknown_internal_error"},
    )


def test_the_documented_limits_are_the_defaults() -> None:
    settings = PerfectCorpSettings()
    assert (settings.file_bytes, settings.longest_side) == (10 * 1024 * 1024, 4096)
    assert (settings.face_fraction, settings.face_angle_deg) == (1 / 20, 30)


def _services(app: FastAPI) -> Services:
    services: Services = app.state.services
    return services
