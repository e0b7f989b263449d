"""Capture of a form's fields while the body arrives."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import QuerystringParser

from emulator.web.capture.content import (
    BARE_BLOB,
    TEXT_BYTES,
    Content,
    EncodedContent,
    decoded_blob,
    text_without_blobs,
)
from emulator.web.forms.header import decoded
from emulator.web.forms.parser import Event, MultipartError, MultipartParser, PartHead, is_multipart
from emulator.world.redaction import Redaction, mask

FIELDS = 100
"""Largest number of fields of a form to keep."""

NAME_CHARACTERS = 200
"""Longest name of a field or a file to keep, in characters. Longer names are cut."""

NAME_BYTES = 4 * NAME_CHARACTERS
"""Largest number of bytes that ``NAME_CHARACTERS`` characters have in UTF-8."""


@dataclass(eq=False)
class Part:
    """A captured field of a form."""

    name: str
    content: Content
    file_name: str | None = None
    content_type: str | None = None
    charsets: Sequence[str] = ("utf-8",)

    def shown(self, redaction: Redaction) -> Any:
        """Return the field as the journal shows it: its text, or a description of a file or binary data."""
        if self.file_name is not None:
            named = {"file_name": redaction.text(self.file_name), "content_type": self.content_type}
            return {**self.content.described(), **named}
        text = decoded(bytes(self.content.kept), self.charsets) if self.content.is_whole else None
        if text is None or "\0" in text:
            return self.content.described()
        if text and redaction.is_secret(self.name):
            return mask(text)
        if BARE_BLOB.fullmatch(text):
            return decoded_blob(text.encode())
        return redaction.text(text_without_blobs(text))

    @property
    def kept_bytes(self) -> int:
        """Number of bytes that are kept in memory."""
        named = (self.name, self.file_name or "", self.content_type or "")
        return len(self.content.kept) + sum(map(len, named))


class FormBody:
    """The capture of a multipart or URL-encoded form."""

    def __init__(self, content_type: str) -> None:
        self._parts: list[Part] = []
        self._is_broken = False
        self._is_shown = False
        self._size = 0
        # Limited, because a picture that is sent without a field name is parsed as a name of megabytes.
        self._name = EncodedContent(NAME_BYTES)
        self._encoded = EncodedContent(TEXT_BYTES)
        self._parser: MultipartParser | QuerystringParser
        if is_multipart(content_type):
            self._kind = "multipart"
            self._parser = MultipartParser(content_type)
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
        """Process the next chunk of the body."""
        self._size += len(chunk)
        if self._is_broken:
            return
        try:
            if isinstance(self._parser, MultipartParser):
                for event in self._parser.feed(chunk):
                    self._take(event)
            else:
                self._parser.write(chunk)
        except (FormParserError, MultipartError):
            self._is_broken = True

    def end(self) -> None:
        """Record that the body is complete."""
        if isinstance(self._parser, MultipartParser) and not self._parser.has_ended:
            self._is_broken = True

    def shown(self, redaction: Redaction) -> dict[str, Any]:
        """Return the form as the journal shows it. For a field that was sent several times, show a list."""
        if isinstance(self._parser, QuerystringParser) and not self._is_broken and not self._is_shown:
            self._parser.finalize()  # the last field has no separator after it
        self._is_shown = True
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
        """Number of bytes that are kept in memory."""
        held = self._parser.held_bytes if isinstance(self._parser, MultipartParser) else 0
        return held + len(self._name.kept) + sum(part.kept_bytes for part in self._parts)

    def _take(self, event: Event) -> None:
        if isinstance(event, bytes):
            self._part.content.feed(event)
        elif isinstance(event, PartHead):
            file_name, content_type = event.file_name, event.content_type
            self._add(
                Part(
                    event.name[:NAME_CHARACTERS],
                    Content(TEXT_BYTES if file_name is None else 0),
                    None if file_name is None else file_name[:NAME_CHARACTERS],
                    None if content_type is None else content_type[:NAME_CHARACTERS],
                    event.charsets,
                )
            )

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
    """Return the name of a field. For a name of binary data, return the size and digest of the data."""
    # The limit may have split the last character.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        name = decoder.decode(bytes(content.kept), final=content.is_whole)
    except UnicodeDecodeError:
        name = "\0"
    return json.dumps(content.described()) if "\0" in name else name[:NAME_CHARACTERS]
