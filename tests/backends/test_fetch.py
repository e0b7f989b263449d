from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.backends import fetch as fetch_module
from emulator.backends.fetch import FetchFailed, FetchTimedOut, HttpFetcher


def fetch(url: str, limit: int = 1000, timeout_s: float = 5) -> bytes:
    async def run() -> bytes:
        fetcher = HttpFetcher()
        try:
            return await fetcher.fetch(url, credential="a", limit=limit, timeout_s=timeout_s)
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


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Writes the response to a request, which is the bytes of its head."""


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Serve on a free port. Yield the base URL."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    await answer(await reader.readuntil(b"\r\n\r\n"), writer)
                    await writer.drain()
        finally:
            writer.transport.abort()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            for task in list(serving):
                task.cancel()
            await asyncio.sleep(0)


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return head.encode() + body


def constant(answer: bytes) -> Answer:
    async def write(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if b"Connection: close" in answer:
            writer.write_eof()

    return write


async def longest_stall(work: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    """Return the result of ``work``, and the longest time for which it kept the event loop."""
    task = asyncio.ensure_future(work)
    longest = 0.0
    while not task.done():
        begun = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - begun)
    return task.exception() or task.result(), longest


def get(answer: bytes, limit: int = 1000) -> tuple[Any, float]:
    """Fetch ``answer`` once. Return the result or the exception, and the longest stall of the event loop."""

    async def run() -> tuple[Any, float]:
        fetcher = HttpFetcher()
        async with serving(constant(answer)) as url, contextlib.aclosing(_Closing(fetcher)):
            # The imports at the first fetch take the GIL from the loop, so they do not count here.
            with contextlib.suppress(FetchFailed):
                await fetcher.fetch("http://127.0.0.1:1/", credential="a", limit=1, timeout_s=5)
            return await longest_stall(fetcher.fetch(url, credential="a", limit=limit, timeout_s=5))

    return asyncio.run(run())


class _Closing:
    def __init__(self, fetcher: HttpFetcher) -> None:
        self.aclose = fetcher.close


@given(body=st.binary(max_size=300), limit=st.integers(1, 400), piece=st.sampled_from([1, 7, 65536]))
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate"])
def test_a_body_that_is_encoded_in_spite_of_the_request_is_decoded_in_bounded_steps(
    coding: str, body: bytes, limit: int, piece: int
) -> None:
    raw = zlib.compressobj(wbits=-15)
    encoded = {
        "gzip": gzip.compress(body),
        "x-gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw deflate": raw.compress(body) + raw.flush(),
    }[coding]
    if coding == "raw deflate":
        piece = 65536  # the kind is known from the first two bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch_module, "DECODED_BYTES", limit)
        decoder = fetch_module._Decoder(coding.removeprefix("raw "))  # noqa: SLF001 - the law of a part
        pieces = [
            part
            for begin in range(0, len(encoded), piece)
            for part in decoder.pieces(encoded[begin : begin + piece])
        ]
    assert all(len(part) <= limit for part in pieces)
    assert b"".join([*pieces, decoder.end()]) == body
    assert decoder.has_ended


def test_no_encoding_is_accepted_and_no_cookie_is_sent_back() -> None:
    requests: list[bytes] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        requests.append(request.lower())
        is_first = len(requests) == 1
        headers = ("Set-Cookie: tenant=a; Path=/", "Location: /b") if is_first else ("Set-Cookie: tenant=b",)
        writer.write(response(b"picture", *headers, status="302 Found" if is_first else "200 OK"))

    async def run() -> None:
        fetcher = HttpFetcher()
        async with serving(answer) as url:
            for credential in ("a", "b"):
                got = await fetcher.fetch(url, credential=credential, limit=99, timeout_s=5)
                assert got == b"picture"
            await fetcher.close()

    asyncio.run(run())
    assert len(requests) == 3
    assert all(b"accept-encoding: identity\r\n" in request for request in requests)
    assert not any(b"cookie" in request for request in requests)


def test_a_gzip_bomb_is_cut_off_at_the_limit_and_does_not_stall_the_loop() -> None:
    bomb = gzip.compress(bytes(256 * 1024 * 1024), compresslevel=1)
    got, stall = get(response(bomb, "Content-Encoding: gzip"), limit=2 * 1024 * 1024)
    assert got == bytes(2 * 1024 * 1024 + 1)
    assert stall < 0.1


def test_a_nested_gzip_bomb_is_refused() -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    assert len(bomb) < 2600
    for headers in (
        ("Content-Encoding: gzip, gzip",),
        ("Content-Encoding: gzip", "Content-Encoding: gzip"),
    ):
        got, stall = get(response(bomb, *headers), limit=2 * 1024 * 1024)
        assert isinstance(got, FetchFailed)
        assert stall < 0.1


@pytest.mark.parametrize(
    "answer",
    [
        response(b"not gzip", "Content-Encoding: gzip"),
        response(gzip.compress(b"cut off", mtime=0)[:-9], "Content-Encoding: gzip"),
        response(b"?", "Content-Encoding: br"),
        response(b"", "Location: file:///etc/passwd", status="302 Found"),
        response(b"", "Location: http://:0/", status="302 Found"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
    ],
)
def test_a_damaged_body_or_redirect_raises_fetch_failed(answer: bytes) -> None:
    assert isinstance(get(answer)[0], FetchFailed)


def test_endless_redirects_raise_fetch_failed() -> None:
    got, _ = get(response(b"", "Location: /again", status="307 Temporary Redirect"))
    assert isinstance(got, FetchFailed)
    assert got.reason == "more than 20 redirects"


def test_a_password_is_sent_to_its_host_only_and_shown_nowhere() -> None:
    requests: list[bytes] = []

    async def other(request: bytes, writer: asyncio.StreamWriter) -> None:
        requests.append(request)
        writer.write(response(b"", status="404 Not Found"))

    async def run() -> FetchFailed:
        fetcher = HttpFetcher()
        async with serving(other) as there:

            async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
                requests.append(request)
                writer.write(response(b"", f"Location: {there}/", status="302 Found"))

            async with serving(answer) as url:
                address = url.replace("//", "//user:p%40ss@")
                with pytest.raises(FetchFailed) as caught:
                    await fetcher.fetch(address, credential="a", limit=99, timeout_s=5)
            await fetcher.close()
        return caught.value

    error = asyncio.run(run())
    assert [b"Authorization: Basic dXNlcjpwQHNz\r\n" in request for request in requests] == [True, False]
    assert "p%40ss" not in str(error)
    assert "127.0.0.1" in str(error)


def test_slow_downloads_of_one_credential_do_not_delay_others() -> None:
    """150 downloads that hang delay neither another credential nor the same one."""
    begun = asyncio.Semaphore(0)

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" in request:
            begun.release()
        else:
            writer.write(response(b"quick"))

    async def run() -> None:
        fetcher = HttpFetcher()
        async with serving(answer) as url, asyncio.TaskGroup() as group:
            slow = [
                group.create_task(fetcher.fetch(f"{url}/slow", credential="a", limit=9, timeout_s=60))
                for _ in range(150)
            ]
            for _ in slow:
                await begun.acquire()
            for credential in ("a", "b"):
                assert await fetcher.fetch(url, credential=credential, limit=9, timeout_s=5) == b"quick"
            assert not any(each.done() for each in slow)
            for each in slow:
                each.cancel()
        await fetcher.close()

    asyncio.run(run())


def test_a_credential_that_uses_its_whole_share_does_not_delay_others() -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" not in request:
            writer.write(response(b"quick"))

    async def run() -> None:
        fetcher = HttpFetcher(downloads=4)
        async with serving(answer) as url, asyncio.TaskGroup() as group:
            slow = [
                group.create_task(fetcher.fetch(f"{url}/slow", credential="a", limit=9, timeout_s=60))
                for _ in range(50)
            ]
            for _ in range(20):
                assert await fetcher.fetch(url, credential="b", limit=9, timeout_s=5) == b"quick"
            for each in slow:
                each.cancel()
        await fetcher.close()

    asyncio.run(run())


def test_the_time_in_which_a_download_waits_for_its_turn_does_not_count() -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" not in request:
            writer.write(response(b"quick"))

    async def run() -> None:
        fetcher = HttpFetcher(downloads=1)
        async with serving(answer) as url:
            slow = [fetcher.fetch(f"{url}/slow", credential="a", limit=9, timeout_s=0.05) for _ in range(4)]
            quick = fetcher.fetch(url, credential="a", limit=9, timeout_s=0.15)
            *timed_out, got = await asyncio.gather(*slow, quick, return_exceptions=True)
        assert all(isinstance(each, FetchTimedOut) for each in timed_out)
        assert got == b"quick"
        await fetcher.close()

    asyncio.run(run())


@pytest.mark.parametrize("is_declared", [True, False])
def test_pictures_in_memory_are_limited_and_counted_until_their_caller_ends(
    monkeypatch: pytest.MonkeyPatch, *, is_declared: bool
) -> None:
    """Three pictures fit in a credential's share. The fourth waits until a caller ends."""
    monkeypatch.setattr(fetch_module, "MOST_BYTES", 4000)
    monkeypatch.setattr(fetch_module, "STEP_BYTES", 1000)
    body = bytes(1000)

    async def answer(_request: bytes, writer: asyncio.StreamWriter) -> None:
        if is_declared:
            writer.write(response(body))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
            writer.write_eof()

    async def run() -> None:
        fetcher = HttpFetcher()
        may_end = asyncio.Event()

        async def use(url: str, held: asyncio.Event) -> None:
            assert await fetcher.fetch(url, credential="a", limit=2000, timeout_s=5) == body
            held.set()
            await may_end.wait()

        async with serving(answer) as url, asyncio.timeout(20), asyncio.TaskGroup() as group:
            events = [asyncio.Event() for _ in range(4)]
            users = [group.create_task(use(url, event)) for event in events[:3]]
            for event in events[:3]:
                await event.wait()
            group.create_task(use(url, events[3]))
            # No event tells that a caller waits.
            while not fetcher._memory._waiting:  # noqa: ASYNC110, SLF001 - see above
                await asyncio.sleep(0)
            assert await fetcher.fetch(url, credential="b", limit=999, timeout_s=5) == body
            assert not events[3].is_set()
            users[0].cancel()
            await events[3].wait()
            may_end.set()
        await fetcher.close()

    asyncio.run(run())
