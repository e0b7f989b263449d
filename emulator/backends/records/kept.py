"""A write-through cache of documents that are read often and changed rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from emulator.backends.records.protocol import Record, Records, Remove
from emulator.backends.stateful import Check, Stateful

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A cached value, the credential that the value belongs to, and the stored record."""

    credential: str
    value: T
    record: Record


class RecordCache(Stateful, Generic[T]):
    """All documents of one kind, as Python values in memory. Changes are written to the database first.

    Parameters
    ----------
    records : Records
        Database that the values are written to.
    kind : str
        Kind of the documents.
    encode, decode : callables
        ``encode`` converts a value to a JSON object, and ``decode`` converts it back.
    changed : callable, optional
        Called after another process changed values.
    """

    def __init__(
        self,
        records: Records,
        kind: str,
        encode: Callable[[T], Mapping[str, Any]],
        decode: Callable[[Mapping[str, Any]], T],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._records = records
        self.kind = kind
        self._encode = encode
        self.decode = decode
        self._changed_elsewhere = changed
        self._entries: dict[str, Entry[T]] = {}
        self._changed: list[dict[str, Entry[T] | None]] = []
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        records.listen(kind, self._on_change)

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
        entries = {record.key: self._entry(record) for record in found}
        for key, entry in changed.items():
            if entry is None:
                entries.pop(key, None)
            else:
                entries[key] = entry
        self._entries = entries

    @property
    def is_empty(self) -> bool:
        """Whether there are no values."""
        return not self._entries

    def get(self, key: str) -> T | None:
        """Return the value under ``key``, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def items(self) -> dict[str, Entry[T]]:
        """Return a dict from each key to its entry. The oldest entry is first."""
        return dict(self._entries)

    async def put(self, key: str, credential: str, value: T) -> None:
        """Store a value, and replace any existing value under ``key``."""
        async with self._lock(key):
            record = await self._records.put(self.kind, key, credential, self._encode(value))
            self._set(key, Entry(credential, value, record))

    async def change(self, key: str, credential: str, change: Callable[[T | None], T | None]) -> T | None:
        """Replace the value under ``key`` by the result of ``change``, and return the result.

        ``change`` gets None if there is no value. If it returns None, the value is deleted. If another change
        is written between the call of ``change`` and its own write, ``change`` is called again with the new
        value.
        """
        async with self._lock(key):
            while True:
                entry = self._entries.get(key)
                before = None if entry is None else entry.value
                after = change(before)
                if after == before or await self._exchange(key, credential, entry, after):
                    return after
                await self._read(key)

    async def delete(self, key: str) -> bool:
        """Delete the value under ``key``, and return whether it existed."""
        async with self._lock(key):
            existed = await self._records.delete(self.kind, key)
            self._set(key, None)
        return existed

    async def forget(self, credential: str | None = None) -> None:
        """Delete the values of ``credential``, or all values if it is None."""
        for key, entry in self.items().items():
            if credential is None or entry.credential == credential:
                await self.delete(key)

    async def _exchange(self, key: str, credential: str, entry: Entry[T] | None, after: T | None) -> bool:
        """Write ``after`` instead of ``entry``. Return whether the stored value was still ``entry``."""
        if entry is None and after is not None:
            try:
                record = await self._records.create(self.kind, key, credential, self._encode(after))
            except KeyError:
                return False
            self._set(key, Entry(credential, after, record))
        elif entry is not None and after is None:
            if not await self._records.write([Remove(self.kind, entry.record)]):
                return False
            self._set(key, None)
        elif entry is not None and after is not None:
            replaced = await self._records.replace(self.kind, entry.record, self._encode(after))
            if replaced is None:
                return False
            self._set(key, Entry(entry.credential, after, replaced))
        return True

    async def _on_change(self, key: str | None) -> None:
        """Read the value under ``key``, which may have changed, or all values if ``key`` is None."""
        if key is None:
            await self.load()
        else:
            async with self._lock(key):
                await self._read(key)
        self._changed_elsewhere()

    def _lock(self, key: str) -> asyncio.Lock:
        """Return the lock that a change of the value under ``key`` holds.

        The lock keeps the changes in memory in the same order as in the database. It also prevents the
        changes of this process from conflicting with each other, because a change that conflicts must start
        again.
        """
        return self._locks.setdefault(key, asyncio.Lock())

    async def _read(self, key: str) -> None:
        record = await self._records.get(self.kind, key)
        self._set(key, None if record is None else self._entry(record))

    def _entry(self, record: Record) -> Entry[T]:
        return Entry(record.credential, self.decode(record.document), record)

    def _set(self, key: str, entry: Entry[T] | None) -> None:
        """Keep an entry, unless memory already has a newer one."""
        now = self._entries.get(key)
        if entry is None:
            self._entries.pop(key, None)
        elif now is None or _age(now) <= _age(entry):
            self._entries[key] = entry
        for changed in self._changed:
            changed[key] = entry


def _age(entry: Entry[Any]) -> tuple[int, int]:
    """Return a sort key, which increases with each change of the document under a key."""
    return entry.record.serial, entry.record.version
