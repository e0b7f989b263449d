"""Ids of requests, which are drawn for every call and never stored."""

from __future__ import annotations

import asyncio
from typing import Final

from emulator.backends.records import Records
from emulator.backends.stateful import Stateful
from emulator.backends.unavailable import StoreUnavailable
from emulator.ids import SeededIds

BLOCK: Final = 1000
"""Number of ids that are reserved at once."""

NOTHING: Final = "request-ids"
"""A kind without documents. Its listeners are called only if any document may have changed."""


class RequestIds(Stateful):
    """Source of reproducible ids of requests.

    The numbers of the ids are reserved in blocks, so that not every call changes the database. After a
    restart, the unused numbers of the last block are skipped. While the database cannot be written, the ids
    come from another sequence.
    """

    def __init__(self, ids: SeededIds, records: Records) -> None:
        self._ids = ids
        self._reserved: dict[tuple[str, str], tuple[int, int]] = {}
        self._reserving = asyncio.Lock()
        self._unsaved = 0
        records.listen(NOTHING, self._on_change)

    async def load(self) -> None:
        """Drop the reserved ids, because the counters may have changed."""
        self._reserved.clear()

    async def forget(self, credential: str | None) -> None:
        """Drop the reserved ids of ``credential``, or all if it is None."""
        for key in [key for key in self._reserved if credential in {None, key[0]}]:
            del self._reserved[key]

    async def _on_change(self, _key: str | None) -> None:
        # A reset on another replica may have restarted the counters.
        self._reserved.clear()

    async def draw(self, credential: str, kind: str, length: int) -> bytes:
        """Return ``length`` bytes: the next id of ``kind`` for ``credential``, which may be ""."""
        while True:
            reserved = self._reserved.get((credential, kind), (0, 0))
            used, last = reserved
            if used < last:
                self._reserved[credential, kind] = used + 1, last
                return self._ids.nth(credential, kind, used + 1, length)
            async with self._reserving:
                # Another call may have reserved a block in the meantime.
                if self._reserved.get((credential, kind), (0, 0)) == reserved:
                    try:
                        block = await self._ids.count_up(credential, kind)
                    except StoreUnavailable:
                        # A response needs an id even if the disk is full.
                        self._unsaved += 1
                        return self._ids.nth(credential, f"{kind}/unsaved", self._unsaved, length)
                    self._reserved[credential, kind] = BLOCK * (block - 1), BLOCK * block
