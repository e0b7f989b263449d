"""``SharedJournal``, one journal of several servers that share a database.

A call is written before the last part of its response is sent. So a client that has received the response
finds the call in the journal of every server. Each server has a copy of the calls in memory. When the journal
is read, the server first updates its copy: the database has notified it of the documents that changed. All
servers apply the same limits to the same calls, so their copies are equal. A server that writes calls
sometimes deletes the documents whose calls are beyond the limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio.to_thread

from emulator.backends.records import Change, Create, Record, Records, Remove, Replace
from emulator.backends.stateful import Oldest
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import ALL_CREDENTIALS, Clock, Setting
from emulator.world.journal.entry import Entry, LazyCall
from emulator.world.journal.journal import Journal
from emulator.world.journal.stored import CHUNK, KIND, REVISION_KEY, dropped, newest, stored_calls
from emulator.world.journal.writing import CallWriter, UnwrittenCall

logger = logging.getLogger(__name__)

WAKE_SECONDS: Final = 0.02
"""Seconds to wait before waking the readers of the stream, so that they read many calls at once."""

INLINE_CALLS: Final = 20
"""Number of calls up to which documents are parsed in the event loop, because a thread would take longer."""


@dataclass
class _News:
    """Notifications of changed documents that were not read yet.

    Attributes
    ----------
    is_new : bool
        Whether there may be new documents.
    is_revised : bool
        Whether the document ``REVISION_KEY`` may have changed.
    is_anything : bool
        Whether any document may have changed.
    """

    is_new: bool = False
    is_revised: bool = False
    is_anything: bool = False

    def add(self, other: _News) -> None:
        """Add the notifications of ``other``."""
        self.is_new |= other.is_new
        self.is_revised |= other.is_revised
        self.is_anything |= other.is_anything


class SharedJournal(Journal):
    """The most recent calls of all servers, with limits on their number and their total bytes.

    Parameters
    ----------
    records, clock
        Database for the calls, and the clock that dates them.
    calls, size : int
        Largest number of calls to keep, and their largest total size in bytes.
    forgotten : callable, optional
        Called after another server deleted or replaced calls, except for deletions because of a limit.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        calls: int,
        size: int,
        forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(records, clock, calls=calls, size=size, survives=False)
        self._forgotten = forgotten
        self._outgoing = CallWriter(records, calls=calls, size=size, lock=self._writing, written=self._wrote)
        self._news = _News(is_anything=True)
        self._reading = asyncio.Lock()
        self._serial = 0
        self._newest = 0
        self._revision: str | None = None
        self._overrun = 0
        self._documents: deque[tuple[int, Record]] = deque()
        self._waking: asyncio.TimerHandle | None = None
        self._trimming: asyncio.Task[None] | None = None
        self._untrimmed_bytes = 0
        if self.is_on:
            records.listen(KIND, self._on_change)

    async def load(self) -> None:
        """Read all calls again at the next access. After a restore, make all servers do the same."""
        if not self.is_on:
            return
        self._news.is_anything = True
        record = await self._records.get(KIND, REVISION_KEY)
        if self._is_paused:
            await self._append_nothing()
            revision = _revision(0 if record is None else record.document["overrun"])
            record = await self._records.put(KIND, REVISION_KEY, ALL_CREDENTIALS, revision)
        elif record is None:
            with contextlib.suppress(KeyError):  # another server has just done the same
                await self._records.create(KIND, REVISION_KEY, ALL_CREDENTIALS, _revision(0))
            record = await self._records.get(KIND, REVISION_KEY)
        self._revision = None if record is None else record.document["revision"]
        self.wake()

    def start(self) -> None:
        """Do nothing. Writing starts with the first call."""

    async def close(self) -> None:
        """Write the remaining calls."""
        await self._outgoing.close()
        if self._trimming is not None:
            self._trimming.cancel()
            await asyncio.wait({self._trimming})
        if self._waking is not None:
            self._waking.cancel()

    def note(
        self,
        credential: str | None,
        held_bytes: int,
        build: Callable[[int, Setting], Entry],
        numbered: Callable[[int], None] | None = None,
    ) -> None:
        """Record a finished call. ``numbered`` is called when the call is in the database."""
        setting = self._clock.setting(credential or ALL_CREDENTIALS)
        self._outgoing.add(UnwrittenCall(held_bytes, lambda number: build(number, setting), numbered))

    async def settle(self) -> None:
        """Wait until every server can find the calls recorded before, if the database can be used."""
        await self._outgoing.settle()

    async def flush(self) -> None:
        """Write all recorded calls to the database."""
        await self._outgoing.flush()

    async def catch_up(self) -> None:
        """Read the calls that other servers recorded, and drop those that they deleted."""
        if not self.is_on:
            return
        await self._outgoing.settle_late()
        await self._records.catch_up()
        async with self._reading:
            await self._read()

    async def purge(self, oldest: Oldest) -> None:
        """Delete old calls."""
        await self.catch_up()
        await super().purge(oldest)

    async def _keep_only(self, is_kept: Callable[[LazyCall], bool]) -> None:
        if not self.is_on:
            return
        await self._outgoing.write()
        while not await self._rewrite(is_kept):
            pass
        self.wake()

    async def _rewrite(self, is_kept: Callable[[LazyCall], bool]) -> bool:
        """Delete calls in the database. Return False if another server changed documents in the meantime."""
        await self._records.catch_up()
        async with self._reading:
            await self._read()
            # Otherwise, older calls that exceeded a limit but are still stored would come back.
            overrun = self._last_dropped
        before = await self._records.get(KIND, REVISION_KEY)
        found = [record for record in await self._records.find(KIND) if record.key != REVISION_KEY]
        if not found:
            await self._append_nothing()
        changes = await anyio.to_thread.run_sync(_without, found, is_kept)
        if found and not changes:
            return True
        revision = _revision(overrun)
        changes.append(
            Create(KIND, REVISION_KEY, ALL_CREDENTIALS, revision)
            if before is None
            else Replace(KIND, before, revision)
        )
        try:
            is_done = await self._records.write(changes)
        except KeyError:
            return False
        if is_done:
            self._revision = revision["revision"]
            self._news.is_anything = True
        return is_done

    async def _append_nothing(self) -> None:
        """Store the last used number, in a document without calls."""
        document = {"last": 0, "count": 0, "calls": []}
        await self._records.append(KIND, self._outgoing.new_key(), ALL_CREDENTIALS, document, by=0)

    async def _on_change(self, key: str | None) -> None:
        self._news.add(
            _News(
                is_new=key not in {None, REVISION_KEY},
                is_revised=key == REVISION_KEY,
                is_anything=key is None,
            )
        )
        if key is None:
            self._outgoing.retry()
        self._wake_soon()

    def _wake_soon(self) -> None:
        if self._readers and self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(WAKE_SECONDS, self._wake_now)

    def _wake_now(self) -> None:
        self._waking = None
        self.wake()

    def _wrote(self, last: int, count: int, size: int) -> None:
        """Record that this server wrote a document, and delete old documents from time to time."""
        self._news.is_new = True
        self._wake_soon()
        self._untrimmed_bytes += size
        step = max(CHUNK, self._most_calls // 10)
        # Exactly one server writes the call whose number is the next multiple of ``step``.
        is_due = last // step > (last - count) // step or self._untrimmed_bytes > self._most_bytes // 10
        if is_due and (self._trimming is None or self._trimming.done()):
            self._untrimmed_bytes = 0
            self._trimming = asyncio.create_task(self._trim())

    async def _trim(self) -> None:
        """Delete the documents whose calls are beyond the limits."""
        try:
            await self.catch_up()
            await self._delete_dropped()
        except StoreUnavailable as error:
            logger.warning("old calls are deleted later, because %s", error)
        except Exception:
            logger.exception("old calls could not be deleted")

    async def _delete_dropped(self) -> None:
        async with self._reading:
            overrun = self._last_dropped
            # The newest document stays, because it has the last number.
            older = list(self._documents)[:-1]
        gone = [record for _, record in itertools.takewhile(lambda each: each[0] <= overrun, older)]
        if not gone:
            return
        before = await self._records.get(KIND, REVISION_KEY)
        if before is None:
            return  # all calls are being deleted
        revision = Replace(KIND, before, {**before.document, "overrun": overrun})
        if not await self._records.write([revision, *(Remove(KIND, record) for record in gone)]):
            # Another server deleted or changed some of them.
            self._news.is_anything = True

    async def _read(self) -> None:
        """Read the changed documents. The caller holds ``_reading``."""
        news, self._news = self._news, _News()
        try:
            if news.is_revised or news.is_anything:
                news.is_anything |= await self._read_revision()
            if news.is_anything:
                await self._read_all()
            elif news.is_new:
                found = await self._records.find(KIND, after=self._serial)
                self._take(await _taken_apart(found))
        except BaseException:
            self._news.add(news)
            raise

    async def _read_revision(self) -> bool:
        """Return whether calls were deleted on request, or replaced, since the last call of this method."""
        record = await self._records.get(KIND, REVISION_KEY)
        revision, self._overrun = None, 0
        if record is not None:
            revision, self._overrun = record.document["revision"], record.document["overrun"]
        self._drop_until(self._overrun)
        while len(self._documents) > 1 and self._documents[0][0] <= self._overrun:
            self._documents.popleft()
        if revision == self._revision:
            return False
        self._revision = revision
        self._forgotten()
        return True

    async def _read_all(self) -> None:
        found = sorted(await self._records.find(KIND), key=lambda record: newest(record.document))
        taken = await _taken_apart(found)
        self._recorded.clear()
        self._forget_built()
        self._held_bytes = self._serial = self._newest = 0
        self._documents.clear()
        overruns = [record.document.get("overrun", 0) for record in found]
        last_dropped = max([self._last_dropped, *overruns])
        self._take(taken)
        self._last_dropped = max(self._last_dropped, last_dropped)
        if self._recorded:
            # A restore can bring deleted calls back.
            self._last_dropped = min(self._last_dropped, self._recorded[0].number - 1)

    def _take(self, taken: Sequence[tuple[Record, Sequence[LazyCall]]]) -> None:
        """Add documents, and their calls, to the copy in memory."""
        last = self._last
        for record, calls in taken:
            last = max(last, record.document["last"])
            self._drop_until(dropped(record.document))
            for call in calls:
                # A snapshot can have the same calls twice.
                if call.number > max(self._newest, self._overrun):
                    self._append(call)
                    self._newest = call.number
            self._serial = max(self._serial, record.serial)
            bare = Record(record.key, record.credential, {}, record.serial, record.version)
            self._documents.append((newest(record.document), bare))
        self._last = last

    def _drop_until(self, number: int) -> None:
        """Delete the calls up to a number, because of a limit."""
        while self._recorded and self._recorded[0].number <= number:
            self._drop_oldest()
        self._last_dropped = max(self._last_dropped, number)


async def _taken_apart(found: Sequence[Record]) -> list[tuple[Record, list[LazyCall]]]:
    """Return the documents that have calls, each with its parsed calls."""

    def take_apart() -> list[tuple[Record, list[LazyCall]]]:
        return [(record, stored_calls(record.document)) for record in found if record.key != REVISION_KEY]

    if sum(len(record.document["calls"]) for record in found) <= INLINE_CALLS:
        return take_apart()
    return await anyio.to_thread.run_sync(take_apart)


def _revision(overrun: int) -> dict[str, Any]:
    """Return a new document for the key ``REVISION_KEY``."""
    return {"last": 0, "calls": [], "overrun": overrun, "revision": secrets.token_hex(8)}


def _without(found: Sequence[Record], is_kept: Callable[[LazyCall], bool]) -> list[Change]:
    """Return the changes that delete calls. The newest document stays, because it has the last number."""
    changes: list[Change] = []
    for record in found:
        document = record.document
        calls = stored_calls(document)
        kept = [stored for stored, call in zip(document["calls"], calls, strict=True) if is_kept(call)]
        if len(kept) == len(calls):
            continue
        if kept or record is found[-1]:
            # Without ``count``, the key of a document must be the number of its last call.
            count = document.get("count", document["last"])
            changes.append(Replace(KIND, record, {**document, "count": count, "calls": kept}))
        else:
            changes.append(Remove(KIND, record))
    return changes
