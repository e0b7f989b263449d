"""Captured text and bytes: their beginning, size and digest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from typing import Any

from emulator.web.forms.percent import unquoted
from emulator.web.media_types import picture_type

JSON_BYTES = 64 * 1024
"""Longest JSON body to show, in bytes. Pictures in a response do not count.

The journal shows only the size and the digest of a longer body.
"""

TEXT_BYTES = 4 * 1024
"""Longest form field or text to show, in bytes."""

BEGIN_BYTES = 16
"""Number of bytes from which the type of a body is detected: enough for all picture formats."""

BLOB_CHARACTERS = 1024
"""Shortest base64 that is replaced by a description, in characters."""

BLOB = re.compile(rb'"(?:data:[^,"]{,100},)?[A-Za-z0-9+/=\\]{%d,}+"' % BLOB_CHARACTERS)
"""A JSON string that can only be base64, such as a picture or a mesh."""

BARE_BLOB = re.compile(rf"(?:data:[^,\s]{{,100}},)?[A-Za-z0-9+/=_-]{{{BLOB_CHARACTERS},}}+")
"""Long base64 without quotes around it, in a form field or in broken JSON."""

WITHOUT_BLOBS = "face_emulator.without_blobs"
"""Member of an ASGI message with a whole JSON body: a function that returns what ``without_blobs`` would.

The journal calls it only if it needs the body, and only if no fault has changed the body.
"""

DIGEST = "face_emulator.digest"
"""Member of an ASGI message with a whole body: the result of ``hashlib.sha256`` for this body."""


def blob(data: bytes) -> dict[str, Any]:
    """Return a description of ``data``: its size and digest."""
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def decoded_blob(text: bytes) -> dict[str, Any]:
    """Return a description of base64 text: the size and digest of the decoded bytes."""
    plain = text.partition(b",")[2] if text.startswith(b"data:") else text
    # The text is often megabytes long, so copy it only if necessary.
    if b"\\" in plain:
        plain = plain.replace(b"\\r", b"").replace(b"\\n", b"")
    if len(plain) % 4:
        plain += b"=" * (-len(plain) % 4)
    try:
        # Do not validate: the pattern has checked the alphabet, and checking it again is slow.
        return {**blob(binascii.a2b_base64(plain)), "base64": True}
    except binascii.Error:
        return blob(text)


def quoted_base64(data: bytes) -> tuple[bytes, ...]:
    """Return the parts of a JSON string with ``data`` as base64. To join them here would copy them twice."""
    return b'"', base64.b64encode(data), b'"'


def described_base64(data: bytes) -> tuple[bytes, ...]:
    """Return the same as ``quoted_base64``, but if it is long, return a description in its place."""
    if 4 * math.ceil(len(data) / 3) < BLOB_CHARACTERS:
        return quoted_base64(data)
    return (json.dumps({**blob(data), "base64": True}).encode(),)


def without_blobs(body: bytes) -> bytes:
    """Return the JSON text ``body``, with descriptions in place of long base64 strings."""
    return BLOB.sub(lambda found: json.dumps(decoded_blob(found[0][1:-1])).encode(), body)


def parsed(text: str | bytes) -> Any:
    """Parse a JSON text. Numbers that JSON does not have, such as NaN, become texts."""
    return json.loads(text, parse_constant=str, parse_float=_number)


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def text_without_blobs(text: str) -> str:
    """Return ``text``, with descriptions in place of long base64."""
    return BARE_BLOB.sub(lambda found: json.dumps(decoded_blob(found[0].encode())), text)


class Content:
    """Text or bytes that arrive in chunks. Counts and hashes all bytes, and keeps the first ``limit``.

    Bytes are hashed only when they are not kept, because the hash of a content that is kept is rarely needed.
    """

    __slots__ = ("_digest", "_limit", "kept", "size")

    def __init__(self, limit: int) -> None:
        self.size = 0
        # Most contents arrive in one chunk, which is then kept without a copy.
        self.kept = b""
        self._limit = limit
        self._digest: Any = None

    def feed(self, chunk: bytes, digest: Any = None) -> None:
        """Take the next chunk. If it is the only one, its ``digest`` may be given to save time."""
        size = self.size = self.size + len(chunk)
        if self._digest is None:
            if size <= self._limit:
                self.kept += chunk
                return
            self._digest = hashlib.sha256(self.kept) if digest is None else digest
        if digest is None:
            self._digest.update(chunk)
        if len(self.kept) < self._limit:
            self.kept += chunk[: self._limit - len(self.kept)]

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are kept."""
        return self.size == len(self.kept)

    def described(self) -> dict[str, Any]:
        """Return the size and the digest of all bytes."""
        digest = hashlib.sha256(self.kept) if self._digest is None else self._digest
        return {"bytes": self.size, "sha256": digest.hexdigest()}


class EncodedContent(Content):
    """Percent-encoded content, which is decoded before it is kept, counted and hashed."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._escape = b""

    def feed(self, chunk: bytes, digest: Any = None) -> None:
        """Take the next chunk."""
        del digest  # it is the digest of the encoded content
        encoded = self._escape + chunk
        # Keep an incomplete escape until the next chunk.
        cut = encoded.rfind(b"%", -2)
        self._escape = encoded[cut:] if cut >= 0 else b""
        whole = encoded[:cut] if cut >= 0 else encoded
        super().feed(unquoted(whole.replace(b"+", b" ")))

    def end(self) -> None:
        """Add an escape that was cut off, without decoding it. Call this after the last chunk."""
        super().feed(self._escape)
        self._escape = b""


def is_binary(begin: bytes) -> bool:
    """Return whether a body is a picture or other binary data, judged only by its beginning."""
    begin = begin[:BEGIN_BYTES]
    # A text can begin with the two letters of a bitmap, so recognize bitmaps by their zero bytes.
    return b"\0" in begin or picture_type(begin) not in {None, "image/bmp"}


def begins_json(begin: bytes) -> bool:
    """Return whether a body with this beginning looks like JSON."""
    return begin.lstrip()[:1] in {b"{", b"["}


def is_text(content_type: str) -> bool:
    """Return whether a ``Content-Type`` is a type of text."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml", "x-www-form-urlencoded"))
