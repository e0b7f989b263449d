"""A database for documents and counters in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiosqlite
import anyio.to_thread

from emulator.backends.private import make_private_folder, open_private
from emulator.backends.records.batching import BatchingConnection
from emulator.backends.records.protocol import Counter, Document, Record, StoreUnreadable
from emulator.backends.unavailable import store_errors

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, credential TEXT NOT NULL, document TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, position INTEGER PRIMARY KEY AUTOINCREMENT,
    UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS records_by_kind ON records (kind, credential, position);
CREATE INDEX IF NOT EXISTS records_by_credential ON records (credential);
CREATE TABLE IF NOT EXISTS counters (
    name TEXT NOT NULL, credential TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, credential));
"""

FORMAT = 1
"""Version of the tables, which is stored as the ``user_version`` of the file. A new file has version 0."""

INCREMENTAL = 2
"""Value of ``auto_vacuum`` with which deleted pages can be freed in steps."""

FREED_PAGES = 500
"""Number of pages to free in one step."""

LARGE_RESULT = 50
"""Number of rows from which documents are parsed in a thread."""

LOCK_TIMEOUT_SECONDS = 120
"""Seconds that a statement waits for the file's lock. A restore holds the lock until the restore ends."""

USED = {
    "records": "INSERT INTO records (kind, key, credential, document, position, version) "
    "VALUES ('', '', '', '', 1, 1) ON CONFLICT (kind, key) DO NOTHING",
    "counters": "INSERT INTO counters (name, credential, value) VALUES ('', '', 1) "
    "ON CONFLICT (name, credential) DO NOTHING",
}
"""A statement for each table that fails if the table lacks a column or a unique key."""

COLUMNS = "key, credential, document, position, version"


