"""What is taken down of a call while it passes: its bodies by chunks, and never a whole picture.

Only what must happen while the bytes are there happens here: counting, hashing, cutting a form into
its fields. What is shown of it is made later, when somebody asks.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, QuerystringParser, parse_options_header
from starlette.types import Message, Receive, Scope, Send

from emulator.clock import Stopwatch, machine_time
from emulator.web.limits import IDLE_SECONDS
from emulator.web.notices import picture_type
from emulator.web.redaction import Redaction, mask

JSON_BYTES = 64 * 1024
"""What is kept of a JSON body, of an answer's once the pictures are gone; of a longer one the digest."""

TEXT_BYTES = 4 * 1024
"""What is kept of a form's field, or of a text."""

FIELDS = 100
"""How many fields of a form are kept."""

HEADER_BYTES = 8 * 1024
"""What is kept of a header."""

BEGIN_BYTES = 16
"""What a body is known by: pictures of every kind show themselves here."""

NAME_CHARACTERS = 200
"""What is kept of the name of a field or a file."""

SHOWN = ("method", "scheme", "path", "raw_path", "query_string", "headers")
"""What is kept of a request's scope."""

BLOB = re.compile(rb'"(?:data:[^,"]{,100},)?[A-Za-z0-9+/=\\]{1024,}+"')
"""A JSON string that can only be base64: a picture, a mesh."""

BARE_BLOB = re.compile(r"(?:data:[^,\s]{,100},)?[A-Za-z0-9+/=_-]{1024,}+")
"""The same where nothing says how far it goes: in a form's field, and in JSON that is broken."""


def blob(data: bytes) -> dict[str, Any]:
    """Return what is shown of bytes that are not: how many, and their digest."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def decoded_blob(text: bytes) -> dict[str, Any]:
    """Return what is shown of base64: the bytes that it stands for."""
    plain = text.partition(b",")[2] if text.startswith(b"data:") else text
    # Megabytes, as a rule: nothing is copied that need not be.
    if b"\\" in plain:
        plain = plain.replace(b"\\r", b"").replace(b"\\n", b"")
    if len(plain) % 4:
        plain += b"=" * (-len(plain) % 4)
    try:
        # The alphabet is known to be right; looking at it again takes longer than everything else.
        return {**blob(binascii.a2b_base64(plain)), "base64": True}
    except binascii.Error:
        return blob(text)


def without_blobs(body: bytes) -> bytes:
    """Return a JSON text with its long base64 strings replaced by what is shown of them."""
    return BLOB.sub(lambda found: json.dumps(decoded_blob(found[0][1:-1])).encode(), body)


def text_without_blobs(text: str) -> str:
    """Return a text with its long base64 replaced by what is shown of it."""
    return BARE_BLOB.sub(lambda found: json.dumps(decoded_blob(found[0].encode())), text)


class Content:
    """A text or bytes that come by chunks: the beginning is kept, all of it counted and hashed."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self.kept = bytearray()
        self._limit = limit
        self._digest = hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self.size += len(chunk)
        self._digest.update(chunk)
        if len(self.kept) < self._limit:
            self.kept += chunk[: self._limit - len(self.kept)]

    @property
    def is_whole(self) -> bool:
        """Whether all of it is kept."""
        return self.size == len(self.kept)

    def described(self) -> dict[str, Any]:
        """Return what is shown of it if it is not."""
        return {"bytes": self.size, "sha256": self._digest.hexdigest()}


@dataclass(eq=False)
class Part:
    """A field of a form."""

    name: str
    content: Content
    file_name: str | None = None
    content_type: str | None = None

    def shown(self, redaction: Redaction) -> Any:
        """Return the field's text, or what is shown of a file."""
        if self.file_name is not None:
            named = {"file_name": redaction.text(self.file_name), "content_type": self.content_type}
            return {**self.content.described(), **named}
        text = _text_of(bytes(self.content.kept)) if self.content.is_whole else None
        if text is None:
            return self.content.described()
        if text and redaction.is_secret(self.name):
            return mask(text)
        if BARE_BLOB.fullmatch(text):
            return decoded_blob(text.encode())
        return redaction.text(text_without_blobs(text))


class Body(Protocol):
    """How a body is read along."""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return what is shown of it: its ``kind``, and what that has."""

    @property
    def kept_bytes(self) -> int:
        """How many bytes it keeps."""


class PlainBody:
    """JSON, a text, or bytes: ``begin`` shows which."""

    def __init__(self, content_type: str, begin: bytes) -> None:
        self._content_type = content_type
        self._is_json = _begins_json(begin)
        text = TEXT_BYTES if _is_text(content_type) and not _is_binary(begin) else 0
        self._content = Content(JSON_BYTES if self._is_json else text)

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._content.feed(chunk)

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return JSON as ``json``, text as ``text``, and of everything else the digest."""
        content = self._content
        if content.is_whole and self._is_json:
            with contextlib.suppress(ValueError, RecursionError):  # shown as a text, then
                document = json.loads(without_blobs(bytes(content.kept)))
                return {"kind": "json", "bytes": content.size, "json": redaction.document(document)}
        if content.is_whole and b"\0" not in content.kept:
            text = content.kept.decode("utf-8", "replace")
            text = redaction.text(text_without_blobs(text))[:TEXT_BYTES]
            return {"kind": "text", "bytes": content.size, "text": text}
        return {"kind": "binary", **content.described(), "content_type": self._content_type or None}

    @property
    def kept_bytes(self) -> int:
        """How many bytes it keeps."""
        return len(self._content.kept)


