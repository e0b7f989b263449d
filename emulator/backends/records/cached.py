"""A cache for documents that are read often, such as the task that a client polls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from emulator.backends.records.protocol import (
    Change,
    Counter,
    Create,
    Document,
    Heard,
    Put,
    Record,
    Records,
    Remove,
    Replace,
    Written,
)

T = TypeVar("T")

_Place = tuple[str, str]
"""The kind and the key of a document."""

DOCUMENTS = Create, Put, Replace, Remove
"""The changes to documents."""

MOST_DOCUMENTS = 10_000
"""Number of documents in the cache. Each unfinished task has some of them."""


class CachedRecords:
    """A database with a cache of the documents that were read or written last.

    The cache also stores that a document does not exist. ``get`` looks in the cache first. A write of this
    process replaces the document in the cache or, if other processes can use the database, drops it.
    ``catch_up`` drops the documents that other processes wrote. All other methods use the database. Documents
    in the cache are shared, so callers must not change them.
    """

    def __init__(self, records: Records, most_documents: int = MOST_DOCUMENTS) -> None:
        self._records = records
        self._most = most_documents
        self._found: OrderedDict[_Place, Record | None] = OrderedDict()
        # The last read of each document that is being read. What it finds is cached unless the document is
        # written in the meantime.
        self._reads: dict[_Place, object] = {}
        self._kinds: set[str] = set()
        if not records.is_shared:
            records.note(self._keep)

    @property
    def is_shared(self) -> bool:
        """Whether other processes can use the database at the same time."""
        return self._records.is_shared

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a new document, and return it."""
        return await self._write(self._records.create(kind, key, credential, document), {(kind, key)})

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> Record:
        """Store a document, replace any existing document of the same kind and key, and return it."""
        return await self._write(self._records.put(kind, key, credential, document), {(kind, key)})

    async def append(
        self, kind: str, key: str, credential: str, document: Mapping[str, Any], by: int = 1
    ) -> Record:
        """Store a new document, give it the next ``by`` numbers of its kind, and return the record."""
        return await self._write(self._records.append(kind, key, credential, document, by), {(kind, key)})

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        place = kind, key
        if place in self._found:
            self._found.move_to_end(place)
            return self._found[place]
        self._listen(kind)
        read = self._reads[place] = object()
        try:
            found = await self._records.get(kind, key)
            if self._reads.get(place) is read:
                self._put(place, found)
        finally:
            if self._reads.get(place) is read:
                del self._reads[place]
        return found

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> Record | None:
        """Store ``document`` instead of ``record``. Return the new record, or None if this failed."""
        return await self._write(self._records.replace(kind, record, document), {(kind, record.key)})

    async def write(self, changes: Sequence[Change]) -> bool:
        """Make all changes in one transaction, and return whether this succeeded."""
        places = [change.place for change in changes if isinstance(change, DOCUMENTS)]
        return await self._write(self._records.write(changes), places)

    async def find(
        self, kind: str, credential: str | None = None, *, after: int = 0, unset: str | None = None
    ) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""
        return await self._records.find(kind, credential, after=after, unset=unset)

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a string member."""
        return await self._records.tally(kind, member)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""
        return await self._write(self._records.delete(kind, key), {(kind, key)})

    async def count_up(self, name: str, credential: str = "", by: int = 1) -> int:
        """Add ``by`` to a counter of a credential, which begins at 0, and return its new value."""
        return await self._records.count_up(name, credential, by)

    async def draw(self, name: str, credential: str, by: int = 1) -> tuple[int, Sequence[Change]]:
        """Add ``by`` to a counter, and return its new value and the changes that must be written."""
        return await self._records.draw(name, credential, by)

    async def count(self, name: str, credential: str = "") -> int:
        """Return the value of a counter of a credential."""
        return await self._records.count(name, credential)

    async def counters(self, prefix: str, credential: str | None = None) -> list[Counter]:
        """Return the counters whose name begins with ``prefix``, sorted by name and credential."""
        return await self._records.counters(prefix, credential)

    def note(self, written: Written) -> None:
        """From now on, call ``written`` each time this process has written a document."""
        self._records.note(written)

    def listen(self, kind: str, heard: Heard) -> None:
        """From now on, call ``heard`` each time a document of a kind may have changed."""
        self._listen(kind)
        self._records.listen(kind, heard)

    async def catch_up(self) -> None:
        """Drop the cached documents that any process changed before this call, and call the listeners."""
        await self._records.catch_up()

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if it is None."""
        await self._write(self._records.forget(credential))

    def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""
        return self._records.export()

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed."""
        await self._write(self._records.restore(entries))

    async def compact(self) -> None:
        """Free the disk space of deleted documents."""
        await self._records.compact()

    async def check(self) -> None:
        """Check that the database can be written."""
        await self._records.check()

    async def close(self) -> None:
        """Close the database."""
        self._found.clear()
        await self._records.close()

    async def _write(self, write: Awaitable[T], places: Collection[_Place] | None = None) -> T:
        """Perform a write to some documents, or to all if ``places`` is None.

        Drop the documents from the cache before the write. If the caller is cancelled, the write continues.
        A read that starts later waits for the write, because the database runs statements in order. Drop them
        again after the write, unless the database has noted what was written.
        """
        self._drop(places)
        try:
            return await write
        finally:
            if places is None or self._records.is_shared:
                self._drop(places)

    def _keep(self, kind: str, key: str, record: Record | None) -> None:
        """Keep a document that was written."""
        place = kind, key
        self._reads.pop(place, None)
        self._found.pop(place, None)
        if record is not None:
            self._put(place, record)

    def _put(self, place: _Place, found: Record | None) -> None:
        self._found[place] = found
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def _drop(self, places: Collection[_Place] | None) -> None:
        if places is None:
            self._reads.clear()
            self._found.clear()
        else:
            for place in places:
                self._reads.pop(place, None)
                self._found.pop(place, None)

    def _listen(self, kind: str) -> None:
        """Let ``catch_up`` drop the documents of a kind that other processes have changed."""
        if kind in self._kinds:
            return
        self._kinds.add(kind)

        async def heard(key: str | None) -> None:
            self._drop(None if key is None else {(kind, key)})

        # Register this listener first, so that the other listeners do not read old documents from the cache.
        self._records.listen(kind, heard)
