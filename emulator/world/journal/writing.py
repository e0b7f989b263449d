"""``CallWriter``, which writes calls to a database that several servers share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio.to_thread

from emulator.backends.records import Records
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import ALL_CREDENTIALS
from emulator.world.journal.entry import Entry
from emulator.world.journal.stored import KIND, chunks

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 1.0
"""Longest time that a response waits for a write to the database.

After a timeout or a failed write, responses stop waiting. They wait again when a write has succeeded.
"""

RETRY_SECONDS: Final = 0.5
"""Seconds until a failed write is repeated."""

INLINE_BYTES: Final = 16 * 1024
"""Total size of calls up to which their documents are built in the event loop, because a thread would take
longer."""


@dataclass(frozen=True)
class UnwrittenCall:
    """A call that has no number yet. ``numbered`` is called with its number when it is written."""

    held_bytes: int
    build: Callable[[int], Entry]
    numbered: Callable[[int], None] | None


@dataclass
class _Part:
    """The calls of one document.

    ``dropped`` is the number of older calls that were deleted because of a limit before they were written.
    They get numbers too, so that readers learn how many calls are missing. A failed write may have stored the
    document, so it is repeated with the same key.
    """

    key: str
    calls: list[UnwrittenCall]
    dropped: int = 0
    document: dict[str, Any] | None = None

    @property
    def count(self) -> int:
        """How many call numbers the part needs."""
        return self.dropped + len(self.calls)

    @property
    def size(self) -> int:
        """Total size of the calls in bytes."""
        return sum(call.held_bytes for call in self.calls)


class CallWriter:
    """Writes calls in the order in which they are added.

    Calls that are added during a write are written together by the next one.

    Parameters
    ----------
    records : Records
        The database.
    calls, size : int
        Largest number and largest total size of the calls that wait for the next write.
    lock : asyncio.Lock
        Held during a write.
    written : callable
        Called after a document was written, with the number of its last call, the count of its call numbers,
        and the total size of its calls.
    """

    def __init__(
        self,
        records: Records,
        *,
        calls: int,
        size: int,
        lock: asyncio.Lock,
        written: Callable[[int, int, int], None],
    ) -> None:
        self._records = records
        self._most_calls = calls
        self._most_bytes = size
        self._lock = lock
        self._written = written
        # Random, so that each server uses different keys.
        self._name = secrets.token_hex(8)
        self._keys = 0
        self._added: deque[UnwrittenCall] = deque()
        self._held_bytes = 0
        self._dropped = 0
        self._parts: deque[_Part] = deque()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._retry = asyncio.Event()
        self.is_late = False

    def new_key(self) -> str:
        """Return a key that no document has."""
        self._keys += 1
        return f"{self._name}-{self._keys}"

    def add(self, call: UnwrittenCall) -> None:
        """Add a call, and write it in the background."""
        self._added.append(call)
        self._held_bytes += call.held_bytes
        while len(self._added) > self._most_calls or self._held_bytes > self._most_bytes:
            self._held_bytes -= self._added.popleft().held_bytes
            self._dropped += 1
        if (self._task is None or self._task.done()) and not self._is_closed:
            self._task = asyncio.create_task(self._write_on())

    def retry(self) -> None:
        """Retry a failed write now, because the database may work again."""
        self._retry.set()

    async def settle(self) -> None:
        """Wait until all added calls are written. Do not wait while the database cannot be used."""
        if not self.is_late:
            await self._wait()

    async def settle_late(self) -> None:
        """If the last write failed, retry it now, and wait until it succeeds or fails again."""
        if self.is_late:
            self.retry()
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the next write of all added calls, at most for ``PATIENCE_SECONDS``."""
        if self._is_closed or not self._has_calls:
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(written)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await written
        except TimeoutError:
            self.is_late = True

    async def flush(self) -> None:
        """Write all added calls.

        Raises
        ------
        StoreUnavailable
            If the database cannot be used now. The next flush writes the calls.
        """
        async with self._lock:
            await self.write()

    async def write(self) -> None:
        """Do the same as ``flush``. The caller holds the lock."""
        waiting: list[asyncio.Future[None]] = []
        try:
            await self._write_parts()
            waiting, self._waiting = self._waiting, []
            self._divide()
            await self._write_parts()
        except StoreUnavailable:
            self.is_late = True
            waiting += self._waiting
            self._waiting = []
            raise
        except asyncio.CancelledError:
            # The calls are not written yet, so keep the futures for the next write.
            self._waiting[:0], waiting = waiting, []
            raise
        else:
            self.is_late = False
        finally:
            for written in waiting:
                if not written.done():
                    written.set_result(None)

    async def close(self) -> None:
        """Write the remaining calls, and stop writing."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        try:
            await self.flush()
        except StoreUnavailable:
            logger.exception("the last calls could not be written, and are lost")

    @property
    def _has_calls(self) -> bool:
        return bool(self._added or self._dropped or self._parts)

    async def _write_on(self) -> None:
        """Write until all calls are written."""
        failures = 0
        while self._has_calls or self._waiting:
            try:
                await self.flush()
            except StoreUnavailable as error:
                if not failures:
                    logger.warning("calls are written later, because %s", error)
                failures += 1
                self._retry.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await self._retry.wait()
        if failures:
            logger.warning("calls can be written again, after %d failures", failures)

    def _divide(self) -> None:
        """Divide the added calls among documents."""
        added, dropped = list(self._added), self._dropped
        self._added.clear()
        self._held_bytes = self._dropped = 0
        for calls in list(chunks(added)) or ([[]] if dropped else []):
            self._parts.append(_Part(self.new_key(), calls, dropped))
            dropped = 0

    async def _write_parts(self) -> None:
        while self._parts:
            part = self._parts[0]
            try:
                last = await self._append(part)
            except StoreUnavailable:
                raise
            except Exception:
                logger.exception("calls could not be written; trying each of them alone")
                self._parts.popleft()
                if len(part.calls) > 1:
                    alone = [_Part(self.new_key(), [call]) for call in part.calls]
                    alone[0].dropped = part.dropped
                    self._parts.extendleft(reversed(alone))
                continue
            self._parts.popleft()
            if last is not None:
                for number, call in enumerate(part.calls, last - len(part.calls) + 1):
                    if call.numbered is not None:
                        call.numbered(number)
                self._written(last, part.count, part.size)

    async def _append(self, part: _Part) -> int | None:
        """Write a part, and return its last number, or None if it was already written and then deleted."""
        if part.document is None:
            if part.size <= INLINE_BYTES:
                part.document = _document(part)
            else:
                part.document = await anyio.to_thread.run_sync(_document, part)
        try:
            # The calls can have several credentials, so the document belongs to none of them.
            record = await self._records.append(KIND, part.key, ALL_CREDENTIALS, part.document, by=part.count)
        except KeyError:
            # An earlier attempt failed, but only after the database had stored the document.
            found = await self._records.get(KIND, part.key)
            if found is None:
                return None
            record = found
        last: int = record.document["last"]
        return last


def _document(part: _Part) -> dict[str, Any]:
    """Return the document of a part. Leave out calls whose entry cannot be built."""
    calls: list[dict[str, Any]] = []
    for number, call in enumerate(part.calls, part.dropped + 1):
        try:
            calls.append(call.build(number).to_document())
        except Exception:
            logger.exception("a call could not be recorded")
    return {"last": 0, "count": part.count, "dropped": part.dropped, "calls": calls}
