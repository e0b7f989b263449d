"""Operations on much of the database. Each uses its own connection, so that no other call waits."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import aiosqlite

from emulator.backends.records.numbering import last_of
from emulator.backends.records.protocol import Counter, Document
from emulator.backends.records.sqlite.statements import INSERT, NUMBER_ABOVE

LOCK_TIMEOUT_SECONDS: Final = 120
"""Seconds that a statement waits for the file's lock. A restore holds the lock until the restore ends."""


async def export(path: Path) -> AsyncIterator[Document | Counter]:
    """Yield a consistent copy of all documents, the oldest first, and of all counters."""
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("BEGIN")
        documents = "SELECT kind, key, credential, document FROM records ORDER BY position"
        async with connection.execute(documents) as rows:
            async for kind, key, credential, document in rows:
                yield Document(kind, key, credential, json.loads(document))
        counters = "SELECT name, credential, value FROM counters ORDER BY name, credential"
        async with connection.execute(counters) as rows:
            async for name, credential, value in rows:
                yield Counter(name, credential, value)


def tally(path: Path, kind: str, member: str) -> dict[str, int]:
    """Return the number of documents of a kind for each value of a member."""
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS)) as connection:
        query = "SELECT json_extract(document, ?), count(*) FROM records WHERE kind = ? GROUP BY 1"
        return dict(connection.execute(query, (f'$."{member}"', kind)))


def restore(path: Path, entries: Iterable[Document | Counter]) -> None:
    """Replace all documents and counters with ``entries``, in one transaction."""
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS)) as connection, connection:
        connection.execute("DELETE FROM records")
        connection.execute("DELETE FROM counters")
        for entry in entries:
            _insert(connection, entry)
            if isinstance(entry, Document) and last_of(entry):
                connection.execute(NUMBER_ABOVE, (entry.kind, last_of(entry)))


def _insert(connection: sqlite3.Connection, entry: Document | Counter) -> None:
    try:
        if isinstance(entry, Document):
            connection.execute(
                INSERT,
                (entry.kind, entry.key, entry.credential, json.dumps(entry.document)),
            )
        else:
            connection.execute(
                "INSERT INTO counters (name, credential, value) VALUES (?, ?, ?)",
                (entry.name, entry.credential, entry.value),
            )
    except sqlite3.IntegrityError as error:
        raise KeyError(entry.key if isinstance(entry, Document) else entry.name) from error
