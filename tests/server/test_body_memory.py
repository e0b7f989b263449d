"""The memory for the request bodies of all connections."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings

MEMORY = 300_000
PART = 64 * 1024 + 200_000
"""Length of the part that the slow clients send. It counts as 200,000 bytes."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[Listening]:
    """A server with room for one long body. A fault rule makes it read all bodies."""
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=folder, body_memory_bytes=MEMORY)
    with (
        pytest.MonkeyPatch.context() as patch,
        running_server(settings, workers=workers) as server,
    ):
        patch.setattr("emulator.web.exchange.IDLE_SECONDS", 0.2)
        rule = {"match": {"body_contains": "needle"}, "effect": {"error": "InternalError"}}
        answer = httpx.post(f"{server.base_url}/_emulator/faults", json=rule)
        assert answer.status_code < 300, answer.text
        yield server


@contextlib.contextmanager
def slow_client(server: Listening, path: str, length: int, part: int) -> Iterator[socket.socket]:
    """Yield a client that has sent the beginning of a body."""
    where = urlsplit(server.base_url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=30) as client:
        client.sendall(head.encode() + b" " * part)
        yield client


@pytest.mark.parametrize(
    ("path", "refused", "served"),
    [
        ("/s2s/v2.0/file", (b"HTTP/1.1 500 ", b'"error_code":"unknown_internal_error"'), b"HTTP/1.1 400 "),
        ("/facepp/v1/3dface", (b"HTTP/1.1 500 ", b"INTERNAL_ERROR"), b"HTTP/1.1 400 "),
        ("/face_recon/run_pipeline", (b"HTTP/1.1 500 ", b"Internal Server Error"), b"HTTP/1.1 422 "),
        ("/_emulator/faults", (b"HTTP/1.1 503 ", b"too many long request bodies"), b"HTTP/1.1 422 "),
    ],
)
def test_a_body_that_finds_no_memory_is_refused_and_others_are_served(
    small: Listening, path: str, refused: tuple[bytes, bytes], served: bytes
) -> None:
    """Two clients stop in the middle of their bodies. One gets an error, and the other can continue."""
    length = 300_000
    with slow_client(small, path, length, PART) as one, slow_client(small, path, length, PART) as other:
        (first, *more), _, _ = select.select([one, other], [], [], 30)
        assert not more
        second = other if first is one else one
        answer = b""
        while chunk := first.recv(65536):  # until the server closes the connection
            answer += chunk
        assert answer.startswith(refused[0])
        assert refused[1] in answer
        assert httpx.get(f"{small.base_url}/_emulator/health").status_code == 200
        second.sendall(b" " * (length - PART))
        assert second.recv(13) == served


def test_a_body_above_the_vendors_limit_is_not_read_for_fault_rules(small: Listening) -> None:
    """Its length is refused before the rule could read it."""
    with slow_client(small, "/facepp/v1/3dface", 31_000_000, 10) as client:
        assert client.recv(13) == b"HTTP/1.1 413 "
