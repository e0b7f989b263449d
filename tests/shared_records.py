"""A database in memory that several users of one process share, as replicas share PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter as Tally
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.backends.records import (
    Change,
    Counter,
    CountTo,
    CountUp,
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
from emulator.backends.records.cached import CachedRecords
from emulator.backends.records.numbering import last_of
from emulator.backends.unavailable import StoreUnavailable


async def pause_briefly() -> None:
    """Let other coroutines run."""
    await asyncio.sleep(0)


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


@dataclass
class SharedDatabase:
    """The documents and counters, and all users of the database.

    ``pause`` is awaited before and after each statement, so that the statements of several users interleave.
    With ``tells_late``, users are only notified of the changes of others when they call ``catch_up``.
    """

    pause: Callable[[], Awaitable[None]] = pause_briefly
    tells_late: bool = False
    documents: dict[tuple[str, str], Record] = field(default_factory=dict)
    values: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    users: list[SharedRecords] = field(default_factory=list)
    serial: int = 0

    async def replica(self) -> CachedRecords:
        """Return the database as one more replica sees it, with a cache."""
        return CachedRecords(SharedRecords(self))

    async def close(self) -> None:
        """Close the database for all replicas."""
        for user in list(self.users):
            await user.close()


class SharedRecords:
    """The database as one replica uses it.

    Attributes
    ----------
    is_connected : bool
        Whether the replica can use the database.
    loses_answers : bool
        Whether every statement fails after it was performed.
    reads : int
        Number of documents that ``find`` has returned.
    """

    is_shared = True
    is_connected = True
    loses_answers = False
    reads = 0

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database
        self._listeners: list[tuple[str, Heard]] = []
        self._unheard: deque[tuple[str, str | None]] = deque()
        self._telling = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()
        database.users.append(self)

    def come_back(self) -> None:
        """Use the database again. The replica cannot know what has changed meanwhile."""
        self.is_connected = True
        for kind in {kind for kind, _ in self._listeners}:
            self._note(kind, None)

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        return await self._put(Create(kind, key, credential, document))

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        return await self._put(Put(kind, key, credential, document))

    async def _put(self, change: Create | Put) -> Record:
        async with self._statement():
            self._write([change])
            return self._database.documents[change.kind, change.key]

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        async with self._statement():
            if (kind, key) in self._database.documents:
                raise KeyError(key)
            self._database.numbers[kind] += by
            numbered = {**document, "last": self._database.numbers[kind]}
            self._write([Create(kind, key, credential, numbered)])
            return self._database.documents[kind, key]

    async def get(self, kind: str, key: str) -> Record | None:
        async with self._statement():
            return self._database.documents.get((kind, key))

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        async with self._statement():
            is_replaced = self._write([Replace(kind, record, document)])
            return self._database.documents[kind, record.key] if is_replaced else None

    async def write(self, changes: Sequence[Change]) -> bool:
        async with self._statement():
            return self._write(changes)

    def _write(self, changes: Sequence[Change]) -> bool:
        documents = self._database.documents
        for change in changes:
            match change:
                case Replace(kind, record) | Remove(kind, record):
                    found = documents.get((kind, record.key))
                    if found is None or (found.serial, found.version) != (record.serial, record.version):
                        return False
                case Create(kind, key) if (kind, key) in documents:
                    raise KeyError(key)
                case CountUp(name, credential, by, int(most)):
                    if self._database.values[name, credential] + by > most:
                        return False
        for change in changes:
            self._make(change)
        return True

    def _make(self, change: Change) -> None:
        documents = self._database.documents
        match change:
            case Create(kind, key, credential, document) | Put(kind, key, credential, document):
                found = documents.get((kind, key))
                if found is None:
                    self._database.serial += 1
                    found = Record(key, credential, {}, self._database.serial, 0)
                self._set(kind, found._replace(credential=credential), document)
            case Replace(kind, record, document):
                self._set(kind, documents[kind, record.key], document)
            case Remove(kind, record):
                del documents[kind, record.key]
                self._notify(kind, record.key)
            case CountUp(name, credential, by):
                self._database.values[name, credential] += by
            case CountTo(name, credential, value):
                counted = self._database.values[name, credential]
                self._database.values[name, credential] = max(counted, value)
            case Enqueue():
                pass  # the tests have queues of their own

    def _set(self, kind: str, found: Record, document: Mapping[str, Any]) -> None:
        document = json.loads(json.dumps(document))
        self._database.documents[kind, found.key] = found._replace(
            document=document, version=found.version + 1
        )
        self._notify(kind, found.key)

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        async with self._statement():
            found = [
                record
                for (each, _), record in self._database.documents.items()
                if each == kind
                and credential in {None, record.credential}
                and record.serial > after
                and (unset is None or record.document.get(unset) is None)
            ]
        self.reads += len(found)
        return sorted(found, key=lambda record: record.serial)

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        return dict(Tally(str(record.document[member]) for record in await self.find(kind)))

    async def delete(self, kind: str, key: str) -> bool:
        async with self._statement():
            existed = self._database.documents.pop((kind, key), None) is not None
            self._notify(kind, key)
        return existed

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        async with self._statement():
            self._write([CountUp(name, credential, by)])
            return self._database.values[name, credential]

    async def draw(self, name: str, credential: str, by: int = 1) -> tuple[int, Sequence[Change]]:
        return await self.count_up(name, credential, by), ()

    async def count(self, name: str, credential: str = "") -> int:
        async with self._statement():
            return self._database.values[name, credential]

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        return [
            Counter(name, of, value)
            for (name, of), value in sorted(self._database.values.items())
            if name.startswith(prefix) and credential in {None, of}
        ]

    def note(self, written: Written) -> None:
        pass  # other processes can use the database

    def listen(self, kind: str, heard: Heard) -> None:
        self._listeners.append((kind, heard))

    async def catch_up(self) -> None:
        async with self._statement():
            pass
        await self._tell()

    async def _tell(self) -> None:
        async with self._telling:
            while self._unheard:
                kind, key = self._unheard.popleft()
                for each, heard in list(self._listeners):
                    if each == kind:
                        await heard(key)

    def _note(self, kind: str, key: str | None) -> None:
        self._unheard.append((kind, key))
        if self.is_connected and not self._database.tells_late:
            task = asyncio.create_task(self._tell())
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def forget(self, credential: str | None) -> None:
        async with self._statement():
            self._forget(credential)

    def _forget(self, credential: str | None) -> None:
        for (kind, key), record in list(self._database.documents.items()):
            if credential in {None, record.credential}:
                del self._database.documents[kind, key]
                self._notify(kind, key)
        for name, of in list(self._database.values):
            if credential in {None, of}:
                del self._database.values[name, of]

    async def export(self) -> AsyncIterator[Document | Counter]:
        for (kind, key), record in self._database.documents.items():
            yield Document(kind, key, record.credential, record.document)
        for counter in await self.counters(""):
            yield counter

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        async with self._statement():
            self._forget(None)
            for entry in entries:
                if isinstance(entry, Document):
                    self._database.numbers[entry.kind] = max(
                        self._database.numbers[entry.kind], last_of(entry)
                    )
                    self._write([Create(entry.kind, entry.key, entry.credential, entry.document)])
                else:
                    self._database.values[entry.name, entry.credential] = entry.value

    async def compact(self) -> None:
        pass

    async def check(self) -> None:
        async with self._statement():
            pass

    async def close(self) -> None:
        self._database.users.remove(self)
        self._listeners.clear()
        while self._background:
            await asyncio.wait(self._background)

    @contextlib.asynccontextmanager
    async def _statement(self) -> AsyncIterator[None]:
        await self._database.pause()
        if not self.is_connected:
            raise StoreUnavailable("it is down")
        yield
        await self._database.pause()
        if self.loses_answers or not self.is_connected:
            raise StoreUnavailable("its answer is lost")

    def _notify(self, kind: str, key: str) -> None:
        for user in self._database.users:
            user._note(kind, key)  # noqa: SLF001 - another user of the same database
