"""Decoders of the content encodings of RFC 2045, for content that arrives in chunks."""

from __future__ import annotations

import binascii
import re
import string
from collections.abc import Callable, Mapping
from typing import Protocol

NOT_BASE64 = bytes(set(range(256)) - set(f"{string.ascii_letters}{string.digits}+/".encode()))

ESCAPE = re.compile(rb"=(?:([0-9A-Fa-f]{2})|\r?\n)")
"""An encoded byte or a soft line end of quoted-printable."""

BEGUN_ESCAPE = re.compile(rb"=[0-9A-Fa-f\r]?\Z")


class Decoder(Protocol):
    """Decodes content that arrives in chunks."""

    def feed(self, chunk: bytes) -> bytes:
        """Decode the next chunk. Return the bytes that are complete, and hold back the rest."""

    def end(self) -> bytes:
        """Return the bytes that were held back, after the last chunk."""


class Identity:
    """Content that is not encoded."""

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk."""
        return chunk

    def end(self) -> bytes:
        """Return ``b""``, because nothing is held back."""
        return b""


class Base64:
    """Base64. It ignores characters outside the alphabet, as RFC 2045, 6.8, requires."""

    def __init__(self) -> None:
        self._held = b""
        self._is_padded = False

    def feed(self, chunk: bytes) -> bytes:
        """Decode the next chunk. Return the bytes that are complete, and hold back the rest."""
        if self._is_padded:
            return b""
        data, padding, _ = chunk.partition(b"=")
        self._is_padded = bool(padding)
        data = self._held + data.translate(None, NOT_BASE64)
        whole = len(data) - len(data) % 4
        self._held = data[whole:]
        return binascii.a2b_base64(data[:whole])

    def end(self) -> bytes:
        """Return the last one or two bytes. If only a single character is left, return ``b""``."""
        return binascii.a2b_base64(self._held.ljust(4, b"=")) if len(self._held) > 1 else b""


class QuotedPrintable:
    """Quoted-printable. It keeps malformed escapes as they are."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Decode the next chunk. Return the bytes that are complete, and hold back the rest."""
        data = self._held + chunk
        begun = BEGUN_ESCAPE.search(data, max(0, len(data) - 2))
        whole = len(data) if begun is None else begun.start()
        self._held = data[whole:]
        return ESCAPE.sub(lambda found: bytes.fromhex((found[1] or b"").decode()), data[:whole])

    def end(self) -> bytes:
        """Return an incomplete escape as it is."""
        return self._held


DECODERS: Mapping[str, Callable[[], Decoder]] = {"base64": Base64, "quoted-printable": QuotedPrintable}
"""The decoders, by ``Content-Transfer-Encoding``. Content with any other value is not decoded."""
