"""The SQL statements of records, and the conversion between rows and records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.backends.records.numbering import around_last
from emulator.backends.records.postgres.texts import (
    CUT,
    encoded,
    indexed,
    member,
    members,
    restored,
    stored,
)
from emulator.backends.records.protocol import (
    Counter,
    CountUp,
    Create,
    Document,
    Put,
    Record,
    Remove,
    Replace,
)

COLUMNS: Final = "coalesce(long_key, key), coalesce(long_credential, credential), document, position, version"

_RECORDS: Final = "face_emulator.records"
_COUNTERS: Final = "face_emulator.counters"

INSERT: Final = (
    f"INSERT INTO {_RECORDS} AS r (kind, key, long_key, credential, long_credential, document, members) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s)"
)
CREATE: Final = f"{INSERT} RETURNING position, version"
PUT: Final = (
    f"{INSERT} ON CONFLICT (kind, key) DO UPDATE SET credential = excluded.credential, "
    "long_credential = excluded.long_credential, document = excluded.document, "
    "members = excluded.members, version = r.version + 1 RETURNING position, version"
)
# First lock the kind's row in ``numbers`` until the end of the transaction, and then draw the serial number.
# So ``last`` and the serial number both increase in the order of the transactions.
APPEND: Final = (
    "WITH numbered AS ("
    "INSERT INTO face_emulator.numbers AS n (kind, last) VALUES (%s, %s) "
    "ON CONFLICT (kind) DO UPDATE SET last = n.last + excluded.last RETURNING last) "
    f"INSERT INTO {_RECORDS} (kind, key, long_key, credential, long_credential, document, members) "
    "SELECT %s, %s, %s, %s, %s, %s || last || %s, %s FROM numbered "
    "RETURNING position, version, (SELECT last FROM numbered)"
)
NUMBER_ABOVE: Final = (
    "INSERT INTO face_emulator.numbers AS n (kind, last) VALUES (%s, %s) "
    "ON CONFLICT (kind) DO UPDATE SET last = greatest(n.last, excluded.last)"
)
GET: Final = f"SELECT {COLUMNS} FROM {_RECORDS} WHERE kind = %s AND key = %s"
REPLACE: Final = (
    f"UPDATE {_RECORDS} SET document = %s, members = %s, version = version + 1 "
    "WHERE position = %s AND kind = %s AND version = %s"
)
# PostgreSQL cannot read JSON with escapes of NUL or of half a surrogate pair, so replace these escapes.
TALLY: Final = (
    r"SELECT regexp_replace(document, '\\u(0000|d[89a-f]..)', '\\u0001', 'g')::json ->> %s AS value, "
    "count(*) "
    f"FROM {_RECORDS} WHERE kind = %s GROUP BY value"
)
DELETE: Final = f"DELETE FROM {_RECORDS} WHERE kind = %s AND key = %s"
CHANGE: Final = "SELECT face_emulator.change(%s::jsonb)"
COUNT_UP: Final = (
    f"INSERT INTO {_COUNTERS} AS n (name, long_name, credential, long_credential, value) "
    "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (name, credential) "
    "DO UPDATE SET value = n.value + excluded.value RETURNING value"
)
# Each replica writes to its own row, so that checks of several replicas do not wait for each other.
CHECK: Final = "UPDATE face_emulator.replicas SET missing_since = NULL WHERE id = %s"
FORGET: Final = "SELECT face_emulator.forget(%s)"

DOCUMENTS: Final = (
    "SELECT kind, coalesce(long_key, key), coalesce(long_credential, credential), document "
    f"FROM {_RECORDS} ORDER BY position"
)
ALL_COUNTERS: Final = (
    "SELECT coalesce(long_name, name), coalesce(long_credential, credential), value "
    f"FROM {_COUNTERS} ORDER BY 1, 2"
)


def find(kind: str, credential: str | None, after: int, unset: str | None) -> tuple[str, list[Any]]:
    """Return the statement that finds documents, and its parameters."""
    conditions = ["kind = %s"]
    values: list[Any] = [kind]
    if credential is not None:
        conditions.append("credential = %s")
        values.append(indexed(credential)[0])
    if after:
        conditions.append("position > %s")
        values.append(after)
    if unset is not None:
        conditions.append("strpos(members, %s) = 0")
        values.append(member(unset))
    return f"SELECT {COLUMNS} FROM {_RECORDS} WHERE {' AND '.join(conditions)} ORDER BY position", values


def counters(prefix: str, credential: str | None) -> tuple[str, list[Any]]:
    """Return the statement that finds counters, and its parameters. It may return too many rows."""
    conditions, values = ["starts_with(name, %s)"], [stored(prefix)[:CUT]]
    if credential is not None:
        conditions.append("credential = %s")
        values.append(indexed(credential)[0])
    return (
        "SELECT coalesce(long_name, name), coalesce(long_credential, credential), value "
        f"FROM {_COUNTERS} WHERE {' AND '.join(conditions)}"
    ), values


def row(kind: str, key: str, credential: str, document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the parameters of INSERT, CREATE and PUT."""
    return (kind, *indexed(key), *indexed(credential), encoded(document), members(document))


def appended_row(
    kind: str, key: str, credential: str, document: Mapping[str, Any], by: int
) -> tuple[Any, ...]:
    """Return the parameters of APPEND."""
    before, after = around_last(document)
    row = (kind, *indexed(key), *indexed(credential), before, after, members({**document, "last": 0}))
    return (kind, by, *row)


def counter_row(name: str, credential: str, value: int) -> tuple[Any, ...]:
    """Return the parameters of COUNT_UP."""
    return (*indexed(name), *indexed(credential), value)


def changes(given: Sequence[Create | Put | Replace | Remove | CountUp]) -> str:
    """Return the parameter of CHANGE.

    Counters are first, in a fixed order: they are locked until the end of the transaction, so that the
    serial numbers of documents that are created with them increase in the order of the transactions.
    """
    counts = sorted(
        (change for change in given if isinstance(change, CountUp)),
        key=lambda change: (change.name, change.credential),
    )
    others = [change for change in given if not isinstance(change, CountUp)]
    return json.dumps([_change(change) for change in (*counts, *others)])


def _change(change: Create | Put | Replace | Remove | CountUp) -> tuple[Any, ...]:
    match change:
        case Create(kind, key, credential, document):
            return ("create", *row(kind, key, credential, document))
        case Put(kind, key, credential, document):
            return ("put", *row(kind, key, credential, document))
        case Replace(kind, record, document):
            return ("replace", kind, record.serial, record.version, encoded(document), members(document))
        case Remove(kind, record):
            return ("remove", kind, record.serial, record.version)
        case CountUp(name, credential, by):
            return ("count", *counter_row(name, credential, by))


def record_of(found: Sequence[Any]) -> Record:
    """Return the record in a row of COLUMNS."""
    key, credential, document, position, version = found
    return Record(restored(key), restored(credential), json.loads(document), position, version)


def document_of(found: Sequence[Any]) -> Document:
    """Return the document in a row of DOCUMENTS."""
    kind, key, credential, document = found
    return Document(kind, restored(key), restored(credential), json.loads(document))


def counter_of(found: Sequence[Any]) -> Counter:
    """Return the counter in a row of ALL_COUNTERS or `counters`."""
    name, credential, value = found
    return Counter(restored(name), restored(credential), value)
