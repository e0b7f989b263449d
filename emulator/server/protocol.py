"""HTTP/1.1 on one connection: uvicorn's protocol, with limits and without upgrades."""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import struct
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.server.access_log import AccessLog
from emulator.server.crowd import Crowd
from emulator.server.relay import Relay, Target
from emulator.server.response_transport import ResponseTransport
from emulator.web.endings import ON_STOP
from emulator.web.exchange import ARRIVED, DROPPERS
from emulator.web.proxy import ANSWERED, PROXY, TLS_NAME

HEAD_BYTES = 64 * 1024
"""Largest size of a request's head: the request line and the headers."""

HEAD_FIELDS = 100
"""Largest number of headers in a request."""

TOO_LARGE = f"the head of the request has more than {HEAD_BYTES // 1024} KiB or {HEAD_FIELDS} headers"

LONG_LENGTH = re.compile(
    rb"^(content-length[ \t]*:[ \t]*)([0-9]{19,})(?=[ \t]*\r?$)", re.IGNORECASE | re.MULTILINE
)
"""A ``Content-Length`` that the parser may refuse, because it is 2^64 or more."""

END_OF_HEAD = re.compile(rb"\n\r?\n")

TLS_BEGIN = b"\x16\x03"
"""The first bytes of a TLS connection: the record type of a handshake, and the major version."""

BEGINS_TLS = "this port serves plain HTTP, and the request begins like TLS; write http:// or use the TLS port"

SHOWN_BYTES = 8 * 1024
"""Largest number of bytes to record of a refused request's URL."""

