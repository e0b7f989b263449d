"""The SQL statements that change documents and counters."""

from __future__ import annotations

import json

from emulator.backends.records.protocol import CountTo, CountUp, Create, Put, Remove, Replace
from emulator.backends.records.sqlite.batching import Statement

COLUMNS = "key, credential, document, position, version"

INSERT = "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?)"
CREATE = f"{INSERT} RETURNING position, version"
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


def statement_for(change: Create | Put | Replace | Remove | CountUp | CountTo) -> Statement:
    """Return the statement that makes a change."""
    match change:
        case Create(kind, key, credential, document):
            return Statement(CREATE, (kind, key, credential, json.dumps(document)))
        case Put(kind, key, credential, document):
            return Statement(PUT, (kind, key, credential, json.dumps(document)))
        case Replace(kind, record, document):
            values = (json.dumps(document), kind, record.serial, record.version)
            return Statement(UPDATE, values, must_change=True)
        case Remove(kind, record):
            return Statement(DELETE, (kind, record.serial, record.version), must_change=True)
        case CountUp(name, credential, by, most):
            limited = () if most is None else (most,)
            sql = COUNT_UP_TO if limited else COUNT_UP
            return Statement(sql, (name, credential, by, *limited), must_change=bool(limited))
        case CountTo(name, credential, value):
            return Statement(COUNT_TO, (name, credential, value))
