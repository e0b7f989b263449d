"""One request and its response: reading, sending, capturing, and applying the fault."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.web.call import NO_ANSWER, Call
from emulator.web.capture.capture import Capture
from emulator.web.capture.content import DIGEST, WITHOUT_BLOBS
from emulator.web.digests import INLINE_BYTES, digest_of
from emulator.web.endings import pause, stopping
from emulator.web.headers import header_of
from emulator.world.faults.effects import Drip, Effect

DROPPERS = "face_emulator.droppers"
"""ASGI scope extension with the functions ``close`` and ``reset``, which end the connection."""

ARRIVED = "face_emulator.arrived"
"""ASGI scope extension that the server adds when the whole body has arrived. Then reading does not wait."""

PEEK_BYTES = 32 * 1024 * 1024
"""Largest number of bytes of a body that fault rules see."""

SMALL_BYTES = 64 * 1024
"""Number of bytes at the beginning of each body that `BodyMemory` does not count. So large bodies never block
small requests."""

DEFAULT_PAUSE_SECONDS = 30.0
"""Longest pause in a body while the application reads it, in real seconds."""

SLOWEST_BYTES = 500
"""Lowest average speed of a body, in bytes per second. The emulator waits for a body at most as long as it
takes at this speed, plus the longest allowed pause. Without this limit, a client that sends single bytes
could keep a connection busy forever. Apache's ``RequestReadTimeout`` has the same default."""

IDLE_SECONDS = 5.0
"""Real seconds to wait for the next part of a body that no route reads. Then the connection is closed."""


AddHeaders = Callable[[list[tuple[bytes, bytes]]], None]
"""Adds headers to those of a response."""


class ConnectionDropped(Exception):
    """Ends the connection without a response. Raised if the server does not have ``DROPPERS``."""


class BodyTooLarge(Exception):
    """The body is too long, or there is no memory for it. Raised while the application reads it."""


class BodyTimedOut(Exception):
    """The body has paused for too long, or arrives too slowly. Raised while the application reads it."""


