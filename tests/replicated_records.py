"""A database that several replicas share, in one process and without a server."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol

from emulator.backends.records import (
    Change,
    Counter,
    Create,
    Document,
    Heard,
    Put,
    Record,
    Remove,
    Replace,
)
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.sqlite import SqliteRecords
from emulator.backends.unavailable import StoreUnavailable


class Database(Protocol):
    """A database that several replicas in this process share."""

    async def replica(self) -> CachedRecords:
        """Return the database as one more replica sees it."""

    async def close(self) -> None:
        """Close the database for all replicas."""


class PostgresDatabase:
    """A database in PostgreSQL, with connections for each replica."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._replicas: list[CachedRecords] = []

    async def replica(self) -> CachedRecords:
        """Return the database as one more replica sees it."""
        from emulator.backends.records.postgres import (  # noqa: PLC0415 - only these tests need the driver
            PostgresRecords,
        )

        records = PostgresRecords(self._url)
        await records.open()
        self._replicas.append(CachedRecords(records))
        return self._replicas[-1]

    async def close(self) -> None:
        """Close the connections of all replicas."""
        for replica in self._replicas:
            await replica.close()


class ReplicatedDatabase:
    """Replicas that share an SQLite file, and hear of each other's changes as from a database server."""

    def __init__(self, records: SqliteRecords) -> None:
        self.records = records
        self._replicas: list[ReplicatedRecords] = []

    async def replica(self) -> CachedRecords:
        """Return the database as one more replica sees it, with a cache."""
        return CachedRecords(self.view())

    def view(self) -> ReplicatedRecords:
        """Return the database as one more replica sees it."""
        replica = ReplicatedRecords(self)
        self._replicas.append(replica)
        return replica

    async def close(self) -> None:
        """Stop to tell replicas of changes, and close the file."""
        for replica in self._replicas:
            await replica.close()
        await self.records.close()

    def tell(self, kind: str | None, key: str | None) -> None:
        """Tell all replicas that documents may have changed."""
        for replica in self._replicas:
            replica.note(kind, key)


class ReplicatedRecords:
    """The database of one replica. It hears of changes in the background, or in ``catch_up``.

    Attributes
    ----------
    loses_answers : bool
        Whether every change fails after it was made.
    reads : int
        Number of documents that ``find`` has returned.
    """

    is_shared = True
    loses_answers = False
    reads = 0
    _is_away = False

    def __init__(self, database: ReplicatedDatabase) -> None:
        self._database = database
        self._records = database.records
        self._listeners: defaultdict[str, list[Heard]] = defaultdict(list)
        self._heard: deque[tuple[str, str | None]] = deque()
        self._delivering = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    def go_away(self) -> None:
        """Let the database fail, for this replica."""
        self._is_away = True

    def come_back(self) -> None:
        """Let the database work again. The replica cannot know what has changed meanwhile."""
        self._is_away = False
        self.note(None, None)

    def note(self, kind: str | None, key: str | None) -> None:
        """Keep a change for the listeners, and call them soon."""
        for each in list(self._listeners) if kind is None else [kind]:
            self._heard.append((each, key))
        if not self._is_away:
            self._tell_soon()

    def _tell_soon(self) -> None:
        task = asyncio.create_task(self._tell())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def catch_up(self) -> None:
        """Call the listeners of all changes."""
        self._check()
        await self._tell()

    async def _tell(self) -> None:
        async with self._delivering:
            while self._heard:
                kind, key = self._heard.popleft()
                for heard in list(self._listeners[kind]):
                    await heard(key)

    def _check(self) -> None:
        if self._is_away:
            raise StoreUnavailable("the database is down")

    def _changed(self, kind: str | None, key: str | None) -> None:
        self._database.tell(kind, key)
        if self.loses_answers:
            raise StoreUnavailable("the answer is lost")

    def listen(self, kind: str, heard: Heard) -> None:
        """Call ``heard`` when a document of a kind may have changed."""
        self._listeners[kind].append(heard)

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document."""
        self._check()
        record = await self._records.create(kind, key, credential, document)
        self._changed(kind, key)
        return record

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document."""
        self._check()
        record = await self._records.put(kind, key, credential, document)
        self._changed(kind, key)
        return record

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document with the next numbers of its kind."""
        self._check()
        record = await self._records.append(kind, key, credential, document, by)
        self._changed(kind, key)
        return record

    async def get(self, kind: str, key: str) -> Record | None:
        """Return a document."""
        self._check()
        return await self._records.get(kind, key)

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store a document instead of another version of it."""
        self._check()
        replaced = await self._records.replace(kind, record, document)
        self._changed(kind, record.key)
        return replaced

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make several changes."""
        self._check()
        is_written = await self._records.write(changes)
        for change in changes:
            match change:
                case Create() | Put():
                    self._changed(change.kind, change.key)
                case Replace() | Remove():
                    self._changed(change.kind, change.record.key)
        return is_written

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return the documents of a kind."""
        self._check()
        found = await self._records.find(kind, credential, after=after, unset=unset)
        self.reads += len(found)
        return found

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Count documents by the value of a member."""
        self._check()
        return await self._records.tally(kind, member)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document."""
        self._check()
        existed = await self._records.delete(kind, key)
        self._changed(kind, key)
        return existed

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        """Add to a counter."""
        self._check()
        return await self._records.count_up(name, credential, by)

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        """Return counters."""
        self._check()
        return await self._records.counters(prefix, credential)

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of a credential."""
        self._check()
        await self._records.forget(credential)
        self._changed(None, None)

    def export(self) -> AsyncIterator[Document | Counter]:
        """Yield everything."""
        self._check()
        return self._records.export()

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace everything."""
        self._check()
        await self._records.restore(entries)
        self._changed(None, None)

    async def compact(self) -> None:
        """Do nothing."""

    async def check(self) -> None:
        """Check that the database can be written."""
        self._check()
        await self._records.check()

    async def close(self) -> None:
        """Stop to call listeners."""
        self._listeners.clear()
        while self._background:
            await asyncio.wait(self._background)
