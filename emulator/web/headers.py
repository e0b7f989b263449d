"""The headers of a request."""

from __future__ import annotations

from starlette.types import Scope


def header_of(scope: Scope, name: bytes) -> bytes | None:
    """Return the value of the first header with a name in lower case, or None if there is none.

    Starlette's ``Headers`` do the same, but decode all names that they compare.
    """
    for each, value in scope["headers"]:
        if each == name:
            found: bytes = value
            return found
    return None
