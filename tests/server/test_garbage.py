"""Requests are freed without the garbage collector, which would pause the server and keep memory in use."""

from __future__ import annotations

import gc
import http.client
from collections import Counter
from urllib.parse import urlsplit

import pytest

from emulator.server import Listening

COUNT = 20


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/_emulator/health", None),
        ("GET", "/s2s/v1.0/client/credit", None),
        ("GET", "/s2s/v2.0/task/face-reshape/unknown", None),
        (
            "POST",
            "/s2s/v2.0/file",
            b'{"files": [{"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}]}',
        ),
        ("POST", "/facepp/v1/3dface", b"api_key=k&api_secret=s"),
        ("POST", "/face_recon/run_pipeline", b"token=t"),
        ("GET", "/nowhere", None),
    ],
)
def test_requests_leave_no_cycles(server: Listening, method: str, path: str, body: bytes | None) -> None:
    url = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
    headers = {"Authorization": "Bearer k", "Content-Type": "application/x-www-form-urlencoded"}

    def call() -> None:
        connection.request(method, path, body, headers)
        connection.getresponse().read()

    call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(COUNT):
            call()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = Counter(map(type, gc.garbage))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        connection.close()
    # Connections that tests before have closed leave a few objects of each type.
    packages = {"emulator", "fastapi", "starlette", "uvicorn"}
    assert not [
        kind for kind in kinds if kinds[kind] >= COUNT and kind.__module__.partition(".")[0] in packages
    ]
