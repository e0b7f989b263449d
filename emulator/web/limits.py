"""How often somebody may call, and how much they may send."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

IDLE_SECONDS = 5.0
"""How long a body that nobody wants may pause before its connection is closed all the same."""


class SlidingWindow:
    """At most ``limit`` calls within any ``seconds``, for each caller by itself.

    A call that is refused does not count.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._calls: dict[str, deque[float]] = {}

    def has_room(self, caller: str, now: float) -> bool:
        """Return whether a call at ``now`` is within the limit."""
        calls = self._calls.get(caller)
        while calls and calls[0] <= now - self._seconds:
            calls.popleft()
        if not calls:
            self._calls.pop(caller, None)
            return True
        return len(calls) < self._limit

    def count(self, caller: str, now: float) -> None:
        """Count a call at ``now``."""
        self._calls.setdefault(caller, deque()).append(now)

    async def forget(self, caller: str | None) -> None:
        """Forget the calls of one caller, or all."""
        if caller is None:
            self._calls.clear()
        else:
            self._calls.pop(caller, None)

    def allows(self, caller: str, now: float) -> bool:
        """Return whether a call at ``now`` is within the limit, and count it if it is."""
        room = self.has_room(caller, now)
        if room:
            self.count(caller, now)
        return room


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
    refuse : async (Request) -> Response
        The answer, in the vendor's words.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: Callable[[str], int | None],
        refuse: Callable[[Request], Awaitable[Response]],
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
        received = 0
        exceeded = False

        async def count() -> Message:
            nonlocal received, exceeded
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                exceeded = True
                raise BodyTooLarge
            return message

        async def withhold(message: Message) -> None:
            # Whatever the application makes of the interruption is not what the client is told.
            if not exceeded:
                await send(message)

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            exceeded = True
        else:
            with contextlib.suppress(BodyTooLarge):
                await self._app(scope, count, withhold)
        if exceeded:
            response = await self._refuse(Request(scope, receive))
            await response(scope, receive, send)


class DrainedBodies:
    """ASGI middleware that reads what an application leaves of a request's body, and throws it away.

    A connection that is closed while the client still sends is reset, and the client never gets to
    read its answer. So an answer's end is held back until the body has ended too, or nothing more of
    it has come for a while.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, and then read it to its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more = True

        async def watch() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def drain() -> None:
            with contextlib.suppress(TimeoutError):
                while more:
                    await asyncio.wait_for(watch(), IDLE_SECONDS)

        async def hold_the_end(message: Message) -> None:
            if message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            if has_body(scope) and more:
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, watch, hold_the_end)


def has_body(scope: Scope) -> bool:
    """Return whether a request says that it has a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
