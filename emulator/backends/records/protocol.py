"""The protocol of the database for documents and counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """A stored document, with its version at the time of reading.

    Attributes
    ----------
    key, credential : str
        Key of the document, and the credential that it belongs to.
    document : mapping
        A JSON object.
    serial : int
        Unique number of the document. A new document under the same key has another one.
    version : int
        Version number of the document, which increases with every change.
    """

    key: str
    credential: str
    document: Mapping[str, Any]
    serial: int
    version: int


@dataclass(frozen=True)
class Document:
    """A document in an export."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Counter:
    """A counter in an export, with the last number that it returned."""

    name: str
    credential: str
    value: int


class StoreUnreadable(Exception):
    """The stored data is damaged, has another version, or was not written by the emulator."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place} cannot be used: {self.reason}; choose another folder, or move this one away"


class Records(Protocol):
    """Documents of several kinds, and counters.

    Each document or counter belongs to a credential, or to none (""). A key is unique per kind, across all
    credentials. The name of a counter is unique per credential. A document is a JSON object. Every call is
    atomic.
    """

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a new document.

        Raises
        ------
        KeyError
            If the key already exists.
        """

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a document, and replace any existing document under the key."""

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` instead of ``record``, and return True, or return False after a conflict.

        It is a conflict if the stored document was changed or deleted since ``record`` was read.
        """

    async def find(self, kind: str, credential: str | None = None) -> list[Record]:
        """Return the documents of a kind in the order of creation, for one credential or all."""

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""

    async def count_up(self, name: str, credential: str = "") -> int:
        """Increment a counter of a credential, and return its new value: 1, 2, 3 ..."""

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all. Deleted counters restart at 1."""

    def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of everything. Documents are in the order of creation."""

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace everything with ``entries``. If that fails, nothing changes.

        The entries are read one by one in another thread, so they need not fit into memory.

        Raises
        ------
        KeyError
            If a key or the name of a counter is duplicated.
        """

    async def close(self) -> None:
        """Close the store."""
