"""The member ``last`` of appended documents, which the database sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from emulator.backends.records.protocol import Counter, Document

MOST: Final = 2**53
"""The highest valid number. A higher ``last`` in a restored document is ignored."""


def around_last(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return the JSON text of a document before and after the value of its member ``last``."""
    others = {name: value for name, value in document.items() if name != "last"}
    return '{"last": ', f", {json.dumps(others)[1:]}" if others else "}"


def last_of(entry: Document | Counter) -> int:
    """Return the number ``last`` of a restored document, or 0 if it has no valid number."""
    last = entry.document.get("last") if isinstance(entry, Document) else None
    return last if type(last) is int and 0 < last <= MOST else 0
