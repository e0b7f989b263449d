"""The SQL statements that change documents and counters."""

from __future__ import annotations

import json

from emulator.backends.records.protocol import CountUp, Create, Put, Remove, Replace
from emulator.backends.records.sqlite.batching import Statement

COLUMNS = "key, credential, document, position, version"

INSERT = "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?)"
UPSERT = (
    f"{INSERT} ON CONFLICT (kind, key) DO UPDATE SET credential = excluded.credential, "
    "document = excluded.document, version = version + 1"
)
UPDATE = (
    "UPDATE records SET document = ?, version = version + 1 WHERE kind = ? AND position = ? AND version = ?"
)
DELETE = "DELETE FROM records WHERE kind = ? AND position = ? AND version = ?"
COUNT_UP = (
    "INSERT INTO counters (name, credential, value) VALUES (?, ?, ?) "
    "ON CONFLICT (name, credential) DO UPDATE SET value = value + excluded.value"
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


def statement_for(change: Create | Put | Replace | Remove | CountUp) -> Statement:
    """Return the statement that makes a change."""
    match change:
        case Create(kind, key, credential, document):
            return Statement(INSERT, (kind, key, credential, json.dumps(document)))
        case Put(kind, key, credential, document):
            return Statement(UPSERT, (kind, key, credential, json.dumps(document)))
        case Replace(kind, record, document):
            values = (json.dumps(document), kind, record.serial, record.version)
            return Statement(UPDATE, values, must_change=True)
        case Remove(kind, record):
            return Statement(DELETE, (kind, record.serial, record.version), must_change=True)
        case CountUp(name, credential, by):
            return Statement(COUNT_UP, (name, credential, by))
