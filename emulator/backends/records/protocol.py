"""The port for documents: what a database has to do for the emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """A stored document and the version that it had when it was read."""

    key: str
    scope: str
    document: Mapping[str, Any]
    version: int


class Records(Protocol):
    """Documents of several kinds: each has a key, and a scope (the credential that owns it).

    A document is a JSON object. Every call is atomic.
    """

    async def create(self, kind: str, key: str, scope: str, document: Mapping[str, Any]) -> None:
        """Store a new document.

        Raises
        ------
        KeyError
            If the key is taken.
        """

    async def put(self, kind: str, key: str, scope: str, document: Mapping[str, Any]) -> None:
        """Store a document, in place of what was under the key."""

    async def get(self, kind: str, key: str) -> Record | None:
        """Return the document under ``key``, or None."""

    async def replace(self, kind: str, record: Record, document: Mapping[str, Any]) -> bool:
        """Store ``document`` where ``record`` stood, and return whether it still stood there.

        False means that somebody else has changed or deleted it since it was read: nothing is stored.
        """

    async def find(self, kind: str, scope: str | None = None) -> list[Record]:
        """Return the documents of a kind, of one scope or of all, in the order of creation."""

    async def delete(self, kind: str, key: str) -> bool:
        """Delete a document, and return whether there was one."""

    async def count_up(self, name: str) -> int:
        """Return the next number under ``name``: 1, 2, 3 ..."""

    async def close(self) -> None:
        """Give everything back."""
