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
from emulator.server import AddressInUse, Listening, running_server, serve
from emulator.server.http import KEEP_ALIVE_SECONDS
from emulator.settings import Settings

LONGEST_PAUSE_SECONDS = 60
"""Time for which the connection pools of clients usually keep an idle connection."""


@contextmanager
def connected(server: Listening) -> Iterator[tuple[http.client.HTTPConnection, socket.socket]]:
    """Yield a connection that is idle after one request, and its socket."""
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=30)
    try:
        connection.request("GET", "/_emulator/health")
        connection.getresponse().read()
        assert connection.sock is not None
        yield connection, connection.sock
    finally:
        connection.close()


def test_an_idle_connection_outlasts_the_connection_pools_of_clients(server: Listening) -> None:
    """Client pools keep connections for minutes, so closing them after 5 s would break calls at random."""
    assert KEEP_ALIVE_SECONDS > LONGEST_PAUSE_SECONDS
    with connected(server) as (connection, kept):
        kept.settimeout(0.2)
        # No bytes arrive, and the connection stays open.
        with pytest.raises(TimeoutError):
            kept.recv(1)
        kept.settimeout(30)
        connection.request("GET", "/_emulator/health")
        assert connection.getresponse().status == 200
        assert connection.sock is kept


def test_an_idle_connection_is_closed_after_the_keep_alive_timeout(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool
) -> None:
    monkeypatch.setattr("emulator.server.http.KEEP_ALIVE_SECONDS", 0.3)
    with running_server(workers=workers) as server, connected(server) as (connection, kept):
        # A second request begins the time again.
        kept.settimeout(0.15)
        with pytest.raises(TimeoutError):
            kept.recv(1)
        kept.settimeout(30)
        connection.request("GET", "/_emulator/health")
        connection.getresponse().read()
        answered = time.monotonic()
        assert connection.sock is kept
        assert kept.recv(1) == b""
        assert 0.25 < time.monotonic() - answered < LONGEST_PAUSE_SECONDS


def test_a_given_worker_pool_outlives_the_server(workers: WorkerPool, face_jpeg: bytes) -> None:
    for _ in range(2):
        with (
            running_server(workers=workers) as server,
            httpx.Client(base_url=server.base_url, timeout=60) as client,
        ):
            data, files = {"token": "t"}, {"image_bytes": ("a.jpg", face_jpeg)}
            answer = client.post("/face_recon/run_pipeline", data=data, files=files)
            assert "result" in answer.json()
            # Ready at once, because the workers are warm already.
            assert client.get("/_emulator/ready").status_code == 200


def test_serve_raises_address_in_use_for_a_port_in_use() -> None:
    async def listen(listening: Listening) -> None:
        pytest.fail(f"it must not listen at {listening.base_url}")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port} is in use: stop the other server"):
            asyncio.run(serve(Settings(), ["127.0.0.1"], port, listen))


@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [
        ("https, http", "https"),
        ("https,http", "https"),
        ("http, https", "http"),
        ("https", "https"),
        ("ftp", "http"),
    ],
)
def test_the_first_forwarded_scheme_is_that_of_the_client(
    server: Listening, forwarded: str, scheme: str
) -> None:
    """With several proxies in a row, each adds its own."""
    answer = httpx.post(
        f"{server.base_url}/s2s/v2.0/file",
        json={"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]},
        headers={"Authorization": "Bearer sk-proxied", "X-Forwarded-Proto": forwarded},
    )
    assert urlsplit(answer.json()["data"]["files"][0]["requests"][0]["url"]).scheme == scheme
