"""Edits: changes to documents and counters, which can be merged with the edits of other calls."""

from __future__ import annotations

import contextlib
import operator
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from emulator.backends.records.protocol import CountTo, CountUp, Create, Put, Remove, Replace
from emulator.backends.records.sqlite.statements import (
    COUNT_TO,
    COUNT_UP,
    COUNT_UP_TO,
    DELETE,
    INSERT,
    PUT,
    UPDATE,
    text_of,
)

DocumentEdit = Create | Put | Replace | Remove

Edit = DocumentEdit | CountUp | CountTo

Place = tuple[str, str]
"""The kind and the key of a document."""

Inserted = list[tuple[int, int]]
"""The serial number and the version of each document of ``Create`` and ``Put``, in this order."""

MUST_CHANGE: Final = frozenset({UPDATE, DELETE, COUNT_UP_TO})
"""Statements that must change a row each time."""

COMBINED: Final[Mapping[str, Callable[[int, int], int]]] = {
    COUNT_UP: operator.add,
    COUNT_UP_TO: operator.add,
    COUNT_TO: max,
}
"""For each statement that changes a counter, how to combine two values for the same counter. The parameters
are the name, the credential, the value and, for ``COUNT_UP_TO``, the limit."""


class NothingChanged(Exception):
    """A statement that must change a row changed none, so all statements of its group were undone."""


class Edits(NamedTuple):
    """The SQL statements of one call, with their parameters. All of them succeed, or all are undone.

    Attributes
    ----------
    statements : sequence of (str, tuple)
        SQL statements with their parameters.
    documents : sequence of DocumentEdit
        The changes to documents.
    places : set of Place or None
        The documents that are changed. None if the edits cannot be merged with others.
    """

    statements: Sequence[tuple[str, tuple[Any, ...]]]
    documents: Sequence[DocumentEdit]
    places: set[Place] | None

    @classmethod
    def of(cls, edits: Iterable[Edit]) -> Edits:
        """Return the SQL statements of changes."""
        statements: list[tuple[str, tuple[Any, ...]]] = []
        documents: list[DocumentEdit] = []
        can_merge = True
        for edit in edits:
            if isinstance(edit, CountUp):
                statements.append((COUNT_UP, edit[:3]) if edit.most is None else (COUNT_UP_TO, edit))
            elif isinstance(edit, CountTo):
                statements.append((COUNT_TO, edit))
            else:
                documents.append(edit)
                statements.append(_statement(edit))
                can_merge = can_merge and not isinstance(edit, Put)
        places = {edit.place for edit in documents}
        return cls(statements, documents, places if can_merge and len(places) == len(documents) else None)

    def run(self, connection: sqlite3.Connection) -> Inserted:
        """Run the statements in order."""
        if len(self.statements) == 1:
            return self._run(connection)
        with undone_after_errors(connection):
            return self._run(connection)

    def _run(self, connection: sqlite3.Connection) -> Inserted:
        inserted: Inserted = []
        for sql, parameters in self.statements:
            cursor = connection.execute(sql, parameters)
            if sql == PUT:
                inserted += cursor.fetchall()
            elif sql == INSERT:
                inserted.append((cursor.lastrowid or 0, 1))
            elif sql in MUST_CHANGE and not cursor.rowcount:
                raise NothingChanged
        return inserted


def _statement(edit: DocumentEdit) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL statement that changes a document, and its parameters."""
    if isinstance(edit, Replace):
        kind, record, document = edit
        return UPDATE, (text_of(document), kind, record.serial, record.version)
    if isinstance(edit, Remove):
        kind, record = edit
        return DELETE, (kind, record.serial, record.version)
    kind, key, credential, document = edit
    return INSERT if isinstance(edit, Create) else PUT, (kind, key, credential, text_of(document))


def run_together(connection: sqlite3.Connection, all_edits: Sequence[Edits]) -> list[Inserted]:
    """Run the edits of several calls, which change different documents: each SQL statement once for all.

    If this raises NothingChanged or IntegrityError, the caller must undo all changes.
    """
    serial = 0
    for sql, rows in _rows(all_edits).items():
        if connection.executemany(sql, rows).rowcount != len(rows) and sql in MUST_CHANGE:
            raise NothingChanged
        if sql == INSERT:
            # No other connection writes now, so the serial numbers have no gaps.
            (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
            serial = last - len(rows)
    inserted: list[Inserted] = []
    for edits in all_edits:
        count = sum(sql == INSERT for sql, _ in edits.statements)
        inserted.append([(serial + number, 1) for number in range(1, count + 1)])
        serial += count
    return inserted


def _rows(all_edits: Sequence[Edits]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the parameters of each SQL statement. Changes of the same counter are combined."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    counters: dict[str, dict[tuple[Any, ...], int]] = {}
    for edits in all_edits:
        for sql, parameters in edits.statements:
            if sql in COMBINED:
                name, credential, value, *limit = parameters
                values = counters.setdefault(sql, {})
                counter = name, credential, *limit
                values[counter] = COMBINED[sql](values[counter], value) if counter in values else value
            else:
                rows.setdefault(sql, []).append(parameters)
    for sql, values in counters.items():
        rows[sql] = [(name, whose, value, *limit) for (name, whose, *limit), value in values.items()]
    return rows


@contextlib.contextmanager
def undone_after_errors(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo the statements in the block after IntegrityError or NothingChanged.

    Outside of a transaction, this begins and commits one.
    """
    connection.execute("SAVEPOINT together")
    try:
        yield
    except (sqlite3.IntegrityError, NothingChanged):
        connection.execute("ROLLBACK TO together")
        connection.execute("RELEASE together")
        raise
    connection.execute("RELEASE together")
