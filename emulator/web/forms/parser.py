"""Parser of multipart/form-data. The sizes of the chunks do not change the result.

The parser follows RFC 7578 and RFC 2046. It also accepts what many servers accept: line ends without a
carriage return, folded headers, extended parameters and content encodings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from emulator.web.forms.encoding import DECODERS, Decoder, Identity
from emulator.web.forms.header import codec, decoded, media_type, parse_header

BOUNDARY_BYTES = 256
"""Longest boundary, in bytes. RFC 2046 allows 70."""

HEAD_BYTES = 16 * 1024
"""Largest size of all headers of a part, in bytes."""

KNOWN_HEADS = 256
"""Number of parsed heads to remember. The forms of a client have the same heads, and each form is parsed
twice: for the vendor, and for the journal."""

KNOWN_HEAD_BYTES = 512
"""Largest size of a head to remember, in bytes."""

PADDING_BYTES = 256
"""Largest number of spaces and tabs after a boundary. The parser holds them in memory, so it limits them."""

FOLD = re.compile(rb"\r?\n(?=[ \t])")
"""A line end inside a header."""

END_OF_HEAD = re.compile(rb"\n\r?\n")
"""The last line end of a head, and the empty line after it."""

PERCENT = re.compile(rb"%(22|[01][0-9A-Fa-f])")
"""A quote or a control character in a name, percent-encoded as browsers and HTTPX do."""

WINDOWS_FOLDER = re.compile(r"\A[A-Za-z]:\\(?:.*\\)?", re.DOTALL)
"""The folder at the beginning of a file name. Internet Explorer sends names with their folder."""


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
        Codecs to try on the part's text, in this order.
    encoding : str
        The ``Content-Transfer-Encoding`` of the part, if the parser decodes it; otherwise empty.
    extended : sequence of str
        Which of ``name`` and ``filename`` were sent as extended parameters, such as ``filename*``.
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

    The parser holds only the headers of one part, or bytes that may be the beginning of a boundary. Before a
    boundary, it accepts only the kind of line end that follows the first boundary. If it accepted both kinds,
    it would remove a carriage return at the end of a picture.

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
        # A boundary must follow a line end. Begin with one, because the body can begin with the boundary.
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
        """Parse the next chunk. Yield, for each part, its head, the pieces of its content, and ``PART_END``.

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

        ``at`` is the line end of the boundary. So even a head without headers ends with an empty line.
        """
        found = END_OF_HEAD.search(data, at)
        end = len(data) if found is None else found.start()
        if end - at > HEAD_BYTES:
            raise MultipartError("the headers of a part are too long")
        if found is None:
            self._held = data[at:]
            return None
        read = _known_part_head if end - at <= KNOWN_HEAD_BYTES else _part_head
        head = read(data[at + 1 : end], self._charsets)
        self._decoder = DECODERS.get(head.encoding, Identity)()
        self._state = _State.CONTENT
        # If the part has no content, the empty line can also be the line end before the next boundary.
        self._skipped = len(self._line_end) if data.endswith(self._line_end, at, found.end()) else 0
        yield head
        return found.end() - self._skipped

    def _read_content(self, data: bytes, at: int) -> Generator[Event, None, int | None]:
        """Parse content, or the preamble, up to the next boundary, and return the end of the boundary.

        Return None if the boundary has not arrived, or is the last one.
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
        """Return the position where the content ends, and a match of the bytes after the boundary there.

        The match is None if the boundary, or the end of its line, has not arrived.
        """
        boundary = self._line_end + self._dashes
        begin = data.find(boundary, at)
        while begin >= 0:
            end = begin + len(boundary)
            after = self._after.match(data, end)
            if after is not None or self._may_follow.match(data, end):
                return begin, after
            begin = data.find(boundary, end)
        # A boundary may have arrived in part. Its first byte occurs only once in a boundary, so only the last
        # such byte can begin one.
        begin = data.rfind(boundary[:1], max(at, len(data) - len(boundary) + 1))
        return (begin if begin >= 0 and boundary.startswith(data[begin:]) else len(data)), None


def is_multipart(content_type: str) -> bool:
    """Return whether ``content_type`` is ``multipart/form-data``."""
    return media_type(content_type) == "multipart/form-data"


def _part_head(data: bytes, charsets: tuple[str, ...]) -> PartHead:
    """Return the head in ``data``. ``charsets`` are the codecs for parts that name no charset.

    Raises
    ------
    MultipartError
        If the part has no name.
    """
    headers = []
    for line in FOLD.sub(b"", data).split(b"\n"):
        key, colon, value = line.partition(b":")
        if colon:
            headers.append((key.strip().lower(), value.strip()))
    disposition = parse_header(
        _value(headers, b"content-disposition") or "", lambda raw: _decoded_name(raw, charsets)
    )
    name = disposition.parameters.get("name")
    if name is None:
        raise MultipartError("a part has no name")
    file_name = disposition.parameters.get("filename")
    content_type = parse_header(_value(headers, b"content-type") or "")
    encoding = (_value(headers, b"content-transfer-encoding") or "").lower()
    return PartHead(
        name=name,
        file_name=None if file_name is None else WINDOWS_FOLDER.sub("", file_name),
        headers=tuple(headers),
        charsets=_charsets(content_type.parameters.get("charset"), charsets),
        encoding=encoding if encoding in DECODERS else "",
        extended=tuple(sorted(disposition.extended & {"name", "filename"})),
    )


_known_part_head = functools.lru_cache(KNOWN_HEADS)(_part_head)


def _decoded_name(raw: bytes, charsets: Sequence[str]) -> str:
    """Return the name of a field or a file. A name that fits no charset is read as Latin-1."""
    raw = PERCENT.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
    text = decoded(raw, charsets)
    return raw.decode("latin-1") if text is None else text


def _charsets(charset: str | None, others: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codecs to try: first the codec of ``charset``, if it is allowed, and then ``others``."""
    named = None if charset is None else codec(charset)
    return others if named is None else (named, *others)


def _value(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key == name), None)
