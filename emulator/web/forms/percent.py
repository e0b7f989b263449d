"""Percent-decoding of long fields."""

from __future__ import annotations

import binascii
from urllib.parse import unquote_plus, unquote_to_bytes

SHORT_BYTES = 200
"""Length up to which the standard library is as fast, in bytes."""


def unquoted(data: bytes) -> bytes:
    """Return the same as ``urllib.parse.unquote_to_bytes``, but sooner for a text with many escapes.

    A picture in base64 has thousands of escapes, and urllib creates two objects for each. The escapes of
    quoted-printable begin with another character, but the standard library decodes them in C.
    """
    # In quoted-printable, these three characters have a meaning that they do not have here.
    if len(data) > SHORT_BYTES and not any(character in data for character in (b"=", b"\r", b"\n")):
        quoted_printable = data.replace(b"%", b"=")
        found = binascii.a2b_qp(quoted_printable)
        # The result is longer if a percent sign does not begin an escape. The two decoders differ then.
        if len(found) == len(data) - 2 * quoted_printable.count(b"="):
            return found
    return unquote_to_bytes(data)


def unquoted_text(data: bytes | bytearray) -> str:
    """Return the same as ``urllib.parse.unquote_plus`` for the Latin-1 text in ``data``."""
    if not data.isascii():
        return unquote_plus(data.decode("latin-1"))
    return unquoted(bytes(data).replace(b"+", b" ")).decode("utf-8", "replace")
