from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.web.limits import BodyLimit, DrainedBodies, SlidingWindow


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2)), max_size=60))
def test_no_window_holds_more_calls_than_the_limit(steps: list[tuple[str, float]]) -> None:
    window, now = SlidingWindow(3, seconds=5), 0.0
    allowed: dict[str, list[float]] = {"a": [], "b": []}
    for key, step in steps:
        now += step
        recent = [call for call in allowed[key] if call > now - 5]
        answer = window.allows(key, now)
        assert answer == (len(recent) < 3)
        if answer:
            allowed[key].append(now)


class Exchange:
    """A request whose body comes in chunks, and what is answered."""

    def __init__(self, chunks: list[int], declared: int | None = None) -> None:
        self._chunks: Iterator[tuple[int, int]] = iter(enumerate(chunks))
        self._count = len(chunks)
        length = (b"content-length", str(declared).encode())
        headers = [(b"transfer-encoding", b"chunked")] if declared is None else [length]
        self.scope: Scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
        self.read = 0
        self.sent: list[Message] = []
        self.read_when_answered: int | None = None

    async def receive(self) -> Message:
        index, size = next(self._chunks)
        self.read += size
        return {"type": "http.request", "body": bytes(size), "more_body": index + 1 < self._count}

    async def send(self, message: Message) -> None:
        if self.read_when_answered is None:
            self.read_when_answered = self.read
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await PlainTextResponse(str(size))(scope, receive, send)


async def ignore_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("no", 401)(scope, receive, send)


async def refuse(_request: Request) -> Response:
    return PlainTextResponse("too large", 413)


def exchange(app: ASGIApp, chunks: list[int], declared: int | None = None) -> Exchange:
    talk = Exchange(chunks, declared)

    async def run() -> None:
        await app(talk.scope, talk.receive, talk.send)

    asyncio.run(run())
    assert not talk.sent[-1].get("more_body", False)
    assert [message["type"] for message in talk.sent].count("http.response.start") == 1
    return talk


def limited(limit: int | None) -> ASGIApp:
    return DrainedBodies(BodyLimit(echo, lambda _path: limit, refuse))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 40))
def test_a_body_passes_whole_or_is_refused(chunks: list[int], limit: int) -> None:
    talk = exchange(limited(limit), chunks)
    if sum(chunks) <= limit:
        assert (talk.status, talk.body) == (200, str(sum(chunks)).encode())
    else:
        assert (talk.status, talk.body) == (413, b"too large")
    # Read to its end in any case, so that the client gets to read the answer.
    assert talk.read == sum(chunks)


def test_a_body_is_refused_while_it_streams_in() -> None:
    talk = exchange(limited(10), [4] * 100)
    assert (talk.status, talk.read_when_answered, talk.read) == (413, 12, 400)


def test_a_declared_length_is_refused_at_once() -> None:
    refused = exchange(limited(5), [3, 3], declared=6)
    assert (refused.status, refused.read_when_answered, refused.read) == (413, 0, 6)
    assert exchange(limited(5), [5], declared=5).status == 200


def test_without_a_limit_everything_passes() -> None:
    assert exchange(limited(None), [10, 10]).body == b"20"


def test_an_answer_that_does_not_need_the_body_waits_for_its_end() -> None:
    talk = exchange(DrainedBodies(ignore_the_body), [7, 7, 7])
    assert (talk.status, talk.body, talk.read) == (401, b"no", 21)


def test_a_request_without_a_body_is_not_waited_for() -> None:
    talk = exchange(DrainedBodies(ignore_the_body), [], declared=0)
    assert (talk.status, talk.read) == (401, 0)


def test_a_body_that_pauses_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.web.limits.IDLE_SECONDS", 0.01)

    class Pausing(Exchange):
        async def receive(self) -> Message:
            if self.read:
                await asyncio.sleep(3600)
            return await super().receive()

    talk = Pausing([5, 5])
    asyncio.run(DrainedBodies(ignore_the_body)(talk.scope, talk.receive, talk.send))
    assert (talk.status, talk.body, talk.read) == (401, b"no", 5)
    assert not talk.sent[-1].get("more_body", False)
