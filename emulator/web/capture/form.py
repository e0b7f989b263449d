"""Capture of a form's fields while the body streams in."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, QuerystringParser, parse_options_header

from emulator.web.capture.content import (
    BARE_BLOB,
    TEXT_BYTES,
    Content,
    EncodedContent,
    decoded_blob,
    text_of,
    text_without_blobs,
)
from emulator.world.redaction import Redaction, mask

FIELDS = 100
"""Largest number of fields to keep."""

NAME_CHARACTERS = 200
"""Number of characters to keep of the name of a field or a file."""

NAME_BYTES = 4 * NAME_CHARACTERS
"""The same limit in bytes of UTF-8."""

HEADER_BYTES = 8 * 1024
"""Number of bytes to keep of the name, and of the value, of a part's header."""

PART_HEADERS = frozenset({b"content-disposition", b"content-type"})
"""The headers of a part that are read."""


@dataclass(eq=False)
class Part:
    """A field of a form."""

    name: str
    content: Content
    file_name: str | None = None
    content_type: str | None = None

    def shown(self, redaction: Redaction) -> Any:
        """Return the field's text, or the description of a file or of bytes."""
        if self.file_name is not None:
            named = {"file_name": redaction.text(self.file_name), "content_type": self.content_type}
            return {**self.content.described(), **named}
        text = text_of(bytes(self.content.kept)) if self.content.is_whole else None
        if text is None:
            return self.content.described()
        if text and redaction.is_secret(self.name):
            return mask(text)
        if BARE_BLOB.fullmatch(text):
            return decoded_blob(text.encode())
        return redaction.text(text_without_blobs(text))

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that it keeps."""
        named = (self.name, self.file_name or "", self.content_type or "")
        return len(self.content.kept) + sum(map(len, named))


class FormBody:
    """A multipart or URL-encoded form."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        self._parts: list[Part] = []
        self._is_broken = False
        self._size = 0
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        # Limited, because a picture that is sent without a field name looks like a name of megabytes.
        self._name = EncodedContent(NAME_BYTES)
        self._encoded = EncodedContent(TEXT_BYTES)
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
        """Return the ``fields`` by name; a name that was sent several times has a list."""
        if self._kind == "form" and not self._is_broken:
            self._parser.finalize()  # no separator ends the last field
        fields: dict[str, Any] = {}
        for part in self._parts:
            name, value = redaction.text(part.name), part.shown(redaction)
            if name not in fields:
                fields[name] = value
            elif isinstance(fields[name], list):
                fields[name].append(value)
            else:
                fields[name] = [fields[name], value]
        broken = {"is_broken": True} if self._is_broken else {}
        return {"kind": self._kind, "bytes": self._size, "fields": fields, **broken}

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that it keeps."""
        headers = len(self._header) + len(self._value)
        headers += sum(len(name) + len(value) for name, value in self._headers.items())
        return headers + len(self._name.kept) + sum(part.kept_bytes for part in self._parts)

    def _begin_part(self) -> None:
        self._headers = {}

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start : min(end, start + HEADER_BYTES - len(self._header))]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start : min(end, start + HEADER_BYTES - len(self._value))]

    def _end_header(self) -> None:
        name = bytes(self._header).lower()
        if name in PART_HEADERS:
            self._headers[name] = bytes(self._value)
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
        self._name = EncodedContent(NAME_BYTES)
        self._encoded = EncodedContent(TEXT_BYTES)
        self._add(Part("", self._encoded))

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name.feed(data[start:end])

    def _take_encoded(self, data: bytes, start: int, end: int) -> None:
        self._encoded.feed(data[start:end])

    def _end_field(self) -> None:
        self._encoded.end()
        self._name.end()
        self._part.name = _encoded_name(self._name)
        self._name = EncodedContent(NAME_BYTES)

    def _add(self, part: Part) -> None:
        self._part = part
        if len(self._parts) < FIELDS:
            self._parts.append(part)


def _encoded_name(content: Content) -> str:
    """Return a field's name, or the size and digest of binary data that was sent in its place."""
    # The limit may have split the last character.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        name = decoder.decode(bytes(content.kept), final=content.is_whole)
    except UnicodeDecodeError:
        name = "\0"
    return json.dumps(content.described()) if "\0" in name else name[:NAME_CHARACTERS]


def _name(name: bytes) -> str:
    return name.decode("utf-8", "replace")[:NAME_CHARACTERS]
