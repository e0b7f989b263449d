"""How texts are stored in PostgreSQL, which refuses NUL in texts, and long texts in indexes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

LONGEST: Final = 500
"""Largest number of bytes of a stored text in an index. Three such texts fit into an entry of an index."""

CUT: Final = 100
"""Number of characters that remain of a longer text, before its digest."""

_CUT_MARK: Final = "\x01\x03"
"""Separates the beginning of a long text from its digest. Other stored texts do not contain it."""


def stored(text: str) -> str:
    """Return ``text`` without NUL. Stored texts are sorted in the same order as the texts."""
    if "\0" not in text and "\x01" not in text:
        return text
    return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")


def restored(text: str) -> str:
    """Return the text of which ``text`` is the result of `stored`."""
    if "\x01" not in text:
        return text
    return text.replace("\x01\x01", "\0").replace("\x01\x02", "\x01")


def indexed(text: str) -> tuple[str, str | None]:
    """Return a stored text for an index, and the whole stored text if that is too long for an index."""
    whole = stored(text)
    size = len(whole) if whole.isascii() else len(whole.encode())
    if size <= LONGEST:
        return whole, None
    return f"{whole[:CUT]}{_CUT_MARK}{hashlib.sha256(whole.encode()).hexdigest()}", whole


def unindexed(text: str) -> str | None:
    """Return the text of which ``text`` is stored in an index, or None if only its digest is stored."""
    return None if _CUT_MARK in text else restored(text)


def encoded(document: Mapping[str, Any]) -> str:
    """Return the text of a document, which contains ASCII characters only."""
    return json.dumps(document)


def members(document: Mapping[str, Any]) -> str:
    """Return the names of the members that are not null, in a form that `member` can be searched in."""
    names = [encode_basestring_ascii(name) for name, value in document.items() if value is not None]
    return "\n".join(["", *names, ""])


def member(name: str) -> str:
    """Return what the result of `members` contains if the member ``name`` is not null."""
    return f"\n{encode_basestring_ascii(name)}\n"
