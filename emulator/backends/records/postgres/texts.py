"""Conversion of text for PostgreSQL, which allows no NUL in text, and no long text in indexes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

LONGEST: Final = 500
"""Largest number of bytes of a stored text in an index. An index entry has room for three such texts."""

CUT: Final = 100
"""Number of characters that are kept of a longer text, before its digest."""

_CUT_MARK: Final = "\x01\x03"
"""Separates the beginning of a long text from its digest. Other stored texts do not contain it."""


def stored(text: str) -> str:
    """Return ``text`` without NUL. Stored texts have the same sort order as the original texts."""
    if "\0" not in text and "\x01" not in text:
        return text
    return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")


def restored(text: str) -> str:
    """Return the original of a text that `stored` returned."""
    if "\x01" not in text:
        return text
    return text.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")


def indexed(text: str) -> tuple[str, str | None]:
    """Return the text to store in an index, and the whole stored text if it is too long for the index."""
    whole = stored(text)
    size = len(whole) if whole.isascii() else len(whole.encode())
    if size <= LONGEST:
        return whole, None
    return f"{whole[:CUT]}{_CUT_MARK}{hashlib.sha256(whole.encode()).hexdigest()}", whole


def unindexed(text: str) -> str | None:
    """Return the original of a text in an index, or None if the index has only its digest."""
    return None if _CUT_MARK in text else restored(text)


def encoded(document: Mapping[str, Any]) -> str:
    """Return the text of a document, which contains ASCII characters only."""
    return json.dumps(document)


def members(document: Mapping[str, Any]) -> str:
    """Return a text with the names of the members that are not null. Search it for the result of `member`."""
    names = [encode_basestring_ascii(name) for name, value in document.items() if value is not None]
    return "\n".join(["", *names, ""])


def member(name: str) -> str:
    """Return the text that `members` contains if the member ``name`` is not null."""
    return f"\n{encode_basestring_ascii(name)}\n"
