"""The port for documents: what a database has to do for the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """A stored document, and which one it was when it was read.

    Attributes
    ----------
    key, credential : str
        Under which it is found, and whose it is.
    document : mapping
        A JSON object.
    serial : int
        Its own number: a document that is created anew under the same key has another one.
    version : int
        Counts its changes.
    """

    key: str
    credential: str
    document: Mapping[str, Any]
    serial: int
    version: int


@dataclass(frozen=True)
class Document:
    """A document as it is copied from store to store."""

    kind: str
    key: str
    credential: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Counter:
    """A counter as it is copied from store to store: the last number that it gave."""

    name: str
    credential: str
    value: int


class StoreUnreadable(Exception):
    """What is stored there is damaged, another version's or somebody else's."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.place} cannot be used: {self.reason}; name another folder, or move that one away"


class Records(Protocol):
    """Documents of several kinds, and counters.

    Each belongs to a credential, or to none (""). Keys are unique over all credentials, counters'
    names within one. A document is a JSON object. Every call is atomic.
    """

    async def create(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a new document.

        Raises
        ------
        KeyError
            If the key is taken.
        """

    async def put(self, kind: str, key: str, credential: str, document: Mapping[str, Any]) -> None:
        """Store a document, in place of what was under the key."""

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` where ``record`` stood, and return whether it still stood there.

        False means that somebody else has changed or deleted it since it was read, or created
        another one under its key: nothing is stored.
        """

    async def find(self, kind: str, credential: str | None = None) -> list[Record]:
        """Return the documents of a kind, of one credential or of all, in the order of creation."""

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether there was one."""

    async def count_up(self, name: str, credential: str = "") -> int:
        """Return the next number under ``name`` in ``credential``: 1, 2, 3 ..."""

    async def forget(self, credential: str | None) -> None:
        """Delete all documents and counters of a credential, or all there are; these counters begin again."""

    def export(self) -> AsyncIterator[Document | Counter]:
        """Return everything, as it stands at one moment; documents in the order of creation."""

    async def restore(self, entries: Iterable[Document | Counter]) -> None:
        """Replace everything by ``entries``, or nothing if they raise or cannot be stored.

        They are drawn one by one and in another thread, so that they need not fit into memory.

        Raises
        ------
        KeyError
            If a key or a counter's name comes twice.
        """

    async def close(self) -> None:
        """Give everything back."""
