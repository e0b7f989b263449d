"""Errors of MetaHuman SDK that belong to no API, such as unknown paths. They look like those of FastAPI."""

from __future__ import annotations

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.vendors.metahuman.face_recon import operations

URL = "/face_recon/run_pipeline"


@pytest.mark.parametrize(
    "path", ["/static/nothing.png", "/face_recon/static/..%2f..%2fetc%2fpasswd", "/face_recon/x"]
)
def test_an_unknown_path_is_answered_as_fastapi_does(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", URL, "POST"),
        ("DELETE", "/auth/token", "POST"),
        # Sorted, so that the tests have the same names in every process.
        ("POST", "/static/nothing.png", "GET, HEAD"),
        ("OPTIONS", "/face_recon/static/%3Fnothing.png", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_as_fastapi_does(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
    assert response.headers["allow"] == allowed


def test_an_endless_photo_is_refused(client: httpx.Client) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="image_bytes"; filename="a.jpg"\r\n\r\n'
    response = client.post(
        URL,
        content=(head if number == 0 else bytes(1024 * 1024) for number in range(20)),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert (response.status_code, response.json()) == (
        422,
        {"error": {"code": 3, "message": "file must be less than 10mb"}},
    )


def test_an_unexpected_exception_is_answered_as_fastapi_does(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(operations, "authenticate", fail)
    with TestClient(create_app(workers=workers), raise_server_exceptions=False) as client:
        answer = client.post(URL, data={"token": "t"}, files={"image_bytes": ("a.jpg", b"")})
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
