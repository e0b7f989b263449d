"""Text and bytes as a capture keeps them: the beginning and a digest, and never a whole picture."""

from __future__ import annotations

import binascii
import contextlib
import hashlib
import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from emulator.web.media_types import picture_type

JSON_BYTES = 64 * 1024
"""What is kept of a JSON body, of an answer's once the pictures are gone; of a longer one the digest."""

TEXT_BYTES = 4 * 1024
"""What is kept of a form's field, or of a text."""

BEGIN_BYTES = 16
"""What a body is known by: pictures of every kind show themselves here."""

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


class EncodedContent(Content):
    """The same of what comes percent-encoded: kept, counted and hashed as what it stands for."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._escape = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        encoded = self._escape + chunk
        # An escape that ends in the next chunk waits for it.
        cut = encoded.rfind(b"%", -2)
        self._escape = encoded[cut:] if cut >= 0 else b""
        whole = encoded[:cut] if cut >= 0 else encoded
        super().feed(unquote_to_bytes(whole.replace(b"+", b" ")))

    def end(self) -> None:
        """Take what was no escape, since nothing follows."""
        super().feed(self._escape)
        self._escape = b""


def text_of(data: bytes) -> str | None:
    """Return the text that a field's bytes are, or None if they are none."""
    with contextlib.suppress(UnicodeDecodeError):
        return None if b"\0" in data else data.decode("utf-8")
    return None


def is_binary(begin: bytes) -> bool:
    """Return whether what begins so is a picture or other bytes, whatever its ``Content-Type`` says."""
    begin = begin[:BEGIN_BYTES]
    # A bitmap's two letters may begin a text as well; a bitmap has zeros behind them.
    return b"\0" in begin or picture_type(begin) not in {None, "image/bmp"}


def begins_json(begin: bytes) -> bool:
    """Return whether what begins so is JSON."""
    return begin.lstrip()[:1] in {b"{", b"["}


def is_text(content_type: str) -> bool:
    """Return whether a ``Content-Type`` is one of text."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind.endswith(("json", "xml", "x-www-form-urlencoded"))