class FormBody:
    """The fields of a form, of either kind."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        self._parts: list[Part] = []
        self._is_broken = False
        self._size = 0
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._escape = b""
        self._parser: MultipartParser | QuerystringParser
        if kind == b"multipart/form-data":
            self._kind = "multipart"
            self._parser = MultipartParser(
                options.get(b"boundary", b""),
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                },
            )
        else:
            self._kind = "form"
            self._parser = QuerystringParser(
                {
                    "on_field_start": self._begin_field,
                    "on_field_name": self._take_name,
                    "on_field_data": self._take_encoded,
                    "on_field_end": self._end_field,
                }
            )

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        self._size += len(chunk)
        if self._is_broken:
            return
        try:
            self._parser.write(chunk)
        except FormParserError:
            self._is_broken = True

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return the ``fields`` by name; what was sent several times as a list."""
        if self._kind == "form" and not self._is_broken:
            self._parser.finalize()  # the last field has no end of its own
        fields: dict[str, Any] = {}
        for part in self._parts:
            value = part.shown(redaction)
            if part.name not in fields:
                fields[part.name] = value
            elif isinstance(fields[part.name], list):
                fields[part.name].append(value)
            else:
                fields[part.name] = [fields[part.name], value]
        broken = {"is_broken": True} if self._is_broken else {}
        return {"kind": self._kind, "bytes": self._size, "fields": fields, **broken}

    @property
    def kept_bytes(self) -> int:
        """How many bytes it keeps."""
        return sum(len(part.name) + len(part.content.kept) for part in self._parts)

    def _begin_part(self) -> None:
        self._headers = {}

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        file_name = options.get(b"filename")
        content_type = self._headers.get(b"content-type")
        self._add(
            Part(
                _name(options.get(b"name", b"")),
                Content(TEXT_BYTES if file_name is None else 0),
                None if file_name is None else _name(file_name),
                None if content_type is None else content_type.decode("latin-1")[:NAME_CHARACTERS],
            )
        )

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._part.content.feed(data[start:end])

    def _begin_field(self) -> None:
        self._add(Part("", Content(TEXT_BYTES)))
        self._value.clear()

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _take_encoded(self, data: bytes, start: int, end: int) -> None:
        encoded = self._escape + data[start:end]
        # An escape that ends in the next chunk waits for it.
        cut = encoded.rfind(b"%", -2)
        self._escape = encoded[cut:] if cut >= 0 else b""
        whole = encoded[:cut] if cut >= 0 else encoded
        self._part.content.feed(unquote_to_bytes(whole.replace(b"+", b" ")))

    def _end_field(self) -> None:
        self._part.content.feed(self._escape)
        self._escape = b""
        name = unquote_to_bytes(bytes(self._value).replace(b"+", b" "))
        # Who sends bytes as a form sends them as names too.
        self._part.name = _name(name) if _text_of(name) is not None else json.dumps(blob(name))

    def _add(self, part: Part) -> None:
        self._part = part
        if len(self._parts) < FIELDS:
            self._parts.append(part)


