from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.web.capture.capture import Capture
from emulator.web.digests import INLINE_BYTES
from emulator.web.exchange import ARRIVED, BodyMemory, BodyTooLarge, Exchange
from emulator.web.responses import BlobResponse, HashedResponse
from emulator.world.redaction import Redaction

T = TypeVar("T")


class Talk:
    """A request whose body arrives in chunks, and the response to it."""

    def __init__(self, chunks: Sequence[bytes], declared: int | None = None) -> None:
        self._chunks: Iterator[tuple[int, bytes]] = iter(enumerate(chunks))
        self._count = len(chunks)
        length = (b"content-length", str(declared).encode())
        self.scope: Scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/x",
            "query_string": b"",
            "headers": [(b"transfer-encoding", b"chunked")] if declared is None else [length],
        }
        self.received = 0
        self.read = 0
        self.sent: list[Message] = []
        self.read_at: list[int] = []
        """Number of bytes that were read when each message was sent."""

    async def receive(self) -> Message:
        index, chunk = next(self._chunks)
        self.received += 1
        self.read += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": index + 1 < self._count}

    async def send(self, message: Message) -> None:
        self.read_at.append(self.read)
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def run(self, app: ASGIApp) -> None:
        """Run an application through an exchange."""
        asyncio.run(Exchange(self.scope, self.receive, self.send).run(app))
        self.check()

    def check(self) -> None:
        """Check that exactly one response was sent, to its end."""
        assert not self.sent[-1].get("more_body", False)
        assert [message["type"] for message in self.sent].count("http.response.start") == 1


async def ignore_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", 401)(scope, receive, send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body.decode())(scope, receive, send)


def test_a_response_waits_for_the_end_of_an_unread_body() -> None:
    talk = Talk([bytes(7)] * 3)
    talk.run(ignore_the_body)
    assert (talk.status, talk.body, talk.read) == (401, b"no", 21)


def test_only_the_last_message_of_a_response_waits_for_the_body() -> None:
    talk = Talk([bytes(7)] * 3)
    talk.run(ignore_the_body)
    said = [(message.get("body"), message.get("more_body")) for message in talk.sent]
    assert said == [(None, None), (b"no", True), (b"", False)]
    assert talk.read_at == [0, 0, 21]


def test_a_response_after_the_body_was_read_is_sent_unchanged() -> None:
    talk = Talk([b"on", b"ce"])
    talk.run(echo)
    assert (talk.body, len(talk.sent)) == (b"once", 2)


def test_a_response_to_a_request_without_a_body_does_not_wait() -> None:
    talk = Talk([], declared=0)
    talk.run(ignore_the_body)
    assert (talk.status, talk.read) == (401, 0)


def test_a_stalled_body_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.web.exchange.IDLE_SECONDS", 0.01)

    class Pausing(Talk):
        async def receive(self) -> Message:
            if self.read:
                await asyncio.sleep(3600)
            return await super().receive()

    talk = Pausing([bytes(5), bytes(5)])
    talk.run(ignore_the_body)
    assert (talk.status, talk.body, talk.read) == (401, b"no", 5)


def shown(capture: Capture) -> object:
    assert capture.sent is not None
    return capture.sent.shown(Redaction((), None))["text"]


def recorded(talk: Talk) -> tuple[Exchange, list[Capture]]:
    """Return a recorded exchange, and the list that its capture is appended to."""
    talk.scope["headers"].append((b"content-type", b"text/plain"))
    exchange, taken = Exchange(talk.scope, talk.receive, talk.send), list[Capture]()
    capture = Capture(talk.scope)
    exchange.record(capture, appending(taken, capture))
    return exchange, taken


def appending(taken: list[T], item: T) -> Callable[[], Awaitable[None]]:
    """Return a function that appends an item to a list, after other work of the event loop."""

    async def append() -> None:
        await asyncio.sleep(0)
        taken.append(item)

    return append


def test_one_read_of_the_body_serves_application_capture_and_limit() -> None:
    talk = Talk([b"a text in ", b"three ", b"parts"])
    exchange, taken = recorded(talk)
    exchange.longest_body = 21
    asyncio.run(exchange.run(echo))
    talk.check()
    assert (talk.body, talk.received) == (b"a text in three parts", 3)
    assert [shown(capture) for capture in taken] == ["a text in three parts"]
    assert not exchange.is_too_large


