"""The limit of open connections."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings

LIMIT = 8
HEALTH = b"GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
EXPECTANT = (
    b"POST /s2s/v2.0/file HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\nContent-Length: 9\r\n"
    b"Expect: 100-continue\r\n\r\n"
)
BEGUN = b"POST /s2s/v2.0/file HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[Listening]:
    """A server with few connections."""
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=folder, connections=LIMIT)
    with running_server(settings, workers=workers, tls_port=0) as server:
        yield server


@contextlib.contextmanager
def connections(url: str | None, count: int, begin: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that send only ``begin``."""
    where = urlsplit(str(url))
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            address = (str(where.hostname), int(where.port or 0))
            opened.append(stack.enter_context(socket.create_connection(address, timeout=30)))
            opened[-1].sendall(begin)
            if begin == HEALTH:
                opened[-1].recv(1)  # so that the connections become idle in this order
        yield opened


def closed(opened: Sequence[socket.socket]) -> list[socket.socket]:
    """Return the connections that the server has closed."""
    readable, _, _ = select.select(opened, [], [], 0)
    found = []
    for each in readable:
        with contextlib.suppress(ConnectionError):
            if each.recv(1, socket.MSG_PEEK):
                continue
        found.append(each)
    return found


@pytest.mark.parametrize("begin", [b"", b"G", b"GET / HTTP/1.1\r\nHost: h\r\n", HEALTH])
def test_idle_connections_give_way(
    crowded: Listening, begin: bytes, eventually: Callable[[Callable[[], object]], object]
) -> None:
    """They have sent nothing, the beginning of a request, or a whole one. The oldest are closed."""
    with connections(crowded.base_url, 50, begin) as idle:
        # They are not idle before their requests are answered.
        eventually(lambda: httpx.get(f"{crowded.base_url}/_emulator/health").status_code == 200)
        for _ in range(3):
            assert httpx.get(f"{crowded.base_url}/_emulator/health").status_code == 200
        for each in idle if begin == HEALTH else ():
            with contextlib.suppress(ConnectionError):
                while each in select.select([each], [], [], 0)[0] and each.recv(65536):
                    pass
        gone = closed(idle)
        assert len(gone) >= 50 - LIMIT
        assert set(idle[: 50 - LIMIT]) <= set(gone)


def test_a_connection_is_refused_if_all_others_wait_for_responses(crowded: Listening) -> None:
    with connections(crowded.base_url, LIMIT, EXPECTANT) as busy:
        # Until the server waits for the bodies of all of them, another one finds room.
        for each in busy:
            assert each.recv(1024).startswith(b"HTTP/1.1 100 ")
        answer = httpx.get(f"{crowded.base_url}/_emulator/health")
        assert (answer.status_code, answer.text) == (503, "too many connections are open\n")
        assert answer.headers["connection"] == "close"
        assert closed(busy) == []
        busy[0].sendall(b"nine more")
        assert busy[0].recv(12) == b"HTTP/1.1 400"
        # Its connection is idle now, so it gives way.
        assert httpx.get(f"{crowded.base_url}/_emulator/health").status_code == 200
        for each in busy[1:]:
            each.sendall(b"nine more")
            assert each.recv(12) == b"HTTP/1.1 400"


def test_tls_connections_without_a_handshake_give_way(crowded: Listening) -> None:
    context = ssl.create_default_context(cafile=str(crowded.ca_file))
    with connections(crowded.tls_url, 50, b"") as idle:
        answer = httpx.get(f"{crowded.tls_url}/_emulator/health", verify=context)
        assert answer.status_code == 200
        assert len(closed(idle)) >= 50 - LIMIT


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello"])
def test_a_connection_without_tls_is_closed(crowded: Listening, data: bytes) -> None:
    with connections(crowded.tls_url, 1, data) as (connection,), contextlib.suppress(ConnectionError):
        while connection.recv(1024):
            pass


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(crowded: Listening) -> None:
    context = ssl.create_default_context(cafile=str(crowded.ca_file))
    where = urlsplit(str(crowded.tls_url))
    for _ in range(5):
        with (
            socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=30) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            connection.sendall(HEALTH)
            assert connection.recv(12) == b"HTTP/1.1 200"


def test_connections_that_send_nothing_are_closed_in_time(workers: WorkerPool, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, head_seconds=0.1)
    with (
        running_server(settings, workers=workers) as server,
        connections(server.base_url, 100, b"") as idle,
    ):
        for each in idle:
            assert each.recv(1) == b""
