from __future__ import annotations

import asyncio
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import KEEP_ALIVE_SECONDS, AddressInUse, Listening, running_server, serve
from emulator.settings import Settings

LONGEST_PAUSE_SECONDS = 60
"""For how long pools of clients keep a connection without a request, as a rule."""


@contextmanager
def connected(server: Listening) -> Iterator[tuple[http.client.HTTPConnection, socket.socket]]:
    """Return a connection that has had an answer."""
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=30)
    try:
        connection.request("GET", "/_emulator/health")
        connection.getresponse().read()
        assert connection.sock is not None
        yield connection, connection.sock
    finally:
        connection.close()


def test_a_connection_without_a_request_stays_for_longer_than_a_client_pauses(server: Listening) -> None:
    """Many pools keep connections for minutes; a server that closes them after 5 s breaks calls by chance."""
    assert KEEP_ALIVE_SECONDS > LONGEST_PAUSE_SECONDS
    with connected(server) as (connection, kept):
        kept.settimeout(0.2)
        # Nothing comes, not even the end.
        with pytest.raises(TimeoutError):
            kept.recv(1)
        kept.settimeout(30)
        connection.request("GET", "/_emulator/health")
        assert connection.getresponse().status == 200
        assert connection.sock is kept


def test_a_connection_is_kept_for_just_as_long_as_the_server_says(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool
) -> None:
    monkeypatch.setattr("emulator.server.KEEP_ALIVE_SECONDS", 0.3)
    with running_server(workers=workers) as server, connected(server) as (_, kept):
        answered = time.monotonic()
        assert kept.recv(1) == b""
        assert 0.25 < time.monotonic() - answered < LONGEST_PAUSE_SECONDS


def test_workers_that_are_handed_in_outlive_the_server(workers: WorkerPool, face_jpeg: bytes) -> None:
    for _ in range(2):
        with (
            running_server(workers=workers) as server,
            httpx.Client(base_url=server.base_url, timeout=60) as client,
        ):
            data, files = {"token": "t"}, {"image_bytes": ("a.jpg", face_jpeg)}
            answer = client.post("/face_recon/run_pipeline", data=data, files=files)
            assert "result" in answer.json()
            # They were warm before.
            assert client.get("/_emulator/ready").status_code == 200


def test_a_port_that_is_taken_is_told() -> None:
    async def listen(listening: Listening) -> None:
        pytest.fail(f"it must not listen at {listening.base_url}")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port} is taken: stop what listens there"):
            asyncio.run(serve(Settings(), "127.0.0.1", port, listen))
