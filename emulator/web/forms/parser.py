"""Parser of multipart/form-data, which gives the same result for chunks of any size.

It follows RFC 7578 and RFC 2046. In addition it accepts what many servers accept: line ends without a
carriage return, folded headers, extended parameters and content encodings.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from emulator.web.forms.encoding import DECODERS, Decoder, Identity
from emulator.web.forms.header import codec, decoded, parse_header

BOUNDARY_BYTES = 256
"""Longest boundary, in bytes. RFC 2046 allows 70."""

HEAD_BYTES = 16 * 1024
"""Largest size of all headers of a part, in bytes."""

PADDING_BYTES = 256
"""Largest number of spaces and tabs after a boundary. More would have to be held in memory."""

FOLD = re.compile(rb"\r?\n(?=[ \t])")
"""A line end inside a header."""

END_OF_HEAD = re.compile(rb"\n\r?\n")
"""The last line end of a head, and the empty line after it."""

PERCENT = re.compile(rb"%(22|[01][0-9A-Fa-f])")
"""A quote or a control character in a name, percent-encoded as browsers and HTTPX do."""

WINDOWS_FOLDER = re.compile(r"\A[A-Za-z]:\\(?:.*\\)?", re.DOTALL)
"""The folder of a file, which Internet Explorer sends with the name."""


class MultipartError(Exception):
    """The body is not a complete multipart form."""


class PartEnd(Enum):
    """The event at the end of a part."""

    PART_END = auto()


PART_END: Final = PartEnd.PART_END


@dataclass(frozen=True, eq=False)
class PartHead:
    """The headers of a part.

    Attributes
    ----------
    name : str
        Name of the field.
    file_name : str or None
        Name of the file; None if the part is not a file.
    headers : sequence of (bytes, bytes)
        All headers, with names in lower case.
    charsets : sequence of str
        Codecs to try on the part's text.
    encoding : str
        The encoding of the content, if the parser decodes it; otherwise empty.
    extended : sequence of str
        Which of ``name`` and ``filename`` was sent as an extended parameter, such as ``filename*``.
    """

    name: str
    file_name: str | None
    headers: Sequence[tuple[bytes, bytes]]
    charsets: Sequence[str]
    encoding: str
    extended: Sequence[str]

    @property
    def content_type(self) -> str | None:
        """The ``Content-Type`` of the part."""
        return _value(self.headers, b"content-type")

    def text(self, data: bytes) -> str | None:
        """Return the text in ``data``, or None if no charset fits."""
        return decoded(data, self.charsets)


Event = PartHead | bytes | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Parser of a multipart form that arrives in chunks.

    It holds only the headers of one part, or what may be the beginning of a boundary. The line end of the
    first boundary is that of all boundaries, because a picture can contain the other one.

    Parameters
    ----------
    content_type : str
        The ``Content-Type`` of the form.

    Attributes
    ----------
    has_bare_line_ends : bool
        Whether the line of the first boundary ends in LF instead of CRLF.

    Raises
    ------
    MultipartError
        If the boundary is missing or too long.
    """

    def __init__(self, content_type: str) -> None:
        parameters = parse_header(content_type).parameters
        boundary = parameters.get("boundary", "").encode("latin-1", "replace")
        if not 0 < len(boundary) <= BOUNDARY_BYTES:
            raise MultipartError("the boundary is missing or too long")
        self._charsets = _charsets(parameters.get("charset"), ("utf-8",))
        self._dashes = b"--" + boundary
        self._after = re.compile(rb"--|[ \t]{0,%d}(\r?\n)" % PADDING_BYTES)
        self._may_follow = re.compile(rb"(?:-|[ \t]{0,%d}\r?)\Z" % PADDING_BYTES)
        self._state = _State.PREAMBLE
        # The first boundary begins a line, as if a line end preceded the body.
        self._held = self._line_end = b"\n"
        self._skipped = 0
        self.has_bare_line_ends = False
        self._decoder: Decoder = Identity()

    @property
    def has_ended(self) -> bool:
        """Whether the last boundary has arrived."""
        return self._state is _State.EPILOGUE

    @property
    def held_bytes(self) -> int:
        """Number of bytes that the parser holds."""
        return len(self._held)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Parse the next chunk. A part is its head, its content in pieces, and ``PART_END``.

        Raises
        ------
        MultipartError
            If a part has no name, or its headers are too long.
        """
        if self.has_ended:
            return
        data = self._held + chunk
        at: int | None = 0
        while at is not None:
            read = self._read_head if self._state is _State.HEAD else self._read_content
            at = yield from read(data, at)

    def end(self) -> None:
        """Check that the form is complete.

        Raises
        ------
        MultipartError
            If the last boundary has not arrived.
        """
        if not self.has_ended:
            raise MultipartError("the body ends before the last boundary")

    def _read_head(self, data: bytes, at: int) -> Generator[Event, None, int | None]:
        """Parse a head and return where it ends, or None if its end has not arrived.

        A head begins with the line end of the boundary, because its headers can be missing.
        """
        found = END_OF_HEAD.search(data, at)
        end = len(data) if found is None else found.start()
        if end - at > HEAD_BYTES:
            raise MultipartError("the headers of a part are too long")
        if found is None:
            self._held = data[at:]
            return None
        head = self._part_head(data[at + 1 : end])
        self._decoder = DECODERS.get(head.encoding, Identity)()
        self._state = _State.CONTENT
        # Without content, the empty line is also the line end before the next boundary.
        self._skipped = len(self._line_end) if data.endswith(self._line_end, at, found.end()) else 0
        yield head
        return found.end() - self._skipped

    def _read_content(self, data: bytes, at: int) -> Generator[Event, None, int | None]:
        """Parse content, or the preamble, up to the next boundary, and return the end of the boundary.

        Return None if the boundary has not arrived.
        """
        end, after = self._find_boundary(data, at)
        if self._state is _State.CONTENT:
            content = self._decoder.feed(data[at + self._skipped : end])
            if after is not None:
                content += self._decoder.end()
            if content:
                yield content
            if after is not None:
                yield PART_END
        if after is None:
            self._skipped = 0 if end > at else self._skipped
            self._held = data[end:]
            return None
        if after[1] is None:
            self._state = _State.EPILOGUE
            self._held = b""
            return None
        if self._state is _State.PREAMBLE:
            self._line_end = after[1]
            self.has_bare_line_ends = after[1] == b"\n"
        self._state = _State.HEAD
        return after.end() - 1

    def _find_boundary(self, data: bytes, at: int) -> tuple[int, re.Match[bytes] | None]:
        """Return where the content ends, and what follows the boundary there, if both have arrived."""
        boundary = self._line_end + self._dashes
        begin = data.find(boundary, at)
        while begin >= 0:
            end = begin + len(boundary)
            after = self._after.match(data, end)
            if after is not None or self._may_follow.match(data, end):
                return begin, after
            begin = data.find(boundary, end)
        # The boundary may have begun to arrive. Only its first byte is the beginning of a line end.
        begin = data.rfind(boundary[:1], max(at, len(data) - len(boundary) + 1))
        return (begin if begin >= 0 and boundary.startswith(data[begin:]) else len(data)), None

    def _part_head(self, data: bytes) -> PartHead:
        headers = []
        for line in FOLD.sub(b"", data).split(b"\n"):
            key, colon, value = line.partition(b":")
            if colon:
                headers.append((key.strip().lower(), value.strip()))
        disposition = parse_header(_value(headers, b"content-disposition") or "", self._decode)
        name = disposition.parameters.get("name")
        if name is None:
            raise MultipartError("a part has no name")
        file_name = disposition.parameters.get("filename")
        content_type = parse_header(_value(headers, b"content-type") or "")
        encoding = (_value(headers, b"content-transfer-encoding") or "").lower()
        return PartHead(
            name=name,
            file_name=None if file_name is None else WINDOWS_FOLDER.sub("", file_name),
            headers=headers,
            charsets=_charsets(content_type.parameters.get("charset"), self._charsets),
            encoding=encoding if encoding in DECODERS else "",
            extended=sorted(disposition.extended & {"name", "filename"}),
        )

    def _decode(self, raw: bytes) -> str:
        """Return the name of a field or a file. Bytes that are no text are read as Latin-1."""
        raw = PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
        text = decoded(raw, self._charsets)
        return raw.decode("latin-1") if text is None else text


def is_multipart(content_type: str) -> bool:
    """Return whether a ``Content-Type`` is that of a multipart form."""
    return parse_header(content_type).kind == "multipart/form-data"


def _charsets(charset: str | None, others: Sequence[str]) -> Sequence[str]:
    """Return the codecs to try: that of a charset, if it is known, and then ``others``."""
    named = None if charset is None else codec(charset)
    return others if named is None else (named, *others)


def _value(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
