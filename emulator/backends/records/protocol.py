"""The protocol of a database for documents and counters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """A document from the database, with its version at the time when it was read.

    Attributes
    ----------
    key, credential : str
        Key of the document, and the credential that the document belongs to.
    document : mapping
        A JSON object.
    serial : int
        Unique number of the document. A document that is deleted and created again gets a new number.
    version : int
        Version number of the document. It increases with every change.
    """

    key: str
    credential: str
    document: Mapping[str, Any]
    serial: int
    version: int


@dataclass(frozen=True)
class Document:
    """A document, as ``export`` returns it."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Counter:
    """A counter, as ``export`` returns it. ``value`` is the last number that ``count_up`` returned."""

    name: str
    credential: str
    value: int


class StoreUnreadable(Exception):
    """The stored data is damaged, has another format, or was not written by the emulator."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place} cannot be used: {self.reason}; choose another folder, or move this one away"


class Records(Protocol):
    """A database for documents of several kinds, and for counters.

    A document is a JSON object. Each document or counter belongs to a credential, or to none (""). A key is
    unique among all documents of a kind, across credentials. A name is unique among the counters of a
    credential. Every call is atomic. A full or failing disk raises StoreUnavailable.
    """

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a new document.

        Raises
        ------
        KeyError
            If the key already exists.
        """

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a document, and replace any existing document of the same kind and key."""

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` instead of ``record``, and return whether this succeeded.

        This fails if the stored document was changed or deleted since ``record`` was read.
        """

    async def find(self, kind: str, credential: str | None = None) -> list[Record]:
        """Return the documents of a kind, oldest first, of ``credential`` or of all credentials."""

    async def tally(self, kind: str, member: str) -> dict[str, int]:
        """Return the number of documents of a kind for each value of a member, which is a text."""

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether it existed."""

    async def count_up(self, name: str, credential: str = "") -> int:
        """Increment a counter of a credential, and return its new value: 1, 2, 3 ..."""

    async def forget(self, credential: str | None) -> None:
        """Delete the documents and counters of ``credential``, or all if None. Counters restart at 1."""

    def export(self) -> AsyncIterator[Document | Counter]:
        """Yield a consistent copy of all documents, the oldest first, and of all counters."""

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace all documents and counters with ``entries``. If this raises, nothing has changed.

        ``entries`` is iterated in another thread. The entries together do not have to fit into memory.

        Raises
        ------
        KeyError
            If two documents have the same kind and key, or two counters have the same credential and name.
        """

    async def compact(self) -> None:
        """Give the space of deleted documents back to the disk."""

    async def check(self) -> None:
        """Check that the database can be written."""

    async def close(self) -> None:
        """Close the store."""
