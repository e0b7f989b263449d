"""Responses of the proxy and the gateway of Face++."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.vendors.faceplusplus import auth

URL = "/facepp/v1/3dface"
KEYS = {"api_key": "key", "api_secret": "secret"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_served(client: httpx.Client, method: str) -> None:
    response = client.request(method, URL)
    assert (response.status_code, response.text) == (405, '{"error_message":"METHOD_NOT_ALLOWED"}')
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/facepp", "/facepp/v1/3dface/", "/facepp/v2/3dface"])
def test_an_unknown_path_gets_an_error_of_the_gateway(client: httpx.Client, path: str) -> None:
    response = client.post(path, data=KEYS)
    assert (response.status_code, response.text) == (404, '{"error_message":"API_NOT_FOUND"}')


def test_a_large_request_is_refused_by_the_proxy(client: httpx.Client, face_jpeg: bytes) -> None:
    """The response is an HTML page. It comes before other checks, even before the whole body has arrived."""
    declared = client.post(URL, files={"image_file_1": face_jpeg + bytes(2 * 1024 * 1024)})
    head = b'--b\r\nContent-Disposition: form-data; name="image_file_1"; filename="a.jpg"\r\n\r\n'
    streamed = client.post(
        URL,
        content=(head if number == 0 else bytes(65536) for number in range(100)),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    for response in (declared, streamed):
        assert (response.status_code, response.headers["content-type"]) == (413, "text/html; charset=utf-8")
        assert response.text == (
            "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n"
            '<body bgcolor="white">\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n'
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        )


def test_web_pages_of_all_origins_can_call(client: httpx.Client) -> None:
    origin = {"Origin": "https://app.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-own"}
    preflight = client.options(URL, headers={**origin, **asked})
    assert (preflight.status_code, preflight.text) == (200, "OK")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"].split(", ")
    assert preflight.headers["access-control-allow-headers"] == "x-own"
    for headers in (origin, {}):
        refused = client.post(URL, headers=headers)
        assert refused.headers["access-control-allow-origin"] == "*"
        assert (refused.status_code, refused.text) == (400, '{"error_message":"MISSING_ARGUMENTS: api_key"}')


def test_an_unexpected_exception_is_an_internal_error(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(auth, "authenticate", fail)
    with TestClient(create_app(workers=workers), raise_server_exceptions=False) as client:
        answer = client.post(URL, data=KEYS)
    assert refused(answer) == (500, "INTERNAL_ERROR")
