"""Requests are freed without the garbage collector, which would pause the server and keep memory in use."""

from __future__ import annotations

import gc
import http.client
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
        kinds = [type(one).__module__ for one in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        connection.close()
    ours = [
        kind for kind in kinds if kind.partition(".")[0] in {"emulator", "fastapi", "starlette", "uvicorn"}
    ]
    # A connection that a test before has closed leaves a few objects.
    assert len(ours) < COUNT, ours
