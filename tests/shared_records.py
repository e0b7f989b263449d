"""A database that several replicas in one process share, for tests of what replicas do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulator.backends.records import Change, Create, Document, Heard, Put, Record, Remove, Replace
from emulator.backends.records.batching import BatchingConnection
from emulator.backends.records.protocol import Counter
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.unavailable import StoreUnavailable

_Notice = tuple[str | None, str | None]
"""The kind and the key of a document; None for any kind or any key."""


class SharedRecords(SqliteRecords):
    """A replica's view of a database. All replicas are in one process, and use one connection.

    Listeners hear of changes when the replica catches up, or a moment later by themselves.

    Attributes
    ----------
    is_away : bool
        Whether every use of the database fails.
    forgets_answers : bool
        Whether a write fails although the database has made the change.
    reads : int
        Number of documents that were read.
    """

    is_away = False
    forgets_answers = False
    reads = 0

    def __init__(self, path: Path, first: SharedRecords | None = None) -> None:
        super().__init__(path)
        self._first = first
        self.others: list[SharedRecords] = [] if first is None else [first, *first.others]
        for other in self.others:
            other.others.append(self)
        self._listeners: list[tuple[str, Heard]] = []
        self._notices: list[_Notice] = []
        self._telling: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the file, or share the connection of the first replica."""
        if self._first is None:
            await super().open()
        else:
            self._opened = self._first.connection

    async def close(self) -> None:
        """Close the file, if this is the first replica."""
        if self._telling is not None:
            self._telling.cancel()
        if self._first is None:
            await super().close()

    @property
    def connection(self) -> BatchingConnection:
        """The connection that all replicas use."""
        return self._connection

    @property
    def is_shared(self) -> bool:
        """Whether other replicas can use the database: yes."""
        return True

    def listen(self, kind: str, heard: Heard) -> None:
        """Call ``heard`` when a document of a kind may have changed."""
        self._listeners.append((kind, heard))

    async def catch_up(self) -> None:
        """Call the listeners for all changes."""
        with self._using():
            notices, self._notices = self._notices, []
            for kind, key in notices:
                for other, heard in self._listeners:
                    if kind in {None, other}:
                        await heard(key)

    def go_away(self) -> None:
        """Let every use of the database fail."""
        self.is_away = True

    def come_back(self) -> None:
        """Let the database work again. Meanwhile, any document may have changed."""
        self.is_away = False
        self.hear(None, None)

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document with the next numbers of its kind."""
        with self._changing((kind, key)):
            return await super().append(kind, key, credential, document, by)

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document."""
        with self._changing((kind, key)):
            return await super().create(kind, key, credential, document)

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document."""
        with self._changing((kind, key)):
            return await super().put(kind, key, credential, document)

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store a document instead of another."""
        with self._changing((kind, record.key)):
            return await super().replace(kind, record, document)

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes."""
        with self._changing(*(place for place in map(_place, changes) if place is not None)):
            return await super().write(changes)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document."""
        with self._changing((kind, key)):
            return await super().delete(kind, key)

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of a credential."""
        with self._changing((None, None)):
            await super().forget(credential)

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters."""
        with self._changing((None, None)):
            await super().restore(entries)

    async def get(self, kind: str, key: str) -> Record | None:
        """Return a document."""
        with self._using():
            return await super().get(kind, key)

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return documents."""
        with self._using():
            found = await super().find(kind, credential, after=after, unset=unset)
            self.reads += len(found)
            return found

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        if self.is_away:
            raise StoreUnavailable("the database is away")
        yield

    @contextlib.contextmanager
    def _changing(self, *notices: _Notice) -> Iterator[None]:
        with self._using():
            yield
        for replica in (self, *self.others):
            for notice in notices:
                replica.hear(*notice)
        if self.forgets_answers:
            raise StoreUnavailable("the connection was lost")

    def hear(self, kind: str | None, key: str | None) -> None:
        """Get a notice of a change, which the listeners hear a moment later."""
        self._notices.append((kind, key))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        await asyncio.sleep(0.01)
        with contextlib.suppress(StoreUnavailable):
            await self.catch_up()


@contextlib.asynccontextmanager
async def replicas(path: Path, count: int = 2) -> AsyncIterator[list[SharedRecords]]:
    """Open a database, and yield the views of several replicas."""
    first = SharedRecords(path / "shared.sqlite3")
    opened = [first, *(SharedRecords(path / "shared.sqlite3", first) for _ in range(count - 1))]
    for each in opened:
        await each.open()
    try:
        yield opened
    finally:
        for each in reversed(opened):
            await each.close()


def _place(change: Change) -> _Notice | None:
    match change:
        case Create() | Put():
            return change.kind, change.key
        case Replace() | Remove():
            return change.kind, change.record.key
        case _:
            return None