LINGER_SECONDS = 2.0
"""Real seconds for which the rest of a refused request is read. If the connection were closed while the
client still sends, it would be reset, and the client would lose the response."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits, without upgrades, and with three ASGI extensions.

    - A head that is too long is answered with status 431, one that is not complete in time with 408, and one
      that is malformed with 400. These responses come after the responses to earlier requests. The extension
      ``ANSWERED`` makes the application record them.
    - A ``Content-Length`` of 2^64 or more reaches the application, so that the vendor's own error answers it.
      httptools would refuse it as malformed.
    - The timer for idle connections is not started anew for each response. When it fires, it is started again
      if the connection has been busy in the meantime.
    - Offers to upgrade (``Upgrade: h2c``) are ignored. httptools stops at such a request and loses its body,
      so the parser is replaced by a new one that gets the request without the offer.
    - ``CONNECT`` opens a tunnel if ``relay`` has a target for the request. The tunnel opens after the
      responses to earlier requests. Without a target, the application refuses the request.
    - The extension ``DROPPERS`` has functions that close the connection without a response. With ``ON_STOP``,
      a response registers a callback that runs when the server stops. Streams need this callback, because
      they do not end by themselves. ``ARRIVED`` says that the whole body has arrived.
    """

    relay: Relay
    crowd: Crowd
    head_seconds: float
    """Real seconds in which the head of a request must arrive."""
    log: AccessLog | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Start the time limit of the first head. Refuse the connection if too many are open."""
        super().connection_made(cast("Transport", transport))
        connection: Any = transport.get_extra_info("ssl_object")
        self._tls_name: str | None = getattr(getattr(connection, "context", None), "name", None)
        self._is_in_head = True
        self._head_bytes = self._head_bound = self._data_bytes = 0
        self._has_begun = False
        self._refusal: HTTPStatus | None = None
        self._is_closing = False
        self._early: bytearray | None = None
        self._next: Callable[[], None] | None = None
        self._offered: list[tuple[bytes, bytes]] | None = None
        self._head = bytearray()
        self._long_length: bytes | None = None
        self._is_head_held = False
        self._endings: set[Callable[[], None]] = set()
        self._idle_since: float | None = None
        self._head_timer: TimerHandle | None = self.loop.call_later(self.head_seconds, self._head_timed_out)
        if not self.crowd.admit(self, self.connections):
            self._stop_head_timer()
            self._refusal = HTTPStatus.SERVICE_UNAVAILABLE
            self._write_refusal("too many connections are open")
            if not self.crowd.has_room_to_refuse(self.connections):
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit, and no longer count the connection as idle."""
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        self.crowd.note_busy(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data that has arrived."""
        if self._refusal is not None or self._is_closing:
            return
        if self._early is not None:
            self._early += data
            if len(self._early) > HEAD_BYTES:
                self.flow.pause_reading()
            return
        self._idle_since = None
        if self._is_in_head:
            self._head_bytes += len(data)
            self._head_bound += len(data)
            self._head += data
        self._data_bytes = len(data)
        if not self._parse(data):
            self._refuse_malformed(data)
            return
        if self._is_in_head and self._head_bytes > HEAD_BYTES:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if self._refusal is not None:
            self._refuse(self._refusal, TOO_LARGE)
        elif self._is_in_head and self._head_bytes and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_timed_out)

    def on_message_begin(self) -> None:
        """Add the extensions to the request's scope."""
        super().on_message_begin()
        self._has_begun = True
        self._endings = set()
        self.scope["extensions"] = {
            # The type of the scope does not allow functions here, but uvicorn passes them on unchanged.
            ON_STOP: {"add": self._endings.add},
        }
        if self._tls_name is not None:
            self.scope["extensions"][TLS_NAME] = {"name": self._tls_name}

    def on_headers_complete(self) -> None:
        """Check the head, and begin to answer the request."""
        if self._refusal is not None:
            return
        if self._offered is not None:
            # The application gets the headers as the client has sent them, with the offer.
            self.headers[:], self._offered = self._offered, None
        if len(self.headers) > HEAD_FIELDS or (self._head_bound > HEAD_BYTES and self._is_head_too_long()):
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            return
        if self.parser.should_upgrade():
            return  # ``_feed`` handles the request
        if self._long_length is not None:
            self.headers[:] = [
                (name, self._long_length if name == b"content-length" else value)
                for name, value in self.headers
            ]
        if not self.url.startswith((b"/", b"*")):
            self._note_absolute()
        super().on_headers_complete()  # raises an error if the URL is malformed
        self._end_head()
        self._gather_writes()

    def _is_head_too_long(self) -> bool:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on to the application."""
        if self._refusal is None and not self.parser.should_upgrade():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, and wait for the head of the next request."""
        if self._refusal is None and not self.parser.should_upgrade():
            super().on_message_complete()
            self.scope["extensions"][ARRIVED] = {}
            self._has_begun = False
            self._is_in_head = True
            self._head_bytes = 0
            # The data can already contain the whole head of the next request.
            self._head_bound = self._data_bytes
            self._note_idle()

    def on_response_complete(self) -> None:
        """Continue with the next request, or call the function that waits until all requests are answered."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
        if self._next is not None and not self._is_answering and not self.transport.is_closing():
            begin, self._next = self._next, None
            begin()
        self._note_idle()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough. Otherwise, check again later."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # the end of the current response starts the timer
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        elif not self.transport.is_closing():
            self.transport.close()

    def shutdown(self) -> None:
        """Call the callbacks of open responses, then shut down."""
        for end in list(self._endings):
            end()
        super().shutdown()

    def _feed(self, data: bytes) -> None:
        """Parse ``data``. Parse a request that offers an upgrade again, without the offer."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self._refusal is not None:
                    return
                data = data[offer.args[0] :]
                if self.parser.get_method() == b"CONNECT":
                    self._connect(data)
                    return
                self._parse_without_offer()
                if data and self._refusal is None:
                    continue
            return

    def _parse(self, data: bytes) -> bool:
        """Parse ``data``. Return False if the request is malformed."""
        try:
            if not self._is_head_held:
                self._feed(data)
            elif END_OF_HEAD.search(self._head):
                self._parse_long_length()
        except httptools.HttpParserError:
            return self._begins_long_length()
        return True

    def _begins_long_length(self) -> bool:
        """Handle the parser's error if its cause is the ``Content-Length``. Otherwise return False."""
        if not self._is_in_head or self._long_length is not None:
            return False
        found = LONG_LENGTH.search(self._head)
        if found is None:
            return False
        self._long_length, self._is_head_held = found[2], True
        if END_OF_HEAD.search(self._head):
            try:
                self._parse_long_length()
            except httptools.HttpParserError:
                return False
        return True

    def _parse_long_length(self) -> None:
        """Parse the head with a shorter ``Content-Length``. The application gets the original one."""
        head = LONG_LENGTH.sub(rb"\g<1>" + b"9" * 18, bytes(self._head), count=1)
        self._is_head_held = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(head)

    def _parse_without_offer(self) -> None:
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token for token in value.split(b",") if token.strip().lower() != b"upgrade"]
                head += [name, b": ", b",".join(kept), b"\r\n"]
            elif name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self._offered = self.headers
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"".join([*head, b"\r\n"]))

    @property
    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request; the type in uvicorn omits this
        return cycle is not None and not cycle.response_complete

    def _note_absolute(self) -> None:
        """Tell the application that the client uses the emulator as a proxy for ``http`` URLs.

        The authority of the URL replaces the header ``Host`` (RFC 9112, 3.2.2).
        """
        parsed = httptools.parse_url(self.url)
        authority = (parsed.host or b"") + (b":%d" % parsed.port if parsed.port else b"")
        if not parsed.path:
            self.url = b"/" + (b"?" + parsed.query if parsed.query else b"")
        is_http = (parsed.schema or b"").lower() == b"http"
        self._note_authority(authority, None if is_http else "the proxy passes on http URLs and CONNECT only")

    def _note_authority(self, authority: bytes, reason: str | None) -> None:
        self.headers[:] = [(b"host", authority), *(each for each in self.headers if each[0] != b"host")]
        self.scope["extensions"][PROXY] = {"authority": authority.decode("latin-1"), "reason": reason}

    def _connect(self, early: bytes) -> None:
        """Open a tunnel, or let the application refuse the request."""
        self._end_head()
        target = self.relay.target(self.url.decode("latin-1"))
        self._note_authority(self.url, None if isinstance(target, Target) else target)
        self.url = b"/"
        if isinstance(target, Target):
            self._early = bytearray(early)
            self._when_answered(functools.partial(self._open, target))
            return
        super().on_headers_complete()
        self._gather_writes()
        super().on_message_complete()
        self._is_closing = True

    def _open(self, target: Target) -> None:
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        # A tunnel to a vendor is not recorded, because the journal has the calls inside the tunnel.
        note = functools.partial(self._note, None) if target.is_foreign else None
        self.relay.open(self.transport, target, bytes(self._early or b""), self.connections, note)

    def _when_answered(self, begin: Callable[[], None]) -> None:
        """Call ``begin`` as soon as all earlier requests are answered."""
        if self._is_answering:
            self._next = begin
        else:
            begin()

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self._is_answering:
            # The client may have begun its next request early. The time limit of the next request starts
            # after the current response.
            self._head_timer = self.loop.call_later(self.head_seconds, self._head_timed_out)
        elif self._head_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the head of the request did not arrive in time")
        else:
            self.transport.close()  # the client has not sent anything

    def _note_idle(self) -> None:
        if self._is_in_head and not self._is_answering and not self.transport.is_closing():
            self.crowd.note_idle(self)

    def _gather_writes(self) -> None:
        """Let the response to the current request send its head and its body together, and log it."""
        cycle: Any = self.cycle
        scope = cast("Any", self.scope)
        response = ResponseTransport(self.transport, self.loop, functools.partial(self._log, scope))
        cycle.transport = response
        # If the head of the response was already written, it must be sent before the connection is dropped.
        scope["extensions"][DROPPERS] = {"close": response.close, "reset": lambda: self._reset(response)}

    def _log(self, scope: dict[str, Any], status: str) -> None:
        if self.log is not None:
            client = "{}:{}".format(*scope["client"]) if scope["client"] else ""
            path = scope["raw_path"].decode("latin-1")
            self.log.note(client, scope["method"], path, scope["http_version"], status)

    def _end_head(self) -> None:
        self.crowd.note_busy(self)
        self._head.clear()
        self._is_in_head = False
        self._stop_head_timer()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_malformed(self, data: bytes) -> None:
        cycle: Any = self.cycle
        if self._is_in_head:
            is_tls = self._head_bytes == len(data) and data.startswith(TLS_BEGIN)
            self._refuse(HTTPStatus.BAD_REQUEST, BEGINS_TLS if is_tls else "the request is malformed")
        elif self.pipeline or cycle.response_started:
            self.transport.close()
        else:
            # The application waits for the rest of the body. Tell the application that the client has
            # disconnected.
            self._refusal = HTTPStatus.BAD_REQUEST
            cycle.disconnected = True
            cycle.message_event.set()
            self._write_refusal("the body of the request is malformed")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Ignore further data. After the responses to earlier requests, send an error, and close."""
        self._refusal = status
        self._stop_head_timer()
        self._when_answered(functools.partial(self._answer_refusal, reason))

    def _answer_refusal(self, reason: str) -> None:
        self._unset_keepalive_if_required()
        task = self.loop.create_task(self._record_refusal(reason))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _record_refusal(self, reason: str) -> None:
        """Record the refused request, and answer afterwards, so that the client finds it in the journal."""
        if self._refusal is not None:
            await self._note(reason, self._refusal)
        self._write_refusal(reason)

    def _write_refusal(self, reason: str) -> None:
        if self.transport.is_closing() or self._refusal is None:
            return
        self.flow.resume_reading()
        text = f"{reason}\n".encode()
        head = [
            f"HTTP/1.1 {self._refusal.value} {self._refusal.phrase}",
            "content-type: text/plain; charset=utf-8",
            f"content-length: {len(text)}",
            "connection: close",
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + text)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    async def _note(self, reason: str | None, status: HTTPStatus) -> None:
        """Let the application record a request that the server answers itself."""
        if not self._has_begun:
            self.on_message_begin()
        scope: Any = self.scope
        path, query = b"/", b""
        with contextlib.suppress(httptools.HttpParserError):
            parsed = httptools.parse_url(self.url[:SHOWN_BYTES])
            path, query = parsed.path or path, parsed.query or query
        noted = {
            **scope,
            # The parser has no method before it has read the whole first line.
            "method": self.parser.get_method().decode() if self.url else "UNKNOWN",
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers[:HEAD_FIELDS],
            "extensions": {**scope["extensions"], ANSWERED: {"status": status.value, "reason": reason}},
        }
        await self.app(cast("Any", noted), _receive_nothing, _send_nothing)

    def _reset(self, response: ResponseTransport) -> None:
        response.flush()
        # With a linger time of 0, closing the connection sends a reset.
        bound: Any = self.transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def _receive_nothing() -> Any:
    return {"type": "http.disconnect"}


async def _send_nothing(_message: Any) -> None:
    return None