def test_a_body_over_the_limit_is_recorded_whole() -> None:
    talk = Talk([b"a text in ", b"three ", b"parts"], declared=21)
    exchange, taken = recorded(talk)
    exchange.longest_body = 15

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(BodyTooLarge):
            await Request(scope, receive).body()
        assert (exchange.is_too_large, talk.received) == (True, 2)
        await PlainTextResponse("too large", 413)(scope, receive, send)

    asyncio.run(exchange.run(refuse))
    talk.check()
    # Without a vendor, the exchange replaces the response, because FastAPI would answer with status 400.
    error = b'{"error":"the body has more than 15 bytes"}'
    assert (talk.status, talk.body, talk.received) == (413, error, 3)
    assert [shown(capture) for capture in taken] == ["a text in three parts"]


def test_a_body_that_rules_match_is_read_once_and_passed_on() -> None:
    talk = Talk([b"a text in ", b"three ", b"parts"])
    exchange, taken = recorded(talk)

    async def look_and_answer() -> bytes:
        body = await exchange.peek_body()
        assert talk.received == 3
        await exchange.run(echo)
        return body

    assert asyncio.run(look_and_answer()) == talk.body == b"a text in three parts"
    assert talk.received == 3
    assert [shown(capture) for capture in taken] == ["a text in three parts"]


def test_rules_match_only_a_limited_part_of_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.web.exchange.PEEK_BYTES", 12)
    talk = Talk([b"a text in ", b"three ", b"parts"])
    exchange, taken = recorded(talk)

    async def look_and_answer() -> bytes:
        body = await exchange.peek_body()
        assert talk.received == 2
        await exchange.run(echo)
        return body

    assert asyncio.run(look_and_answer()) == b"a text in three "
    assert (talk.body, talk.received) == (b"a text in three parts", 3)
    assert [shown(capture) for capture in taken] == ["a text in three parts"]


def test_the_limit_includes_bytes_that_were_read_for_rules() -> None:
    talk = Talk([b"a text in ", b"three ", b"parts"])
    exchange = Exchange(talk.scope, talk.receive, talk.send)

    async def look_and_read() -> None:
        await exchange.peek_body()
        exchange.longest_body = 9
        with pytest.raises(BodyTooLarge):
            await exchange.receive()

    asyncio.run(look_and_read())
    assert exchange.is_too_large


