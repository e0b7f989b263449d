"""``delete_old``, which deletes the old documents of a kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from emulator.backends.records.protocol import Record, Records

BATCH: Final = 50
"""Number of records to check before the event loop can run other work."""


async def delete_old(
    records: Records,
    kind: str,
    is_old: Callable[[Record], bool],
    discard: Callable[[Record], Awaitable[None]] | None = None,
) -> None:
    """Delete the documents of a kind for which ``is_old`` is true.

    ``discard`` is called before a document is deleted.
    """
    for number, record in enumerate(await records.find(kind)):
        if number % BATCH == 0:
            await asyncio.sleep(0)
        if is_old(record):
            if discard is not None:
                await discard(record)
            await records.delete(kind, record.key)
