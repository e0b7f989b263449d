from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from emulator.backends.fetch import FetchFailed, FetchTimedOut, HttpFetcher


def fetch(url: str, limit: int = 1000, timeout_s: float = 5) -> bytes:
    async def run() -> bytes:
        fetcher = HttpFetcher()
        try:
            return await fetcher.fetch(url, limit=limit, timeout_s=timeout_s)
        finally:
            await fetcher.close()

    return asyncio.run(run())


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/picture.jpg"


@pytest.mark.parametrize(("limit", "expected"), [(1000, b"0123456789"), (10, b"0123456789"), (4, b"01234")])
def test_at_most_one_byte_beyond_the_limit_is_returned(
    listener: socket.socket, limit: int, expected: bytes
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
    thread = threading.Thread(target=answer_once, args=(listener, answer))
    thread.start()
    assert fetch(url_of(listener), limit) == expected
    thread.join()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n", b""]
)
def test_an_unusable_response_raises_fetch_failed(listener: socket.socket, answer: bytes) -> None:
    thread = threading.Thread(target=answer_once, args=(listener, answer))
    thread.start()
    with pytest.raises(FetchFailed) as caught:
        fetch(url_of(listener))
    thread.join()
    assert not isinstance(caught.value, FetchTimedOut)


def test_a_server_that_does_not_answer_times_out(listener: socket.socket) -> None:
    with pytest.raises(FetchTimedOut):
        fetch(url_of(listener), timeout_s=0.05)


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://host/a.jpg", "http://", "http://127.0.0.1:99999/"])
def test_an_invalid_url_raises_fetch_failed(url: str) -> None:
    with pytest.raises(FetchFailed):
        fetch(url)