def test_a_call_is_recorded_once_if_the_application_raises() -> None:
    async def broken(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()
        raise RuntimeError("broken")

    talk = Talk([b"a text that is long enough"])
    exchange, taken = recorded(talk)
    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(exchange.run(broken))
    (capture,) = taken
    assert (shown(capture), capture.status, capture.is_complete) == (
        "a text that is long enough",
        None,
        False,
    )


@pytest.mark.parametrize("is_captured", [True, False])
def test_a_call_is_recorded_before_the_last_message_of_its_response(*, is_captured: bool) -> None:
    finished, at_each = list[None](), list[int]()

    class Watched(Talk):
        async def send(self, message: Message) -> None:
            at_each.append(len(finished))
            await super().send(message)

    talk = Watched([], declared=0)
    exchange = Exchange(talk.scope, talk.receive, talk.send)
    exchange.record(Capture(talk.scope) if is_captured else None, appending(finished, None))
    asyncio.run(exchange.run(ignore_the_body))
    assert (at_each, len(finished), exchange.status) == ([0, 1], 1, talk.status)


@pytest.mark.parametrize(("longest", "status", "added"), [(3, 200, [b"inner", b"outer"]), (2, 413, [])])
def test_headers_are_added_to_the_response_of_the_application_alone(
    longest: int, status: int, added: list[bytes]
) -> None:
    talk = Talk([b"abc"])
    exchange = Exchange(talk.scope, talk.receive, talk.send)
    exchange.longest_body = longest
    exchange.added = (
        lambda headers: headers.append((b"outer", b"1")),
        lambda headers: headers.append((b"inner", b"1")),
    )
    asyncio.run(exchange.run(echo))
    assert talk.status == status
    assert [name for name, value in talk.sent[0]["headers"] if value == b"1"] == added


class SkippingLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock that a test can move."""

    skipped = 0.0

    def time(self) -> float:
        """Return the loop's time."""
        return super().time() + self.skipped


@pytest.mark.parametrize("app", [echo, ignore_the_body])
@pytest.mark.parametrize(
    ("size", "seconds", "is_read"),
    [(1, 20.0, False), (10_000, 19.0, True), (9_000, 19.0, False)],
    ids=["drip", "slow but steady", "too slow"],
)
def test_a_body_may_not_be_slower_than_500_bytes_per_second(
    app: ASGIApp, size: int, seconds: float, *, is_read: bool
) -> None:
    """No single pause is too long: each piece comes before the 30 seconds are over."""
    loop = SkippingLoop()
    pieces = 100
    wait = min(seconds, 4.0) if app is ignore_the_body else seconds
    talk = Talk([b"a" * (size if app is echo else size // 5)] * pieces)
    receive = talk.receive

    async def slowly() -> Message:
        loop.skipped += wait
        await asyncio.sleep(0)
        return await receive()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(Exchange(talk.scope, slowly, talk.send).run(app))
    assert (talk.received == pieces) == is_read
    assert talk.status == (401 if app is ignore_the_body else 200 if is_read else 408)


@pytest.mark.parametrize("has_arrived", [True, False])
def test_only_a_body_that_still_arrives_has_a_time_limit(*, has_arrived: bool) -> None:
    talk = Talk([b"once"])
    talk.scope["extensions"] = {ARRIVED: {}} if has_arrived else {}
    receive = talk.receive

    async def later() -> Message:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await receive()

    asyncio.run(Exchange(talk.scope, later, talk.send, pause_seconds=0).run(echo))
    assert (talk.status, talk.body) == ((200, b"once") if has_arrived else (408, b"Request Timeout\n"))


@given(
    most=st.integers(1, 10),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.booleans()), max_size=30),
)
def test_bodies_never_hold_more_than_the_memory_unless_one_is_alone(
    most: int, steps: list[tuple[int, int, bool]]
) -> None:
    """Four bodies grow and end."""
    memory, sizes = BodyMemory(most), [0, 0, 0, 0]
    for body, size, ends in steps:
        new = 0 if ends else max(size, sizes[body])
        others = sum(sizes) - sizes[body]
        is_granted = memory.grow(sizes[body], new)
        assert is_granted == (new <= sizes[body] or not others or others + new <= most)
        if is_granted:
            sizes[body] = new
        assert sum(sizes) <= most or sum(map(bool, sizes)) <= 1


def test_a_body_gives_its_memory_back_when_the_exchange_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.web.exchange.SMALL_BYTES", 2)
    memory = BodyMemory(5)
    memory.grow(0, 1)
    for expected in (200, 503, 200):
        talk = Talk([b"0123", b"45"] if expected == 200 else [b"0123", b"4567"])
        exchange = Exchange(talk.scope, talk.receive, talk.send)
        exchange.memory = memory
        asyncio.run(exchange.run(echo))
        assert talk.status == expected


@pytest.mark.parametrize("size", [INLINE_BYTES, INLINE_BYTES + 1])
@pytest.mark.parametrize("kind", ["whole", "parts", "JSON", "hashed"])
def test_the_digest_of_a_long_response_does_not_block_the_event_loop(
    kind: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(size)
    threads: list[bool] = []

    def noted(data: bytes = b"") -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return hashlib.sha256(data)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if kind == "JSON":
            await BlobResponse({"a": data})(scope, receive, send)
        elif kind == "hashed":
            await HashedResponse(data, hashlib.sha256(data), {}, "image/png")(scope, receive, send)
        elif kind == "whole":
            await Response(data, media_type="image/png")(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": data[1:], "more_body": True})
            await send({"type": "http.response.body", "body": data[:1]})

    monkeypatch.setattr("emulator.web.exchange.hashlib", SimpleNamespace(sha256=noted))
    talk = Talk([], declared=0)
    exchange, taken = recorded(talk)
    asyncio.run(exchange.run(app))
    (capture,) = taken
    capture.close()
    answer = capture.shown_answer(Redaction((), None))
    assert answer is not None
    described = answer["json"]["a"] if kind == "JSON" else answer
    assert described["sha256"] == hashlib.sha256(data).hexdigest()
    assert threads == ([False] if kind == "whole" and size > INLINE_BYTES else [])
