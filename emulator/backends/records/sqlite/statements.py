"""The SQL statements that change documents and counters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

COLUMNS = "key, credential, document, position, version"

INSERT = "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?)"
PUT = (
    f"{INSERT} ON CONFLICT (kind, key) DO UPDATE SET credential = excluded.credential, "
    "document = excluded.document, version = version + 1 RETURNING position, version"
)
UPDATE = (
    "UPDATE records SET document = ?, version = version + 1 WHERE kind = ? AND position = ? AND version = ?"
)
DELETE = "DELETE FROM records WHERE kind = ? AND position = ? AND version = ?"
COUNT_UP = (
    "INSERT INTO counters (name, credential, value) VALUES (?, ?, ?) "
    "ON CONFLICT (name, credential) DO UPDATE SET value = value + excluded.value"
)
COUNT_UP_TO = (
    "INSERT INTO counters (name, credential, value) SELECT ?1, ?2, ?3 WHERE ?3 <= ?4 "
    "ON CONFLICT (name, credential) DO UPDATE SET value = value + excluded.value "
    "WHERE value + excluded.value <= ?4"
)
COUNT_TO = (
    "INSERT INTO counters (name, credential, value) VALUES (?, ?, ?) "
    "ON CONFLICT (name, credential) DO UPDATE SET value = max(value, excluded.value)"
)
NUMBER = (
    "INSERT INTO numbers (kind, last) VALUES (?, ?) "
    "ON CONFLICT (kind) DO UPDATE SET last = last + excluded.last"
)
APPEND = (
    "INSERT INTO records (kind, key, credential, document) "  # noqa: S608 - a constant
    f"SELECT ?, ?, ?, ? || last || ? FROM numbers WHERE kind = ? RETURNING {COLUMNS}"
)
NUMBER_ABOVE = (
    "INSERT INTO numbers (kind, last) VALUES (?, ?) "
    "ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)"
)


def text_of(document: Mapping[str, Any]) -> str:
    """Return a document as JSON."""
    try:
        # For a task, `json` takes five times as long.
        return to_json(document).decode()
    except PydanticSerializationError:
        # The document has half a surrogate pair, which `json` escapes.
        return json.dumps(document)
