from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from emulator.web.limits import DRAINED_BYTES, BodyLimit, SlidingWindow


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
        headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        self.scope: Scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
        self.read = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        index, size = next(self._chunks)
        self.read += size
        return {"type": "http.request", "body": bytes(size), "more_body": index + 1 < self._count}

    async def send(self, message: Message) -> None:
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


def exchange(chunks: list[int], limit: int | None, declared: int | None = None) -> Exchange:
    talk = Exchange(chunks, declared)
    app = BodyLimit(echo, lambda _path: limit, lambda _scope: PlainTextResponse("too large", 413))
    asyncio.run(app(talk.scope, talk.receive, talk.send))
    assert not talk.sent[-1].get("more_body", False)
    return talk


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 40))
def test_a_body_passes_whole_or_is_refused(chunks: list[int], limit: int) -> None:
    talk = exchange(chunks, limit)
    if sum(chunks) <= limit:
        assert (talk.status, talk.body) == (200, str(sum(chunks)).encode())
    else:
        assert (talk.status, talk.body) == (413, b"too large")
    # Read to its end in any case, so that the client gets to read the answer.
    assert talk.read == sum(chunks)


def test_a_declared_length_is_refused_at_once() -> None:
    assert exchange([1], limit=5, declared=6).status == 413
    assert exchange([1], limit=5, declared=5).status == 200


def test_without_a_limit_everything_passes() -> None:
    assert exchange([10, 10], limit=None).body == b"20"


@pytest.mark.parametrize("size", [DRAINED_BYTES // 4])
def test_a_body_without_an_end_is_drained_only_so_far(size: int) -> None:
    talk = exchange([size] * 12, limit=10)
    assert talk.status == 413
    assert talk.read <= DRAINED_BYTES + 2 * size
