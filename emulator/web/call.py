"""One call of a client: who makes it, what goes wrong with it on purpose, and how that reaches the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.pipelines.options import PictureFault
from emulator.tasks.runner import TaskFault
from emulator.web.capture import Capture, recording
from emulator.web.catalogue import VendorError
from emulator.web.endings import pause, stopping
from emulator.web.faults import Drip, Effect, Faults, Injection, Occasion, Target, UnknownFault
from emulator.web.journal import Journal
from emulator.web.limits import IDLE_SECONDS
from emulator.web.notices import NOTICES, Notice

DROPPERS = "face_emulator.droppers"
"""The extension of the ASGI scope that can close a connection: a mapping of ``close`` and ``reset``."""

LOOKED_INTO_BYTES = 32 * 1024 * 1024
"""How far into a body rules look: it is held in memory before the vendor can refuse it as too large."""

NO_ANSWER = frozenset({"closed", "reset"})
BUFFERED = frozenset({"truncated", "malformed", "empty"})


class Intercepted(Exception):
    """The call is answered by something in front of the vendor, or by nobody: no route goes on with it."""


class ConnectionDropped(Exception):
    """The connection is gone without an answer. Raised where the server has no way to close one."""


@dataclass(eq=False)
class Call:
    """A call on its way.

    Attributes
    ----------
    vendor : str
        Whose API is called.
    operation : str or None
        Which of its operations, once the route is found.
    credential : str or None
        Whose call it is, once that is known.
    injection : Injection or None
        What goes wrong with it, once that is decided.
    is_decided : bool
        Whether it is.
    body : bytes
        Empty unless a rule looks into bodies.
    unknown_fault : UnknownFault or None
        Why what the client asked for in band cannot be.
    notices : list of Notice
        What the client did wrong though it got through.
    """

    vendor: str
    target: Target
    faults: Faults
    scope: Scope
    operation: str | None = None
    credential: str | None = None
    injection: Injection | None = None
    is_decided: bool = False
    body: bytes = b""
    unknown_fault: UnknownFault | None = None
    notices: list[Notice] = field(default_factory=list)

    def warn(self, code: str, detail: str) -> None:
        """Take down that the client does something wrong, though it gets through.

        Raises
        ------
        KeyError
            If there is no such code.
        """
        self.notices.append(Notice(NOTICES[code].code, detail))

    async def identify(self, credential: str | None) -> None:
        """Take down whose call it is, and let happen what is to happen to it.

        A route calls it as soon as it knows the credential, before it asks whether that is good.

        Raises
        ------
        VendorError
            If an error of the catalogue is to be answered.
        Intercepted
            If the route must not go on.
        """
        if self.is_decided:
            return
        self.is_decided = True
        self.credential = credential
        route = self.scope.get("route")
        self.operation = getattr(route, "name", None)
        occasion = Occasion(self.vendor, self.operation, credential, _headers(self.scope), self.body)
        try:
            self.injection = await self.faults.decide(occasion)
        except UnknownFault as error:
            self.unknown_fault = error
            raise Intercepted from error
        if self.injection is None:
            return
        effect = self.injection.effect
        if effect.latency is not None:
            await pause(effect.latency.drawn(self.injection.chance), stopping(self.scope))
        if effect.proxy_page is not None or effect.connection in NO_ANSWER:
            raise Intercepted
        if effect.error is not None:
            entry = self.target.errors[effect.error]
            if not entry.of_task:
                raise entry.occur(**{**entry.example, **effect.places})

    @property
    def effect(self) -> Effect | None:
        """What goes wrong with it, if anything does."""
        return None if self.injection is None else self.injection.effect

    @property
    def task_fault(self) -> TaskFault:
        """What goes wrong with the task that it creates."""
        effect = self.effect
        if effect is None:
            return TaskFault()
        error = effect.error
        return TaskFault(
            is_stuck=effect.task == "stuck",
            error=error if error is not None and self.target.errors[error].of_task else None,
            announcement=None if effect.webhook is None else effect.webhook.model_dump(),
        )

    @property
    def picture_fault(self) -> PictureFault | None:
        """What is done to the pictures that it brings."""
        return None if self.effect is None else self.effect.picture


def call_of(request: Request) -> Call:
    """Return the call that a request is."""
    call: Call = request.state.call
    return call


CallDep = Annotated[Call, Depends(call_of)]
"""What a route asks for to say whose call it is."""


class Calls:
    """ASGI middleware around one vendor's application: makes the ``Call``, bends its answer, keeps it.

    The outermost one, so that what goes wrong with an answer goes wrong with all of it.
    """

    def __init__(self, app: ASGIApp, vendor: str, target: Target, faults: Faults, journal: Journal) -> None:
        self._app = app
        self._vendor = vendor
        self._target = target
        self._faults = faults
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call, or let something go wrong with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = Call(self._vendor, self._target, self._faults, scope)
        scope.setdefault("state", {})["call"] = call
        if not self._journal.is_on:
            await self._bend(call, scope, receive, send)
            return
        capture = Capture(scope)
        is_noted = False

        def note() -> None:
            nonlocal is_noted
            if not is_noted:
                is_noted = True
                self._journal.note(
                    capture,
                    vendor=self._vendor,
                    operation=call.operation,
                    credential=call.credential,
                    fault=_fault_of(call),
                    notices=call.notices,
                )

        try:
            read_along = capture.reading(receive)
            await self._bend(call, scope, read_along, recording(capture, read_along, send, note))
        finally:
            note()

    async def _bend(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        if self._faults.needs_bodies:
            call.body, receive = await _read_ahead(receive)
        request = _Request(receive)
        answer = _Answer(call, request, scope, send)
        await self._app(scope, request.receive, answer.send)


class Undecided:
    """ASGI middleware inside a vendor's application: decides at the latest when the answer begins.

    What no route has identified (an unknown path, a body too long) is the call of ``whose`` it looks, or
    else nobody's, and rules for everybody hold for that too.
    """

    def __init__(
        self,
        app: ASGIApp,
        render: Callable[[Request, VendorError], Awaitable[Response]],
        whose: Callable[[Request], Awaitable[str | None]],
    ) -> None:
        self._app = app
        self._render = render
        self._whose = whose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the call."""
        call: Call | None = scope.get("state", {}).get("call")
        if scope["type"] != "http" or call is None:
            await self._app(scope, receive, send)
            return
        replaced: Response | None = None

        async def decide_first(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and not call.is_decided:
                try:
                    await call.identify(await self._whose(Request(scope)))
                except VendorError as error:
                    replaced = await self._render(Request(scope, receive), error)
                except Intercepted:
                    replaced = Response()
            if replaced is None:
                await send(message)

        await self._app(scope, receive, decide_first)
        if replaced is not None:
            await replaced(scope, receive, send)


class _Request:
    """The way of a request to the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def receive(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what is left of the body: a connection that is closed over it would be reset."""
        with contextlib.suppress(TimeoutError):
            while self._more:
                await asyncio.wait_for(self.receive(), IDLE_SECONDS)


class _Answer:
    """The way of an answer to the client, through what goes wrong with it."""

    def __init__(self, call: Call, request: _Request, scope: Scope, send: Send) -> None:
        self._call = call
        self._request = request
        self._scope = scope
        self._send = send
        self._start: Message = {}
        self._body = bytearray()
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Pass a message of the application on, or what becomes of it."""
        effect = self._call.effect
        if self._is_over:
            return  # whatever the application still says, nobody hears it
        if self._call.unknown_fault is not None:
            await self._replace(JSONResponse({"error": str(self._call.unknown_fault)}, 400))
        elif effect is None:
            await self._send(message)
        elif effect.proxy_page is not None:
            await self._replace(_proxy_page(effect.proxy_page))
        elif effect.connection in NO_ANSWER:
            await self._drop(reset=effect.connection == "reset")
        elif message["type"] == "http.response.start":
            self._start = _marked(message, self._call)
            if effect.content_type is not None:
                _set_header(self._start, b"content-type", effect.content_type.encode("latin-1"))
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(effect)

    async def _finish(self, effect: Effect) -> None:
        body = bytes(self._body)
        if effect.connection == "answer_lost":
            await self._drop(reset=False)
            return
        if effect.body in {"malformed", "empty"}:
            body = body[: len(body) // 2] if effect.body == "malformed" else b""
            _set_header(self._start, b"content-length", str(len(body)).encode())
        await self._send(self._start)
        if effect.body == "truncated" or effect.connection == "midway":
            await self._send(_part(body[: len(body) // 2], more=True))
            await self._drop(reset=effect.connection == "midway")
        elif effect.drip is not None:
            await self._drip(body, effect.drip)
        else:
            await self._send(_part(body, more=False))

    async def _drip(self, body: bytes, drip: Drip) -> None:
        stop = stopping(self._scope)
        for begin in range(0, len(body), drip.chunk_bytes):
            await self._send(_part(body[begin : begin + drip.chunk_bytes], more=True))
            await pause(drip.pause_s, stop)
        await self._send(_part(b"", more=False))

    async def _replace(self, response: Response) -> None:
        self._is_over = True

        async def marked(message: Message) -> None:
            is_start = message["type"] == "http.response.start"
            await self._send(_marked(message, self._call) if is_start else message)

        await response(self._scope, self._request.receive, marked)

    async def _drop(self, *, reset: bool) -> None:
        self._is_over = True
        droppers = self._scope.get("extensions", {}).get(DROPPERS)
        if droppers is None:
            raise ConnectionDropped
        if not reset:
            await self._request.drain()
        droppers["reset" if reset else "close"]()
        # Until the server knows that the connection is gone, it would answer for us.
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def _fault_of(call: Call) -> dict[str, Any] | None:
    if call.injection is None:
        return None
    effect = call.injection.effect.model_dump(mode="json", exclude_defaults=True)
    return {"source": call.injection.source, "effect": effect}


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _marked(message: Message, call: Call) -> Message:
    """Return the beginning of an answer with the header that says what was done to it on purpose."""
    headers = list(message["headers"])
    if call.injection is not None:
        headers.append((b"x-emulator-fault", call.injection.source.encode("latin-1", "replace")))
    return {**message, "headers": headers}


def _set_header(start: MutableMapping[str, Any], name: bytes, value: bytes) -> None:
    kept = [(key, old) for key, old in start["headers"] if key.lower() != name]
    start["headers"] = [*kept, (name, value)]


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _proxy_page(status: int) -> Response:
    """Return what a proxy says whose server behind it does not answer."""
    reason = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}.get(
        status, "Server Error"
    )
    title = f"{status} {reason}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return HTMLResponse(page, status)


async def _read_ahead(receive: Receive) -> tuple[bytes, Receive]:
    """Return a body, as far as rules look into it, and what hands the same messages out again."""
    messages: list[Message] = []
    read = 0
    while read < LOOKED_INTO_BYTES:
        message = await receive()
        messages.append(message)
        read += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    replay = iter(messages)

    async def again() -> Message:
        return next(replay, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), again
