"""The length that a request declares for its body."""

from __future__ import annotations

from starlette.types import Scope

from emulator.web.headers import header_of

MOST_DIGITS = 18
"""Largest number of digits that is read exactly. Python refuses to convert thousands of digits."""


def declared_length(scope: Scope) -> int:
    """Return the ``Content-Length`` of a request; 0 if it is missing or malformed, and at most 10^18."""
    declared = header_of(scope, b"content-length") or b"0"
    digits = declared.lstrip(b"0") if declared.isdigit() else b""
    return int(digits or b"0") if len(digits) <= MOST_DIGITS else 10**MOST_DIGITS
