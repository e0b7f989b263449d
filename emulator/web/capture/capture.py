"""Capture of a call while its request is read and its response is sent.

During the call, the body is only counted, hashed and partly kept, and forms are parsed. The journal entry is
built later, when it is first read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from starlette.types import Message, Scope

from emulator.clock import Setting, Stopwatch, machine_time
from emulator.web.capture.content import (
    BEGIN_BYTES,
    DIGEST,
    JSON_BYTES,
    TEXT_BYTES,
    WITHOUT_BLOBS,
    Content,
    begins_json,
    is_binary,
    is_text,
    parsed,
    text_without_blobs,
    without_blobs,
)
from emulator.web.capture.form import FormBody
from emulator.web.forms.parser import MultipartError, is_multipart
from emulator.web.length import declared_length
from emulator.world.journal.bodies import RawCall
from emulator.world.journal.entry import Entry
from emulator.world.redaction import Redaction, mask
from emulator.world.warnings import CallWarning

HEADER_BYTES = 8 * 1024
"""Longest value of a request header to keep, in bytes. Longer values are cut."""

EMPTY = Content(0)
"""The content of all responses without a body."""


class Body(Protocol):
    """A request body that arrives in chunks."""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""

    def end(self) -> None:
        """Record that the body is complete."""

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return the body as the journal shows it: its ``kind``, and members that depend on the kind."""

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that are kept in memory."""


class PlainBody:
    """A body of JSON, text or binary data. Its beginning and its ``Content-Type`` decide which it is."""

    __slots__ = ("_content", "_content_type", "_is_json")

    def __init__(self, content_type: str, begin: bytes) -> None:
        self._content_type = content_type
        self._is_json = begins_json(begin)
        if self._is_json:
            most = JSON_BYTES
        else:
            most = TEXT_BYTES if is_text(content_type) and not is_binary(begin) else 0
        self._content = Content(most)

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._content.feed(chunk)

    def end(self) -> None:
        """Do nothing, because this class does not need to know whether the body is complete."""

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return the body as the journal shows it: as ``json``, as ``text``, or as a digest."""
        content = self._content
        if content.is_whole and self._is_json:
            with contextlib.suppress(ValueError, RecursionError):  # then show it as text
                document = parsed(without_blobs(bytes(content.kept)))
                return {"kind": "json", "bytes": content.size, "json": redaction.document(document)}
        if content.is_whole and b"\0" not in content.kept:
            text = content.kept.decode("utf-8", "replace")
            text = redaction.text(text_without_blobs(text))[:TEXT_BYTES]
            return {"kind": "text", "bytes": content.size, "text": text}
        return {"kind": "binary", **content.described(), "content_type": self._content_type or None}

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that are kept in memory."""
        return len(self._content.kept)


class Capture:
    """What is captured of one call. The defaults of most attributes belong to the class, which saves time.

    Attributes
    ----------
    scope : mapping
        The members of the request's ASGI scope that the journal needs.
    started : float
        When the call started, by the machine's clock, in seconds since the Unix epoch.
    duration_s : float
        Seconds until the last part of the response was ready to be sent.
    sent : Body or None
        The request body, as far as it was read.
    status : int or None
        Status of the response that was sent; None before the response begins.
    answer, answer_bytes
        The part of the response body that is kept, and the length of the whole body in bytes.
    is_complete : bool
        Whether the whole response was sent.
    raw : RawCall or None
        Takes both bodies as they are; None if they are not kept.
    """

    duration_s = 0.0
    sent: Body | None = None
    status: int | None = None
    response_headers: Sequence[tuple[bytes, bytes]] = ()
    answer: Content = EMPTY
    is_complete = False
    answer_bytes = 0
    _begin = b""
    _is_json = False
    _json: list[bytes] | None = None
    _without_blobs: Callable[[], bytes] | None = None

    def __init__(self, scope: Scope, stopwatch: Stopwatch | None = None, raw: RawCall | None = None) -> None:
        self.started = machine_time()
        self.stopwatch = Stopwatch() if stopwatch is None else stopwatch
        self.raw = raw
        # The scope refers to the whole application, which the journal would keep in memory.
        self.scope = {
            "method": scope["method"],
            "scheme": scope.get("scheme", "http"),
            "path": scope["path"],
            "raw_path": scope.get("raw_path", b""),
            "query_string": scope["query_string"],
            "headers": scope["headers"],
        }

    def note_received(self, message: Message) -> None:
        """Capture a message of the request."""
        body = message.get("body", b"")
        if self.raw is not None:
            self.raw.take(self.raw.sent, body)
        is_over = message["type"] == "http.request" and not message.get("more_body", False)
        if self.sent is None:
            body = self._begin + body
            if len(body) < BEGIN_BYTES and not (body and is_over):
                self._begin = body
                return
            self._begin = b""
            self.sent = _body_of(self.scope, body)
        self.sent.feed(body)
        if is_over:
            self.sent.end()

    @property
    def wants_rest(self) -> bool:
        """Whether to read the rest of the request body: true if the whole body is short enough to show."""
        return 0 < declared_length(self.scope) <= JSON_BYTES

    def note_sent(self, message: Message) -> None:
        """Capture a message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.response_headers = list(message["headers"])
            return
        body = message.get("body", b"")
        if self.raw is not None:
            self.raw.take(self.raw.answer, body)
        self.is_complete = not message.get("more_body", False)
        if not body:
            return
        is_first = self.answer is EMPTY and self._json is None
        # What the application knows of its body holds for a whole body.
        known = message if is_first and self.is_complete else {}
        if is_first:
            content_type = self._response_type
            if "json" in content_type or begins_json(body):
                self._json = []
            else:
                is_shown = is_text(content_type) and not is_binary(body)
                self.answer = Content(TEXT_BYTES if is_shown else 0)
        if self._json is not None:
            self._without_blobs = known.get(WITHOUT_BLOBS)
            self._json.append(body)
        else:
            self.answer.feed(body, known.get(DIGEST))

    def close(self) -> int:
        """Discard data that the journal does not keep. Return the approximate number of bytes kept."""
        self.duration_s = self.stopwatch.elapsed_s()
        if self._json is not None:
            self._is_json = True
            body = b"".join(self._json)
            self._json = None
            self.answer_bytes = len(body)
            small = body
            if len(body) > TEXT_BYTES:
                small = without_blobs(body) if self._without_blobs is None else self._without_blobs()
                self._without_blobs = None
            self.answer = Content(JSON_BYTES)
            self.answer.feed(small if len(small) <= JSON_BYTES else body)
        else:
            self.answer_bytes = self.answer.size
        scope = self.scope
        headers = _size(scope["headers"])
        if headers > HEADER_BYTES:
            # Cut long headers: the journal has a size limit, so a large call would push out many others.
            scope["headers"] = [(name, value[:HEADER_BYTES]) for name, value in scope["headers"]]
            headers = _size(scope["headers"])
        sent = 0 if self.sent is None else self.sent.kept_bytes
        target = len(scope["path"]) + len(scope["raw_path"]) + len(scope["query_string"])
        return 1000 + headers + _size(self.response_headers) + target + sent + len(self.answer.kept)

    def shown_answer(self, redaction: Redaction) -> dict[str, Any] | None:
        """Return the response body as the journal shows it, or None if it is empty."""
        if not self.answer_bytes:
            return None
        if not self.answer.is_whole or (not self._is_json and b"\0" in self.answer.kept):
            described = {**self.answer.described(), "content_type": self._response_type or None}
            return {"kind": "binary", **described}
        text = self.answer.kept.decode("utf-8", "replace")
        if self._is_json:
            with contextlib.suppress(ValueError, RecursionError):  # cut off by a fault: show it as text
                return {
                    "kind": "json",
                    "bytes": self.answer_bytes,
                    "json": redaction.document(parsed(text)),
                }
        text = redaction.text(text_without_blobs(text))[:TEXT_BYTES]
        return {"kind": "text", "bytes": self.answer_bytes, "text": text}

    def entry(
        self,
        number: int,
        setting: Setting,
        secrets: Sequence[str],
        *,
        vendor: str,
        operation: str | None,
        credential: str | None,
        fault: dict[str, Any] | None,
        warnings: Iterable[CallWarning],
    ) -> Entry:
        """Return the journal entry. The values of fields with a name in ``secrets`` are masked."""
        scope = self.scope
        redaction = Redaction(secrets, credential)
        path = redaction.text((scope["raw_path"] or scope["path"].encode()).decode("latin-1"))
        return Entry(
            number=number,
            vendor=vendor,
            operation=operation,
            credential=None if credential is None else mask(credential),
            exact_credential=credential,
            method=scope["method"],
            path=path.partition("?")[0],
            url=f"{scope['scheme']}://{_header(scope['headers'], b'host')}",
            query=redaction.query(scope["query_string"]),
            request_headers=redaction.headers(scope["headers"]),
            sent=None if self.sent is None else self.sent.shown(redaction),
            status=self.status,
            is_complete=self.is_complete,
            response_headers=redaction.headers(self.response_headers),
            answer=self.shown_answer(redaction),
            started_at=setting.at(self.started),
            real_started_at=self.started,
            duration_ms=round(self.duration_s * 1000, 3),
            fault=fault,
            warnings=[_shown_warning(each, redaction) for each in warnings],
        )

    @property
    def _response_type(self) -> str:
        return _header(self.response_headers, b"content-type")


def _size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the approximate memory of headers, in bytes."""
    size = 0
    for name, value in headers:
        size += len(name) + len(value) + 100
    return size


def _shown_warning(warning: CallWarning, redaction: Redaction) -> dict[str, str | int]:
    shown: dict[str, str | int] = {"code": warning.code, "detail": redaction.text(warning.detail)}
    return shown if warning.count == 1 else {**shown, "count": warning.count}


def _body_of(scope: Mapping[str, Any], begin: bytes) -> Body:
    content_type = _header(scope["headers"], b"content-type")
    kind = content_type.partition(";")[0].strip().lower()
    # By default, curl sends every body with this type. So the body may also be JSON or a picture.
    is_form = kind == "application/x-www-form-urlencoded" and not begins_json(begin)
    if (is_form or is_multipart(content_type)) and not is_binary(begin):
        with contextlib.suppress(MultipartError):  # there is no boundary
            return FormBody(content_type)
    return PlainBody(content_type, begin)


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    for key, value in headers:
        if key == name or key.lower() == name:
            return value.decode("latin-1")
    return ""
