"""A database for documents and counters in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from emulator.backends.private import make_private_folder, open_private
from emulator.backends.records.numbering import around_last
from emulator.backends.records.protocol import (
    Change,
    Counter,
    CountTo,
    Create,
    Document,
    Enqueue,
    Heard,
    Put,
    Record,
    Remove,
    Replace,
    Written,
)
from emulator.backends.records.sqlite import copies
from emulator.backends.records.sqlite.batching import BatchingConnection, Statement, Then
from emulator.backends.records.sqlite.copies import LOCK_TIMEOUT_SECONDS
from emulator.backends.records.sqlite.edits import DocumentEdit, Edit, Edits, Inserted, NothingChanged
from emulator.backends.records.sqlite.schema import FORMAT, INCREMENTAL, number, prepare
from emulator.backends.records.sqlite.statements import APPEND, COLUMNS, COUNT_UP, NUMBER
from emulator.backends.unavailable import store_errors

FREED_PAGES = 500
"""Number of pages to free in one step."""

LARGE_RESULT = 50
"""If a result has at least this many rows, its documents are parsed in a thread."""


class SqliteRecords:
    """Documents and counters in an SQLite file.

    ``export`` and ``restore`` each use a separate connection and one transaction. ``tally`` also uses a
    separate connection, so that other calls do not wait while it reads all documents of a kind. Each other
    method runs one statement, group or script in a `BatchingConnection`, so calls cannot interleave.

    Parameters
    ----------
    path : Path
    is_temporary : bool
        Whether nobody reads the file after this process. Then a power cut may damage it.
    """

    def __init__(self, path: Path, *, is_temporary: bool = False) -> None:
        self._path = path
        self._is_temporary = is_temporary
        self._opened: BatchingConnection | None = None
        self._written: list[Written] = []
        # The counters that numbers were drawn from, by name and credential.
        self._drawn: dict[tuple[str, str], int] = {}
        self._forgets = 0

    async def open(self) -> None:
        """Open the file, or create it. Must be called before every other method.

        Raises
        ------
        StoreUnreadable
            If the file is not a database, or its tables have another format.
        """
        make_private_folder(self._path.parent)
        # SQLite gives its other files the mode of this one.
        open_private(self._path).close()
        connection = await BatchingConnection.connect(self._path, LOCK_TIMEOUT_SECONDS)
        try:
            await prepare(connection, self._path, is_temporary=self._is_temporary)
        except BaseException:
            # Otherwise the thread of the connection would keep running, and keep the file open.
            await connection.close()
            raise
        self._opened = connection

    @property
    def _connection(self) -> BatchingConnection:
        if self._opened is None:
            raise RuntimeError("the records are not open: the application's lifespan has not started")
        return self._opened

    @property
    def is_shared(self) -> bool:
        """False, because only one process can use the file."""
        return False

    @property
    def place(self) -> str:
        """The folder of the file."""
        return str(self._path.parent)

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document, and return it."""
        try:
            ((serial, version),) = await self._make([Create(kind, key, credential, document)])
        except sqlite3.IntegrityError as error:
            raise KeyError(key) from error
        return Record(key, credential, document, serial, version)

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document, replace any existing document of the same kind and key, and return it."""
        ((serial, version),) = await self._make([Put(kind, key, credential, document)])
        return Record(key, credential, document, serial, version)

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document, give it the next ``by`` numbers of its kind, and return the record."""
        before, after = around_last(document)
        statements = [
            Statement(NUMBER, (kind, by)),
            Statement(APPEND, (kind, key, credential, before, after, kind)),
        ]
        with store_errors():
            try:
                _, appended = await self._connection.execute_together(statements)
            except sqlite3.IntegrityError as error:
                raise KeyError(key) from error
        return _record(appended.rows[0])

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM records WHERE kind = ? AND key = ?",  # noqa: S608 - a constant
            (kind, key),
        )
        return next((_record(row) for row in rows), None)

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store ``document`` instead of ``record``. Return the new record, or None if this failed."""
        try:
            await self._make([Replace(kind, record, document)])
        except NothingChanged:
            return None
        return _next(record, document)

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes in one transaction, and return whether this succeeded."""
        try:
            await self._make([change for change in changes if not isinstance(change, Enqueue)])
        except NothingChanged:
            return False
        except sqlite3.IntegrityError as error:
            raise KeyError(*(change.key for change in changes if isinstance(change, Create))) from error
        return True

    async def _make(self, changes: Iterable[Edit]) -> Inserted:
        """Make changes in one transaction, and notify the listeners of `note`."""
        edits = Edits.of(changes)
        with store_errors():
            return await self._connection.edit(edits, partial(self._notify, edits.documents))

    def _notify(self, documents: Sequence[DocumentEdit], inserted: Inserted) -> None:
        numbers = iter(inserted)
        for edit in documents:
            if isinstance(edit, Replace):
                kind, record, document = edit
                self._note(kind, record.key, _next(record, document))
            elif isinstance(edit, Remove):
                self._note(edit.kind, edit.record.key, None)
            else:
                kind, key, credential, document = edit
                self._note(kind, key, Record(key, credential, document, *next(numbers)))

    def _note(self, kind: str, key: str, record: Record | None) -> None:
        for written in self._written:
            written(kind, key, record)

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM records "  # noqa: S608 - a constant
            "WHERE kind = ? AND credential = coalesce(?, credential) AND position > ?"
            + (" AND json_extract(document, '$.' || ?) IS NULL" if unset else "")
            + " ORDER BY position",
            (kind, credential, after, unset) if unset else (kind, credential, after),
        )
        found = list(rows)
        if len(found) < LARGE_RESULT:
            return [_record(row) for row in found]
        return await anyio.to_thread.run_sync(lambda: [_record(row) for row in found])

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a string member."""
        with store_errors():
            return await anyio.to_thread.run_sync(copies.tally, self._path, kind, member)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""
        return (
            await self._execute(
                "DELETE FROM records WHERE kind = ? AND key = ?",
                (kind, key),
                lambda _results: self._note(kind, key, None),
            )
            == 1
        )

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        """Add ``by`` to a counter of a credential, which begins at 0, and return its new value."""
        if (name, credential) in self._drawn:
            last, changes = await self.draw(name, credential, by)
            await self.write(changes)
            return last
        rows = await self._fetch(f"{COUNT_UP} RETURNING value", (name, credential, by))
        return int(next(iter(rows))[0])

    async def draw(self, name: str, credential: str, by: int = 1) -> tuple[int, Sequence[Change]]:
        """Add ``by`` to a counter in memory, and return its new value and the change that stores it."""
        counter = name, credential
        while counter not in self._drawn:
            before = self._forgets
            stored = await self.count(name, credential)
            if self._forgets == before:
                # Another call may have read it in the meantime, and drawn from it.
                self._drawn.setdefault(counter, stored)
        last = self._drawn[counter] = self._drawn[counter] + by
        return last, [CountTo(name, credential, last)]

    async def count(self, name: str, credential: str = "") -> int:
        """Return the value of a counter of a credential."""
        rows = await self._fetch(
            "SELECT value FROM counters WHERE name = ? AND credential = ?", (name, credential)
        )
        return next((int(row[0]) for row in rows), 0)

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        """Return the counters whose name begins with ``prefix``, sorted by name and credential."""
        digits = prefix.encode().hex().upper()
        rows = await self._fetch(
            "SELECT name, credential, value FROM counters "
            # Compare hexadecimal digits, because `substr` ends a text at NUL.
            "WHERE substr(hex(name), 1, ?) = ? AND credential = coalesce(?, credential) "
            "ORDER BY name, credential",
            (len(digits), digits, credential),
        )
        return [Counter(*row) for row in rows]

    def note(self, written: Written) -> None:
        """From now on, call ``written`` each time a document was written."""
        self._written.append(written)

    def listen(self, kind: str, heard: Heard) -> None:
        """Do nothing, because only this process changes the database."""

    async def catch_up(self) -> None:
        """Do nothing, because only this process changes the database."""

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if it is None."""
        # One script, so that no other statement can run in between. Scripts do not support parameters, so
        # write the credential in hexadecimal digits, which cannot contain SQL.
        whose = "credential" if credential is None else f"CAST(x'{credential.encode().hex()}' AS TEXT)"
        script = (
            f"BEGIN; DELETE FROM records WHERE credential = {whose}; "  # noqa: S608 - see above
            f"DELETE FROM counters WHERE credential = {whose}; COMMIT"
        )
        self._forget_drawn(credential)
        with store_errors():
            await self._connection.executescript(script)

    async def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""
        with store_errors():
            async for entry in copies.export(self._path):
                yield entry

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed."""
        # Wait for earlier statements, because a statement continues even if its caller is cancelled.
        await self._fetch("SELECT 1", ())
        with store_errors():
            try:
                await anyio.to_thread.run_sync(copies.restore, self._path, entries)
            finally:
                self._forget_drawn(None)

    def _forget_drawn(self, credential: str | None) -> None:
        """Read the counters of ``credential``, or all counters, again when the next number is drawn."""
        self._forgets += 1
        for counter in [each for each in self._drawn if credential in {None, each[1]}]:
            del self._drawn[counter]

    async def compact(self) -> None:
        """Free the disk space of deleted documents.

        This happens in steps, because other calls wait while a statement runs.
        """
        with store_errors():
            if await number(self._connection, "PRAGMA auto_vacuum") != INCREMENTAL:
                await self._connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
                await self._connection.execute("VACUUM")
            while await number(self._connection, "PRAGMA freelist_count"):
                await self._connection.execute_fetchall(f"PRAGMA incremental_vacuum({FREED_PAGES})")
            await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def check(self) -> None:
        """Write to the file without changing its content."""
        await self._execute(f"PRAGMA user_version = {FORMAT}", ())

    async def _execute(self, statement: str, values: tuple[Any, ...], then: Then | None = None) -> int:
        """Run a statement, and return the number of changed rows."""
        with store_errors():
            result = await self._connection.execute(statement, values, then)
        return result.rowcount

    async def _fetch(self, statement: str, values: tuple[Any, ...]) -> Iterable[Any]:
        """Run a statement, and return its rows."""
        with store_errors():
            return await self._connection.execute_fetchall(statement, values)

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


def _record(row: Any) -> Record:
    key, credential, document, position, version = row
    return Record(key, credential, json.loads(document), serial=position, version=version)


def _next(record: Record, document: Mapping[str, Any]) -> Record:
    """Return the record that replaces ``record``."""
    return Record(record.key, record.credential, document, record.serial, record.version + 1)
