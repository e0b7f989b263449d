"""A cache for documents that are read again and again, such as the task that a client polls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from typing import Any, TypeVar

from emulator.backends.records.protocol import Counter, Document, Record, Records

T = TypeVar("T")

MOST_DOCUMENTS = 2000
"""Number of documents in the cache."""


class CachedRecords:
    """A database of which this process is the only writer, with the last read documents in memory.

    ``get`` answers from memory if the document, or its absence, was read after the last write to it. All
    other methods use the database. Documents in the cache are shared, so nobody may change them.
    """

    def __init__(self, records: Records, most_documents: int = MOST_DOCUMENTS) -> None:
        self._records = records
        self._most = most_documents
        self._found: OrderedDict[tuple[str, str], Record | None] = OrderedDict()
        # Increases when a write starts and when it ends. A read that a write has overlapped is not kept.
        self._writes = 0

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a new document."""
        await self._write(self._records.create(kind, key, credential, document), kind, key)

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a document, and replace any existing document of the same kind and key."""
        await self._write(self._records.put(kind, key, credential, document), kind, key)

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""
        if (kind, key) in self._found:
            self._found.move_to_end((kind, key))
            return self._found[kind, key]
        before = self._writes
        found = await self._records.get(kind, key)
        if self._writes == before:
            self._found[kind, key] = found
            if len(self._found) > self._most:
                self._found.popitem(last=False)
        return found

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` instead of ``record``, and return whether this succeeded."""
        return await self._write(self._records.replace(kind, record, document), kind, record.key)

    async def find(self, kind: str, credential: str | None = None) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""
        return await self._records.find(kind, credential)

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a member, which is a text."""
        return await self._records.tally(kind, member)

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""
        return await self._write(self._records.delete(kind, key), kind, key)

    async def count_up(self, name: str, credential: str = "") -> int:
        """Increment a counter of a credential, and return its new value: 1, 2, 3 ..."""
        return await self._records.count_up(name, credential)

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
        """Give the space of deleted documents back to the disk."""
        await self._records.compact()

    async def check(self) -> None:
        """Check that the database can be written."""
        await self._records.check()

    async def close(self) -> None:
        """Close the database."""
        self._found.clear()
        await self._records.close()

    async def _write(self, write: Awaitable[T], kind: str | None = None, key: str = "") -> T:
        """Perform a write to one document, or to all if ``kind`` is None.

        The document leaves the cache before the write starts, and again when it has ended. If the caller is
        cancelled, the write goes on. A read that starts later waits for it, because the database performs
        statements in order.
        """
        self._drop(kind, key)
        try:
            return await write
        finally:
            self._drop(kind, key)

    def _drop(self, kind: str | None, key: str) -> None:
        self._writes += 1
        if kind is None:
            self._found.clear()
        else:
            self._found.pop((kind, key), None)
