"""Records in one SQLite file: the embedded adapter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiosqlite

from emulator.backends.records.protocol import Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, scope TEXT NOT NULL, document TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, position INTEGER PRIMARY KEY AUTOINCREMENT,
    UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS records_by_scope ON records (kind, scope, position);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class SqliteRecords:
    """Records in a file; all statements run on the one thread that aiosqlite keeps.

    Each call is one statement and commits by itself, so calls cannot interleave.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Open the file, made if there is none; comes before every other call."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = await aiosqlite.connect(self._path, isolation_level=None)
        # WAL with NORMAL keeps the file whole after kill -9; only a power cut may lose the last commits.
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
        await connection.executescript(SCHEMA)
        self._opened = connection

    @property
    def _connection(self) -> aiosqlite.Connection:
        if self._opened is None:
            raise RuntimeError("the records are not open: the application's lifespan has not begun")
        return self._opened

    async def create(self, kind: str, key: str, scope: str, document: Mapping[str, Any]) -> None:
        """Store a new document."""
        try:
            await self._connection.execute(
                "INSERT INTO records (kind, key, scope, document) VALUES (?, ?, ?, ?)",
                (kind, key, scope, json.dumps(document)),
            )
        except aiosqlite.IntegrityError as error:
            raise KeyError(key) from error

    async def put(self, kind: str, key: str, scope: str, document: Mapping[str, Any]) -> None:
        """Store a document, in place of what was under the key."""
        await self._connection.execute(
            "INSERT INTO records (kind, key, scope, document) VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) "
            "DO UPDATE SET scope = excluded.scope, document = excluded.document, version = version + 1",
            (kind, key, scope, json.dumps(document)),
        )

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        rows = await self._connection.execute_fetchall(
            "SELECT key, scope, document, version FROM records WHERE kind = ? AND key = ?", (kind, key)
        )
        return next((_record(row) for row in rows), None)

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` where ``record`` stood, and return whether it still stood there."""
        cursor = await self._connection.execute(
            "UPDATE records SET document = ?, version = version + 1 "
            "WHERE kind = ? AND key = ? AND version = ?",
            (json.dumps(document), kind, record.key, record.version),
        )
        return cursor.rowcount == 1

    async def find(self, kind: str, scope: str | None = None) -> list[Record]:
        """Return the documents of a kind, of one scope or of all, in the order of creation."""
        rows = await self._connection.execute_fetchall(
            "SELECT key, scope, document, version FROM records WHERE kind = ? AND scope = coalesce(?, scope) "
            "ORDER BY position",
            (kind, scope),
        )
        return [_record(row) for row in rows]

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether there was one."""
        cursor = await self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))
        return cursor.rowcount == 1

    async def count_up(self, name: str) -> int:
        """Return the next number under ``name``: 1, 2, 3 ..."""
        rows = await self._connection.execute_fetchall(
            "INSERT INTO counters (name, value) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        )
        return int(next(iter(rows))[0])

    async def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


def _record(row: Any) -> Record:
    key, scope, document, version = row
    return Record(key=key, scope=scope, document=json.loads(document), version=version)