class SqliteRecords:
    """Documents and counters in an SQLite file.

    ``export`` and ``restore`` each use a separate connection and one transaction. ``tally`` also uses a
    separate connection, because it reads all documents of a kind, and no other call shall wait for that. Each
    other method runs one statement or script in a `BatchingConnection`, so calls cannot interleave.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: BatchingConnection | None = None

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
            await self._prepare(connection)
        except BaseException:
            # Otherwise the thread of the connection would prevent the process from exiting.
            await connection.close()
            raise
        self._opened = connection

    async def _prepare(self, connection: BatchingConnection) -> None:
        try:
            tables = await _number(connection, "SELECT count(*) FROM sqlite_master")
            version = await _number(connection, "PRAGMA user_version")
            if version != (FORMAT if tables else 0):
                raise StoreUnreadable(
                    str(self._path), f"it has format {version}, but this version reads format {FORMAT}"
                )
            for table, statement in USED.items() if tables else ():
                await self._check_table(connection, table, statement)
            await connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            # With WAL and NORMAL, kill -9 does not damage the file. A power cut can lose the last commits.
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = NORMAL")
            await connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT")
        except aiosqlite.Error as error:
            raise StoreUnreadable(str(self._path), str(error)) from error

    async def _check_table(self, connection: BatchingConnection, table: str, statement: str) -> None:
        try:
            await connection.execute_fetchall(f"EXPLAIN {statement}")
        except sqlite3.OperationalError as error:
            raise StoreUnreadable(
                str(self._path), f"its table `{table}` is missing or was changed ({error})"
            ) from error

    @property
    def _connection(self) -> BatchingConnection:
        if self._opened is None:
            raise RuntimeError("the records are not open: the application's lifespan has not started")
        return self._opened

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a new document."""
        try:
            await self._execute(
                "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?)",
                (kind, key, credential, json.dumps(document)),
            )
        except aiosqlite.IntegrityError as error:
            raise KeyError(key) from error

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a document, and replace any existing document of the same kind and key."""
        await self._execute(
            "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (kind, key) DO UPDATE SET credential = excluded.credential, "
            "document = excluded.document, version = version + 1",
            (kind, key, credential, json.dumps(document)),
        )

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM records WHERE kind = ? AND key = ?",  # noqa: S608 - a constant
            (kind, key),
        )
        return next((_record(row) for row in rows), None)

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` instead of ``record``, and return whether this succeeded."""
        changed = await self._execute(
            "UPDATE records SET document = ?, version = version + 1 "
            "WHERE kind = ? AND position = ? AND version = ?",
            (json.dumps(document), kind, record.serial, record.version),
        )
        return changed == 1

    async def find(self, kind: str, credential: str | None = None) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""
        rows = await self._fetch(
            f"SELECT {COLUMNS} FROM records "  # noqa: S608 - a constant
            "WHERE kind = ? AND credential = coalesce(?, credential) ORDER BY position",
            (kind, credential),
        )
        found = list(rows)
        if len(found) < LARGE_RESULT:
            return [_record(row) for row in found]
        return await anyio.to_thread.run_sync(lambda: [_record(row) for row in found])

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a member, which is a text."""
        with store_errors():
            return await anyio.to_thread.run_sync(_tally, self._path, kind, member)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""
        return await self._execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key)) == 1

    async def count_up(self, name: str, credential: str = "") -> int:
        """Increment a counter of a credential, and return its new value: 1, 2, 3 ..."""
        rows = await self._fetch(
            "INSERT INTO counters (name, credential, value) VALUES (?, ?, 1) "
            "ON CONFLICT (name, credential) DO UPDATE SET value = value + 1 RETURNING value",
            (name, credential),
        )
        return int(next(iter(rows))[0])

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if it is None."""
        # One script, so that no other statement can run in between. Scripts do not support parameters, so
        # write the credential in hexadecimal digits, which cannot contain SQL.
        whose = "credential" if credential is None else f"CAST(x'{credential.encode().hex()}' AS TEXT)"
        script = (
            f"BEGIN; DELETE FROM records WHERE credential = {whose}; "  # noqa: S608 - see above
            f"DELETE FROM counters WHERE credential = {whose}; COMMIT"
        )
        with store_errors():
            await self._connection.executescript(script)

    async def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""
        with store_errors():
            async for entry in self._export():
                yield entry

    async def _export(self) -> AsyncIterator[Document | Counter]:
        async with aiosqlite.connect(self._path, isolation_level=None) as connection:
            await connection.execute("BEGIN")
            documents = "SELECT kind, key, credential, document FROM records ORDER BY position"
            async with connection.execute(documents) as rows:
                async for kind, key, credential, document in rows:
                    yield Document(kind, key, credential, json.loads(document))
            counters = "SELECT name, credential, value FROM counters ORDER BY name, credential"
            async with connection.execute(counters) as rows:
                async for name, credential, value in rows:
                    yield Counter(name, credential, value)

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed."""
        # Wait for earlier statements, because a statement runs on even if its caller is cancelled.
        await self._fetch("SELECT 1", ())
        with store_errors():
            await anyio.to_thread.run_sync(_restore, self._path, entries)

    async def compact(self) -> None:
        """Give the space of deleted documents back to the disk.

        This happens in steps, because a statement makes all others wait.
        """
        with store_errors():
            if await _number(self._connection, "PRAGMA auto_vacuum") != INCREMENTAL:
                await self._connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
                await self._connection.execute("VACUUM")
            while await _number(self._connection, "PRAGMA freelist_count"):
                await self._connection.execute_fetchall(f"PRAGMA incremental_vacuum({FREED_PAGES})")
            await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def check(self) -> None:
        """Write to the file, without a change of its content."""
        await self._execute(f"PRAGMA user_version = {FORMAT}", ())

    async def _execute(self, statement: str, values: tuple[Any, ...]) -> int:
        """Run a statement, and return the number of changed rows."""
        with store_errors():
            cursor = await self._connection.execute(statement, values)
        return cursor.rowcount

    async def _fetch(self, statement: str, values: tuple[Any, ...]) -> Iterable[Any]:
        """Run a statement, and return its rows."""
        with store_errors():
            return await self._connection.execute_fetchall(statement, values)

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


async def _number(connection: BatchingConnection, query: str) -> int:
    rows = await connection.execute_fetchall(query)
    return int(next(iter(rows))[0])


def _record(row: Any) -> Record:
    key, credential, document, position, version = row
    return Record(key, credential, json.loads(document), serial=position, version=version)


def _tally(path: Path, kind: str, member: str) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS)) as connection:
        query = "SELECT json_extract(document, ?), count(*) FROM records WHERE kind = ? GROUP BY 1"
        return dict(connection.execute(query, (f'$."{member}"', kind)))


def _restore(path: Path, entries: Iterable[Document | Counter]) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS)) as connection, connection:
        connection.execute("DELETE FROM records")
        connection.execute("DELETE FROM counters")
        for entry in entries:
            _insert(connection, entry)


def _insert(connection: sqlite3.Connection, entry: Document | Counter) -> None:
    try:
        if isinstance(entry, Document):
            connection.execute(
                "INSERT INTO records (kind, key, credential, document) VALUES (?, ?, ?, ?)",
                (entry.kind, entry.key, entry.credential, json.dumps(entry.document)),
            )
        else:
            connection.execute(
                "INSERT INTO counters (name, credential, value) VALUES (?, ?, ?)",
                (entry.name, entry.credential, entry.value),
            )
    except sqlite3.IntegrityError as error:
        raise KeyError(entry.key if isinstance(entry, Document) else entry.name) from error
