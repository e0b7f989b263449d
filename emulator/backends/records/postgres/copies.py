"""Export and restore of the whole database."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from emulator.backends.records.numbering import last_of
from emulator.backends.records.postgres import statements
from emulator.backends.records.postgres.address import Address
from emulator.backends.records.postgres.texts import restored
from emulator.backends.records.protocol import Counter, Document

BATCH: Final = 500
"""Number of rows to send or to fetch at once."""

_UNLIMITED: Final = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"


@dataclass(frozen=True)
class _Table:
    """A statement that inserts rows, which are passed as columns.

    Attributes
    ----------
    statement : str
        Returns the unique keys of the rows that did not exist yet.
    unique : sequence of int
        Positions of the columns of the unique key.
    name : int
        Position of the column that names a row in an error.
    """

    statement: str
    unique: Sequence[int]
    name: int


_DOCUMENTS: Final = _Table(
    "INSERT INTO face_emulator.records "
    "(kind, key, long_key, credential, long_credential, document, members) "
    "SELECT kind, key, long_key, credential, long_credential, document, members FROM unnest("
    "%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY "
    "AS given (kind, key, long_key, credential, long_credential, document, members, number) ORDER BY number "
    "ON CONFLICT DO NOTHING RETURNING kind, key",
    unique=(0, 1),
    name=1,
)
_COUNTERS: Final = _Table(
    "INSERT INTO face_emulator.counters (name, long_name, credential, long_credential, value) "
    "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[]) "
    "ON CONFLICT DO NOTHING RETURNING name, credential",
    unique=(0, 2),
    name=0,
)


async def export(address: Address) -> AsyncIterator[Document | Counter]:
    """Yield a consistent copy of all documents, the oldest first, and of all counters."""
    connection = await address.connect()
    async with connection:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute(_UNLIMITED)
        async with connection.cursor("documents") as documents:
            documents.itersize = BATCH
            await documents.execute(statements.DOCUMENTS)
            async for found in documents:
                yield statements.document_of(found)
        async with connection.cursor("counters") as counters:
            counters.itersize = BATCH
            await counters.execute(statements.ALL_COUNTERS)
            async for found in counters:
                yield statements.counter_of(found)


def restore(address: Address, entries: Iterable[Document | Counter]) -> None:
    """Replace everything with ``entries`` in one transaction. This blocks the thread."""
    with psycopg.connect(address.conninfo) as connection:
        connection.execute(_UNLIMITED)
        connection.execute("SELECT set_config('face_emulator.tell', 'later', true)")
        # Other transactions can read, but not write.
        connection.execute(
            "LOCK TABLE face_emulator.records, face_emulator.counters IN SHARE ROW EXCLUSIVE MODE"
        )
        connection.execute("DELETE FROM face_emulator.records")
        connection.execute("DELETE FROM face_emulator.counters")
        numbers: dict[str, int] = {}
        for are_documents, group in itertools.groupby(entries, lambda entry: isinstance(entry, Document)):
            while batch := list(itertools.islice(group, BATCH)):
                table = _DOCUMENTS if are_documents else _COUNTERS
                _insert(connection, table, [_row(entry) for entry in batch])
                for entry in batch:
                    if isinstance(entry, Document) and last_of(entry) > numbers.get(entry.kind, 0):
                        numbers[entry.kind] = last_of(entry)
        for number in numbers.items():
            connection.execute(statements.NUMBER_ABOVE, number)
        connection.execute("SELECT pg_notify('face_emulator', '')")


def _row(entry: Document | Counter) -> tuple[Any, ...]:
    if isinstance(entry, Document):
        return statements.row(entry.kind, entry.key, entry.credential, entry.document)
    return statements.counter_row(entry.name, entry.credential, entry.value)


def _insert(connection: psycopg.Connection, table: _Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows. Raise KeyError if one of them already exists."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    inserted = connection.execute(table.statement, columns).fetchall()
    if len(inserted) == len(rows):
        return
    for row in rows:
        unique = tuple(row[number] for number in table.unique)
        if unique not in inserted:
            raise KeyError(restored(row[table.name]))
        inserted.remove(unique)
