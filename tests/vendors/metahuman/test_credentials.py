from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.settings import Settings
from emulator.vendors.metahuman import routes

URL = "/face_recon/run_pipeline"
PHOTO = {"image_bytes": ("a.jpg", b"")}


def test_only_listed_tokens_are_good() -> None:
    with TestClient(create_app(Settings(credentials=("listed",)))) as client:
        unknown = client.post(URL, data={"token": "unknown"}, files=PHOTO)
        listed = client.post(URL, data={"token": "listed"}, files=PHOTO)
    assert (unknown.status_code, unknown.json()) == (
        422,
        {"error": {"code": 0, "message": "unregistered token"}},
    )
    assert listed.json()["error"]["code"] == 6


def test_a_defect_is_answered_as_fastapi_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "authenticate", fail)
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        answer = client.post(URL, data={"token": "t"}, files=PHOTO)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