@dataclass(eq=False)
class Capture:
    """What is taken down of one call.

    Attributes
    ----------
    scope : Scope
        The request's, as far as it is shown.
    started : float
        Seconds since the epoch by the machine's clock.
    duration_s : float
        Until the last of the answer was ready to go out.
    sent : Body or None
        What the request brought, as far as it was read.
    status : int or None
        The answer's, as it went out; None before it begins.
    answer, answer_bytes
        What is kept of the answer's body, and how long it was.
    is_complete : bool
        Whether all of the answer went out.
    """

    scope: Scope
    started: float = field(default_factory=machine_time)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    duration_s: float = 0.0
    sent: Body | None = None
    status: int | None = None
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: Content = field(default_factory=lambda: Content(0))
    is_complete: bool = False
    answer_bytes: int = 0
    _is_read: bool = False
    _begin: bytearray = field(default_factory=bytearray)
    _is_json: bool = False
    _json: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The rest of it is the whole application, and would live as long as the journal.
        self.scope = {name: self.scope[name] for name in SHOWN if name in self.scope}
        # One call must not push those of all others out of the journal.
        self.scope["headers"] = [(name, value[:HEADER_BYTES]) for name, value in self.scope["headers"]]

    def reading(self, receive: Receive) -> Receive:
        """Return ``receive``, read along."""

        async def read_along() -> Message:
            message = await receive()
            body = message.get("body", b"")
            self._is_read = not message.get("more_body", False)
            if self.sent is not None:
                self.sent.feed(body)
                return message
            self._begin += body
            if len(self._begin) >= BEGIN_BYTES or (self._begin and self._is_read):
                begin = bytes(self._begin)
                self._begin.clear()
                self.sent = _body_of(self.scope, begin)
                self.sent.feed(begin)
            return message

        return read_along

    async def read_rest(self, receive: Receive) -> None:
        """Read what is left of a short body that the answer needs none of: the client sent it all the same.

        A longer one is not waited for: of that, no more than its size and digest would be shown.
        """
        declared = _header(self.scope["headers"], b"content-length")
        if not (declared.isdecimal() and 0 < int(declared) <= JSON_BYTES):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS):
                while not self._is_read:
                    await receive()

    def note_sent(self, message: Message) -> bool:
        """Take down a message of the answer, and return whether it is the last one."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.response_headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            return False
        body = message.get("body", b"")
        if body and not self._is_json and not self.answer.size:
            content_type = self._response_type
            self._is_json = "json" in content_type or _begins_json(body)
            is_text = _is_text(content_type) and not _is_binary(body)
            self.answer = Content(TEXT_BYTES if is_text else 0)
        if body and self._is_json:
            self._json.append(body)
        else:
            self.answer.feed(body)
        self.is_complete = not message.get("more_body", False)
        return self.is_complete

    def close(self) -> int:
        """Let go of what is not kept, and return roughly how many bytes it holds."""
        self.duration_s = self.stopwatch.elapsed_s()
        if self._is_json:
            body = b"".join(self._json)
            self._json.clear()
            self.answer_bytes = len(body)
            small = without_blobs(body) if len(body) > TEXT_BYTES else body
            self.answer = Content(JSON_BYTES)
            self.answer.feed(small if len(small) <= JSON_BYTES else body)
        else:
            self.answer_bytes = self.answer.size
        headers = (*self.scope["headers"], *self.response_headers)
        held = sum(len(name) + len(value) + 100 for name, value in headers)
        sent = 0 if self.sent is None else self.sent.kept_bytes
        target = 2 * len(self.scope["path"]) + len(self.scope["query_string"])
        return 1000 + held + target + sent + len(self.answer.kept)

    def shown_request(self, redaction: Redaction) -> dict[str, Any] | None:
        """Return what is shown of the request's body."""
        return None if self.sent is None else self.sent.shown(redaction)

    def shown_answer(self, redaction: Redaction) -> dict[str, Any] | None:
        """Return what is shown of the answer's body."""
        if not self.answer_bytes:
            return None
        if not self.answer.is_whole or (not self._is_json and b"\0" in self.answer.kept):
            described = {**self.answer.described(), "content_type": self._response_type or None}
            return {"kind": "binary", **described}
        text = self.answer.kept.decode("utf-8", "replace")
        if self._is_json:
            with contextlib.suppress(ValueError, RecursionError):  # cut off on purpose: shown as a text
                return {
                    "kind": "json",
                    "bytes": self.answer_bytes,
                    "json": redaction.document(json.loads(text)),
                }
        text = redaction.text(text_without_blobs(text))[:TEXT_BYTES]
        return {"kind": "text", "bytes": self.answer_bytes, "text": text}

    @property
    def _response_type(self) -> str:
        return _header(self.response_headers, b"content-type")


def recording(capture: Capture, receive: Receive, send: Send, finish: Callable[[], None]) -> Send:
    """Return ``send``, which takes down what goes out; ``finish`` runs before the last of it does.

    By then the request was read too, with ``receive``, if it is short. So whoever has read an answer finds
    the call in the journal.
    """

    async def send_along(message: Message) -> None:
        if capture.note_sent(message):
            await capture.read_rest(receive)
            finish()
        await send(message)

    return send_along


def _body_of(scope: Mapping[str, Any], begin: bytes) -> Body:
    content_type = _header(scope["headers"], b"content-type")
    kind = content_type.partition(";")[0].strip().lower()
    # Who sends JSON or a picture with curl says that it is a form.
    is_form = kind == "application/x-www-form-urlencoded" and not _begins_json(begin)
    is_multipart = kind == "multipart/form-data" and "boundary" in content_type
    if (is_form or is_multipart) and not _is_binary(begin):
        return FormBody(content_type)
    return PlainBody(content_type, begin)


def _name(name: bytes) -> str:
    return name.decode("utf-8", "replace")[:NAME_CHARACTERS]


def _header(headers: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


def _text_of(data: bytes) -> str | None:
    """Return the text that a field's bytes are, or None if they are none."""
    with contextlib.suppress(UnicodeDecodeError):
        return None if b"\0" in data else data.decode("utf-8")
    return None


def _is_binary(begin: bytes) -> bool:
    """Return whether what begins so is a picture or other bytes, whatever its ``Content-Type`` says."""
    begin = begin[:BEGIN_BYTES]
    # A bitmap's two letters may begin a text as well; a bitmap has zeros behind them.
    return b"\0" in begin or picture_type(begin) not in {None, "image/bmp"}


def _begins_json(begin: bytes) -> bool:
    return begin.lstrip()[:1] in {b"{", b"["}


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml", "x-www-form-urlencoded"))
