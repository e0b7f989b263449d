"""Conditions and byte ranges of downloads (RFC 9110, sections 13 and 14), as far as S3 supports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

_TAG = re.compile(r'(?P<weak>W/)?"(?P<quoted>[^"]*)"|(?P<bare>[^\s,"]+)')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(?P<first>[0-9]*)[ \t]*-[ \t]*(?P<last>[0-9]*)[ \t]*", re.IGNORECASE)
_MOST_DIGITS = 18
"""Largest number of digits of a position that is parsed exactly. Larger positions are beyond any object."""


class RangeUnsatisfiable(Exception):
    """The object has none of the bytes in the range."""


@dataclass(frozen=True)
class Version:
    """The version of an object: its ``ETag``, and the time of its last change.

    Attributes
    ----------
    tag : str
        The ``ETag`` without its quotes.
    modified_at : float
        Time of the last change, in seconds since the Unix epoch. HTTP headers have it in whole seconds,
        rounded down.
    """

    tag: str
    modified_at: float

    @property
    def headers(self) -> dict[str, str]:
        """The response headers ``ETag`` and ``Last-Modified``."""
        return {"ETag": f'"{self.tag}"', "Last-Modified": formatdate(self._second, usegmt=True)}

    def failed_precondition(self, headers: Mapping[str, str]) -> str | None:
        """Return the name of the request header whose condition is not met, or None.

        None means that all conditions are met.
        """
        if "if-match" in headers:
            return None if self._is_listed(headers["if-match"], strong=True) else "If-Match"
        limit = _seconds(headers.get("if-unmodified-since"))
        return "If-Unmodified-Since" if limit is not None and self._second > limit else None

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Return whether the client already has this version, according to its request headers."""
        if "if-none-match" in headers:
            return self._is_listed(headers["if-none-match"], strong=False)
        known = _seconds(headers.get("if-modified-since"))
        return known is not None and self._second <= known

    def allows_range(self, headers: Mapping[str, str]) -> bool:
        """Return whether a range is allowed: ``If-Range`` is absent, or names this version."""
        given = headers.get("if-range", "").strip()
        return "if-range" not in headers or given == f'"{self.tag}"' or _seconds(given) == self._second

    @property
    def _second(self) -> int:
        return int(self.modified_at // 1)

    def _is_listed(self, tags: str, *, strong: bool) -> bool:
        return tags.strip() == "*" or any(
            (found["quoted"] or found["bare"]) == self.tag and not (strong and found["weak"])
            for found in _TAG.finditer(tags)
        )


def read_range(value: str, size: int) -> range | None:
    """Return the positions of the bytes that a ``Range`` header requests, or None for the whole object.

    Like S3, this function ignores a header that is malformed or has several ranges.

    Raises
    ------
    RangeUnsatisfiable
        If the object has none of these bytes.
    """
    found = _RANGE.fullmatch(value.strip())
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        wanted = range(max(size - _position(found["last"]), 0), size)
    else:
        first = _position(found["first"])
        last = _position(found["last"]) if found["last"] else size
        if found["last"] and last < first:
            return None
        wanted = range(first, min(last + 1, size))
    if not wanted:
        raise RangeUnsatisfiable
    return wanted


def _position(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _seconds(date: str | None) -> int | None:
    """Return an HTTP date in seconds since the Unix epoch, or None if it is absent or malformed."""
    if date is None:
        return None
    try:
        moment = parsedate_to_datetime(date)
        # The obsolete format of asctime() has no time zone; all HTTP dates are in UTC.
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
