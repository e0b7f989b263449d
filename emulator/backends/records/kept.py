"""A write-through cache of documents that are read often and changed rarely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from emulator.backends.records.protocol import Records
from emulator.backends.stateful import Check, Stateful
from emulator.backends.unavailable import StoreUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A cached value, and the credential that the value belongs to."""

    credential: str
    value: T


class RecordCache(Stateful, Generic[T]):
    """All documents of one kind, as Python values in memory. Changes are also written to the database.

    Parameters
    ----------
    records : Records
        Database that the values are written to.
    kind : str
        Kind of the documents.
    encode, decode : callables
        ``encode`` converts a value to a JSON object, and ``decode`` converts it back.
    """

    def __init__(
        self,
        records: Records,
        kind: str,
        encode: Callable[[T], Mapping[str, Any]],
        decode: Callable[[Mapping[str, Any]], T],
    ) -> None:
        self._records = records
        self.kind = kind
        self._encode = encode
        self.decode = decode
        self._entries: dict[str, Entry[T]] = {}
        self._changed: list[dict[str, Entry[T] | None]] = []

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored documents. A document is valid if ``decode`` accepts it."""
        return {self.kind: self.decode}

    async def load(self) -> None:
        """Read all values from the database, at startup and after a restore.

        Changes that ``put`` and ``delete`` make during the load are kept.
        """
        changed: dict[str, Entry[T] | None] = {}
        self._changed.append(changed)
        try:
            found = await self._records.find(self.kind)
        finally:
            self._changed.remove(changed)
        entries = {record.key: Entry(record.credential, self.decode(record.document)) for record in found}
        for key, entry in changed.items():
            if entry is None:
                entries.pop(key, None)
            else:
                entries[key] = entry
        self._entries = entries

    def get(self, key: str) -> T | None:
        """Return the value under ``key``, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def items(self) -> dict[str, Entry[T]]:
        """Return a dict from each key to its entry. The oldest entry is first."""
        return dict(self._entries)

    async def put(self, key: str, credential: str, value: T) -> None:
        """Store a value, and replace any existing value under ``key``."""
        entry = Entry(credential, value)
        before = self._entries.get(key)
        self._entries[key] = entry
        self._note(key, entry)
        try:
            await self._records.put(self.kind, key, credential, self._encode(value))
        except StoreUnavailable:
            if self._entries.get(key) is entry:
                self._take_back(key, before)
            raise

    async def delete(self, key: str) -> bool:
        """Delete the value under ``key``, and return whether it existed."""
        before = self._entries.pop(key, None)
        self._note(key, None)
        try:
            await self._records.delete(self.kind, key)
        except StoreUnavailable:
            if key not in self._entries:
                self._take_back(key, before)
            raise
        return before is not None

    async def forget(self, credential: str | None = None) -> None:
        """Delete the values of ``credential``, or all values if it is None."""
        for key, entry in self.items().items():
            if credential is None or entry.credential == credential:
                await self.delete(key)

    def _take_back(self, key: str, before: Entry[T] | None) -> None:
        """Undo a change that could not be written."""
        if before is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = before
        self._note(key, before)

    def _note(self, key: str, entry: Entry[T] | None) -> None:
        for changed in self._changed:
            changed[key] = entry
