"""The tables of the database: their creation in a new file, and their check in an existing file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import aiosqlite

from emulator.backends.records.protocol import StoreUnreadable
from emulator.backends.records.sqlite.batching import BatchingConnection

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, key TEXT NOT NULL, credential TEXT NOT NULL, document TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, position INTEGER PRIMARY KEY AUTOINCREMENT,
    UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS records_by_kind ON records (kind, credential, position);
CREATE INDEX IF NOT EXISTS records_by_credential ON records (credential);
CREATE TABLE IF NOT EXISTS counters (
    name TEXT NOT NULL, credential TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name, credential));
CREATE TABLE IF NOT EXISTS numbers (kind TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""

FORMAT = 1
"""Version of the tables, which is stored as the ``user_version`` of the file. A new file has version 0."""

INCREMENTAL = 2
"""Value of ``auto_vacuum`` with which deleted pages can be freed in steps."""

USED = {
    "records": "INSERT INTO records (kind, key, credential, document, position, version) "
    "VALUES ('', '', '', '', 1, 1) ON CONFLICT (kind, key) DO NOTHING",
    "counters": "INSERT INTO counters (name, credential, value) VALUES ('', '', 1) "
    "ON CONFLICT (name, credential) DO NOTHING",
}
"""For each table, a statement that fails if the table lacks a column or a unique key."""


async def prepare(connection: BatchingConnection, path: Path, *, is_temporary: bool = False) -> None:
    """Create the tables in a new file, or check the tables in an existing file.

    If the file is temporary, no write waits until the file is on the disk.

    Raises
    ------
    StoreUnreadable
        If the file is not a database, or its tables have another format.
    """
    try:
        tables = await number(connection, "SELECT count(*) FROM sqlite_master")
        version = await number(connection, "PRAGMA user_version")
        if version != (FORMAT if tables else 0):
            raise StoreUnreadable(
                str(path), f"it has format {version}, but this version reads format {FORMAT}"
            )
        for table, statement in USED.items() if tables else ():
            await _check_table(connection, path, table, statement)
        # With WAL and NORMAL, kill -9 does not damage the file. A power cut can lose the last commits. A new
        # file has nothing to lose, so the start does not wait until its tables are on the disk.
        await connection.executescript(
            f"PRAGMA synchronous = {'NORMAL' if tables else 'OFF'}; "
            f"PRAGMA auto_vacuum = {INCREMENTAL}; PRAGMA journal_mode = WAL; "
            f"BEGIN; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT; "
            f"PRAGMA synchronous = {'OFF' if is_temporary else 'NORMAL'}"
        )
    except aiosqlite.Error as error:
        raise StoreUnreadable(str(path), str(error)) from error


async def _check_table(connection: BatchingConnection, path: Path, table: str, statement: str) -> None:
    try:
        await connection.execute_fetchall(f"EXPLAIN {statement}")
    except sqlite3.OperationalError as error:
        raise StoreUnreadable(
            str(path), f"its table `{table}` is missing or was changed ({error})"
        ) from error


async def number(connection: BatchingConnection, query: str) -> int:
    """Return the number that a query finds."""
    rows = await connection.execute_fetchall(query)
    return int(next(iter(rows))[0])
