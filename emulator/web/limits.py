"""How often somebody may call, and how much they may send."""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAINED_BYTES = 64 * 1024 * 1024
"""How much of a refused body is read and thrown away, so that the client gets to read the answer."""


class SlidingWindow:
    """At most ``limit`` calls within any ``seconds``, for each key by itself.

    A call that is refused does not count.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def allows(self, key: str, now: float) -> bool:
        """Return whether a call at ``now`` is within the limit, and count it if it is."""
        calls = self._calls[key]
        while calls and calls[0] <= now - self._seconds:
            calls.popleft()
        if len(calls) >= self._limit:
            return False
        calls.append(now)
        return True


class BodyTooLarge(Exception):
    """The body has more bytes than the limit. Raised to the application that reads it."""


class BodyLimit:
    """ASGI middleware that refuses a body while it streams in, as soon as it is too large.

    Parameters
    ----------
    app : ASGI application
        What reads the body.
    limit : (path: str) -> int or None
        How many bytes a request to ``path`` may have; None for any number.
    refuse : (Scope) -> Response
        The answer, in the vendor's words.
    """

    def __init__(
        self, app: ASGIApp, limit: Callable[[str], int | None], refuse: Callable[[Scope], Response]
    ) -> None:
        self._app = app
        self._limit = limit
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse its body."""
        limit = self._limit(scope["path"])
        if limit is None:
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await self._answer_and_drain(scope, receive, send, more=True)
            return
        received = 0
        exceeded = more = False

        async def count() -> Message:
            nonlocal received, exceeded, more
            message = await receive()
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
            if received > limit:
                exceeded = True
                raise BodyTooLarge
            return message

        async def withhold(message: Message) -> None:
            # Whatever the application makes of the interruption is not what the client is told.
            if not exceeded:
                await send(message)

        with contextlib.suppress(BodyTooLarge):
            await self._app(scope, count, withhold)
        if exceeded:
            await self._answer_and_drain(scope, receive, send, more=more)

    async def _answer_and_drain(self, scope: Scope, receive: Receive, send: Send, *, more: bool) -> None:
        async def hold_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await self._refuse(scope)(scope, receive, hold_open)
        # A connection that is closed while the client still sends is reset, and the answer is lost.
        drained = 0
        while more and drained < DRAINED_BYTES:
            message = await receive()
            drained += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