class BodyMemory:
    """The memory for the request bodies of all connections.

    Parameters
    ----------
    most : int
        Largest size of all bodies together, in bytes. A single body may be longer, if it is the only one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0

    def grow(self, old: int, new: int) -> bool:
        """Let one body grow from ``old`` to ``new`` bytes. Return False if there is no room for it."""
        others = self._used - old
        if new > old and others and others + new > self._most:
            return False
        self._used = others + new
        return True


class Exchange:
    """A request and its response.

    ``receive`` counts, limits and captures the request body. ``send`` applies the fault of the call, and
    captures the response. The last part of the response is sent after the request body has been read. If the
    connection were closed earlier, it would be reset, and a client that is still sending would lose the
    response.

    Attributes
    ----------
    call : Call or None
        The call to a vendor; None for a request to the control API.
    pause_seconds : float
        Longest allowed pause in the body while the application reads it, in real seconds.
    longest_body : int or None
        Number of bytes that the application may read; None for no limit.
    is_too_large : bool
        Whether the application has tried to read more than ``longest_body`` bytes.
    is_timed_out : bool
        Whether the body has paused for too long, or arrived too slowly, while the application read it.
    memory : BodyMemory or None
        Limits the bodies of all connections; None for a body that the application does not keep in memory.
    is_crowded_out : bool
        Whether the memory for bodies was used up while the application read the body.
    status : int or None
        Status of the response that was sent; None before the response begins.
    added : tuple of callables
        Functions that add headers to the application's response, the last one first. They do the work of an
        ASGI middleware, but are not called for the body.
    """

    added: tuple[AddHeaders, ...] = ()
    call: Call | None = None
    status: int | None = None
    longest_body: int | None = None
    is_too_large = False
    is_timed_out = False
    memory: BodyMemory | None = None
    is_crowded_out = False
    _counted = 0
    _capture: Capture | None = None
    _finish: Callable[[], Awaitable[None]] | None = None
    _ahead: tuple[Message, ...] = ()
    _read = 0
    _arrived = 0
    _waited_s = 0.0
    _has_more = True
    _start: Message = {}  # noqa: RUF012 - replaced, never mutated
    _body = b""
    _is_over = False
    _has_started = False

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, pause_seconds: float = DEFAULT_PAUSE_SECONDS
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.pause_seconds = pause_seconds

    def record(self, capture: Capture | None, finish: Callable[[], Awaitable[None]]) -> None:
        """Capture the exchange, and await ``finish`` once, before the last part of the response is sent.

        If the last part is never sent, ``finish`` is awaited when ``run`` ends. Without ``capture``, only
        ``finish`` is awaited.
        """
        self._capture, self._finish = capture, finish

    async def run(self, app: ASGIApp) -> None:
        """Run the application that answers the request."""
        try:
            await app(self._scope, self.receive, self.send)
        except (BodyTimedOut, BodyTooLarge):
            refusal = self._refusal()
            if self._has_started or refusal is None:
                raise
            await refusal(self._scope, self._receive, self._emit)
        finally:
            if self.memory is not None:
                self.memory.grow(self._counted, 0)
            await self._note()

    @property
    def is_unreadable(self) -> bool:
        """Whether the application could not read the whole body."""
        return self.is_too_large or self.is_timed_out or self.is_crowded_out

    async def receive(self) -> Message:
        """Return the next message of the request.

        Raises
        ------
        BodyTooLarge
            If the body is longer than the application may read, or there is no memory for it.
        BodyTimedOut
            If the body has paused for too long, or arrives too slowly.
        """
        if self._ahead:
            message, *ahead = self._ahead
            self._ahead = tuple(ahead)
        else:
            message = await self._take_in_time()
        if self.longest_body is not None:
            self._read += len(message.get("body", b""))
            if self._read > self.longest_body:
                self.is_too_large = True
                raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        """Send a message of the application, with the fault of the call applied."""
        call = self.call
        if self._is_over:
            return  # the response was replaced or dropped
        if self.added and message["type"] == "http.response.start":
            headers = list(message["headers"])
            for add in reversed(self.added):
                add(headers)
            message = {**message, "headers": headers}
        refusal = None if call is not None or self._has_started else self._refusal()
        if refusal is not None:
            await self._replace(refusal)  # FastAPI answers any error in a body with status 400
        elif call is None or (call.injection is None and call.unknown_fault is None):
            await self._emit(message)
        elif call.unknown_fault is not None:
            await self._replace(JSONResponse({"error": str(call.unknown_fault)}, 400))
        elif call.effect is not None:
            await self._apply_fault(call.effect, message)

    async def until_client_leaves(self) -> None:
        """Wait until the client has closed its connection. If the body has not been read, wait forever."""
        if self._has_more and _has_body(self._scope):
            await asyncio.Event().wait()
        while (message := await self._take())["type"] != "http.disconnect":
            self._ahead += (message,)

    async def peek_body(self) -> bytes:
        """Return the part of the body that fault rules see. The application can still read the whole body."""
        read, most = 0, PEEK_BYTES if self.longest_body is None else min(PEEK_BYTES, self.longest_body + 1)
        while read < most and self._has_more:
            try:
                message = await self._take_in_time()
            except (BodyTimedOut, BodyTooLarge):
                break  # the application gets the error too, when it reads the rest
            self._ahead += (message,)
            read += len(message.get("body", b""))
        body = b"".join(message.get("body", b"") for message in self._ahead)
        if len(self._ahead) > 1:  # do not keep the body twice
            self._ahead = ({**self._ahead[-1], "body": body},)
        return body

    async def _take(self) -> Message:
        message = await self._receive()
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        self._arrived += len(message.get("body", b""))
        if self._capture is not None:
            self._capture.note_received(message)
        return message

    def _is_unread(self) -> bool:
        """Whether the client has not yet sent the whole body."""
        return self._has_more

    async def _take_in_time(self) -> Message:
        if not (self._has_more and _has_body(self._scope)):
            return await self._take()
        if self.is_crowded_out:
            raise BodyTooLarge
        try:
            message = await self._take_within(self.pause_seconds)
        except TimeoutError:
            self.is_timed_out = True
            raise BodyTimedOut from None
        size = max(0, self._arrived - SMALL_BYTES)
        if self.memory is not None and size:
            if not self.memory.grow(self._counted, size):
                self.is_crowded_out = True
                self._ahead = ()
                self.memory.grow(self._counted, 0)
                self._counted = 0
                raise BodyTooLarge
            self._counted = size
        return message

    def _refusal(self) -> Response | None:
        """Return the response to a body that cannot be read, if the application is not a vendor's."""
        if self.is_timed_out:
            return request_timeout()
        if self.is_too_large:
            return too_large(self.longest_body)
        return _no_room() if self.is_crowded_out else None

    async def _take_within(self, seconds: float) -> Message:
        """Wait at most ``seconds`` for the next message, and less if the whole body takes too long.

        ``SLOWEST_BYTES`` says how long the whole body may take.
        """
        if ARRIVED in self._scope.get("extensions", {}):
            return await self._take()  # a time limit would take longer than to read a small body
        clock = asyncio.get_running_loop()
        left = self.pause_seconds + self._arrived / SLOWEST_BYTES - self._waited_s
        begun = clock.time()
        try:
            async with asyncio.timeout(0 if self.is_timed_out else min(seconds, left)):
                return await self._take()
        finally:
            self._waited_s += clock.time() - begun

    async def _drain(self) -> None:
        """Read the rest of the body, until it ends, pauses for ``IDLE_SECONDS``, or has taken too long."""
        with contextlib.suppress(TimeoutError):
            while self._has_more:
                await self._take_within(IDLE_SECONDS)

    async def _emit(self, message: Message) -> None:
        """Send a message without applying a fault."""
        self._has_started = True
        capture = self._capture
        if capture is not None:
            is_long = len(message.get("body", b"")) > INLINE_BYTES
            capture.note_sent(await _with_digest(message) if is_long else message)
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif is_last and self._finish is not None:
            if capture is not None and self._has_more and capture.wants_rest:
                await self._drain()
            # Do this before sending the last part: once the client has it, the call must be in the journal.
            await self._note()
        if is_last and self._has_more and _has_body(self._scope):
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send(_part(b"", more=False))
            droppers = self._scope.get("extensions", {}).get(DROPPERS)
            if droppers is not None and self._is_unread():
                droppers["close"]()  # the rest of the body would be read as the next request
            return
        await self._send(message)

    async def _note(self) -> None:
        finish, self._finish = self._finish, None
        self._capture = None
        if finish is not None:
            await finish()

    async def _apply_fault(self, effect: Effect, message: Message) -> None:
        if effect.proxy_page is not None:
            await self._replace(_proxy_page(effect.proxy_page))
        elif effect.connection in NO_ANSWER:
            await self._drop(reset=effect.connection == "reset")
        elif message["type"] == "http.response.start":
            self._start = self._marked(message)
            if effect.content_type is not None:
                _set_header(self._start, b"content-type", effect.content_type.encode("latin-1"))
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._end(effect)

    async def _end(self, effect: Effect) -> None:
        body = bytes(self._body)
        if effect.connection == "answer_lost":
            await self._drop(reset=False)
            return
        if effect.body in {"malformed", "empty"}:
            body = body[: len(body) // 2] if effect.body == "malformed" else b""
            _set_header(self._start, b"content-length", str(len(body)).encode())
        await self._emit(self._start)
        if effect.body == "truncated" or effect.connection == "midway":
            await self._emit(_part(body[: len(body) // 2], more=True))
            await self._drop(reset=effect.connection == "midway")
        elif effect.drip is not None:
            await self._drip(body, effect.drip)
        else:
            await self._emit(_part(body, more=False))

    async def _drip(self, body: bytes, drip: Drip) -> None:
        stop = stopping(self._scope)
        for begin in range(0, len(body), drip.chunk_bytes):
            await self._emit(_part(body[begin : begin + drip.chunk_bytes], more=True))
            await pause(drip.pause_s, stop)
        await self._emit(_part(b"", more=False))

    async def _replace(self, response: Response) -> None:
        self._is_over = True

        async def marked(message: Message) -> None:
            is_start = message["type"] == "http.response.start"
            await self._emit(self._marked(message) if is_start else message)

        await response(self._scope, self.receive, marked)

    async def _drop(self, *, reset: bool) -> None:
        self._is_over = True
        droppers = self._scope.get("extensions", {}).get(DROPPERS)
        if droppers is None:
            raise ConnectionDropped
        if not reset:
            await self._drain()
        droppers["reset" if reset else "close"]()
        # Return only after the disconnect. Otherwise the server would send a response of its own.
        while (await self._take())["type"] != "http.disconnect":
            pass

    def _marked(self, message: Message) -> Message:
        """Return the start of a response. If the call has a fault, add a header with the fault's source."""
        headers = list(message["headers"])
        if self.call is not None and self.call.injection is not None:
            headers.append((b"x-emulator-fault", self.call.injection.source.encode("latin-1", "replace")))
        return {**message, "headers": headers}


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange of a scope."""
    exchange: Exchange = scope["state"]["exchange"]
    return exchange


def request_timeout() -> Response:
    """Return the response to a body that has paused for too long: a plain text with status 408."""
    return PlainTextResponse("Request Timeout\n", 408, {"connection": "close"})


def too_large(longest: int | None) -> Response:
    """Return the response of the control API to a body of more than ``longest`` bytes."""
    return JSONResponse({"error": f"the body has more than {longest} bytes"}, 413, {"connection": "close"})


def _no_room() -> Response:
    reason = "the emulator holds too many long request bodies; see the setting `body_memory_bytes`"
    return JSONResponse({"error": reason}, 503, {"connection": "close"})


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _with_digest(message: Message) -> Message:
    """Return a message with the digest of a long body, so that the journal does not block the event loop."""
    if message.get("more_body", False) or DIGEST in message or WITHOUT_BLOBS in message:
        return message
    return {**message, DIGEST: await digest_of(message["body"], hashlib.sha256)}


def _has_body(scope: Scope) -> bool:
    """Return whether the headers of a request announce a body."""
    if header_of(scope, b"content-length") in {None, b"0"}:
        return header_of(scope, b"transfer-encoding") is not None
    return True


def _set_header(start: MutableMapping[str, Any], name: bytes, value: bytes) -> None:
    kept = [(key, old) for key, old in start["headers"] if key.lower() != name]
    start["headers"] = [*kept, (name, value)]


def _proxy_page(status: int) -> Response:
    """Return the error page of a proxy that gets no response from its server."""
    reason = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}.get(
        status, "Server Error"
    )
    title = f"{status} {reason}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return HTMLResponse(page, status)
