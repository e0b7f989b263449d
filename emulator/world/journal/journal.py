"""The journal, which records the most recent calls.

The calls are kept in memory, with limits on their number and their total bytes. If a limit is exceeded, the
oldest calls are deleted. The entry of a call is built on access, so that recording takes little time. Built
entries are cached, and may take as much memory as the calls themselves. Reading many entries takes long, so
it is done in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio.to_thread

from emulator.backends.records import Records
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful
from emulator.backends.unavailable import StoreUnavailable
from emulator.clock import ALL_CREDENTIALS, Clock, Setting
from emulator.world.journal.entry import Entry, LazyCall
from emulator.world.journal.stored import (
    CHUNKS,
    KIND,
    check_chunk,
    chunks,
    newest,
    stored_calls,
    without_secrets,
)

T = TypeVar("T")

if TYPE_CHECKING:
    from emulator.world.journal.verify import CallMatch, Verdict, VerifyMatch

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""Seconds until a new call is written to the database. A ``kill -9`` loses unwritten calls."""

READ_CHUNK: Final = 20
"""Number of calls that a reader of the stream holds at once."""

RETRY_SECONDS: Final = 1.0
"""Seconds until a reader of the stream tries again after the database could not be read."""


@dataclass(frozen=True)
class Gap:
    """Calls that were deleted before a reader of the stream received them.

    ``missed`` counts the deleted calls. ``last`` is the call number of the last deleted call.
    """

    missed: int
    last: int


class Journal(Stateful):
    """The most recent calls, with limits on their number and their total bytes.

    Parameters
    ----------
    records, clock
        Database for the calls, and the clock that dates them.
    calls, size : int
        Largest number of calls to keep, and their largest total size in bytes.
    survives : bool
        Whether to write the calls to the database in the background, so that they survive a restart.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        calls: int,
        size: int,
        survives: bool,
    ) -> None:
        self._records = records
        self._clock = clock
        self._most_calls = calls
        self._most_bytes = size
        self._survives = survives
        self._recorded: deque[LazyCall] = deque()
        self._held_bytes = 0
        self._built: deque[tuple[LazyCall, int]] = deque()
        self._built_bytes = 0
        self._building = threading.Lock()
        self._last = 0
        self._last_dropped = 0
        self._written = 0
        self._chunks: deque[tuple[str, int]] = deque()
        # Keys of records to delete. Some of the records may not exist, because their write failed.
        self._stale: set[str] = set()
        self._readers: set[asyncio.Event] = set()
        self._dirty = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._is_paused = False

    @property
    def is_on(self) -> bool:
        """Whether calls are recorded."""
        return self._most_calls > 0

    @property
    def held_calls(self) -> int:
        """Number of recorded calls."""
        return len(self._recorded)

    @property
    def held_bytes(self) -> int:
        """Approximate memory of the recorded calls and of their built entries, in bytes.

        Each of the two has the limit ``size``.
        """
        return self._held_bytes + self._built_bytes

    @property
    def last(self) -> int:
        """The number of the newest call, or 0."""
        return self._last

    @property
    def last_dropped(self) -> int:
        """The number of the newest call that was deleted because of a limit, or 0."""
        return self._last_dropped

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored calls."""
        return {KIND: CHUNKS.validate_python}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The validator of stored calls with their key."""
        return {KIND: check_chunk}

    def without_secrets(self, kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return calls without the secret parts of URLs. Other secrets are already masked."""
        del kind
        return {**document, "calls": without_secrets(document["calls"])}

    async def load(self) -> None:
        """Read the calls from the database, at startup and after a restore.

        Readers of the stream wait for numbers above the last one that they have read. So new calls get
        numbers above all numbers that were in use before the load. A call that is recorded during the load
        is renumbered to follow the loaded calls.
        """
        if self._is_paused:
            await self._load()
            return
        async with self._writing:
            await self._load()

    async def _load(self) -> None:
        counted = self._last
        records = await self._records.find(KIND)
        # There is no ``await`` below, so no other call can be recorded before this method returns.
        fresh = [call for call in self._recorded if call.number > counted]
        self._recorded.clear()
        self._forget_built()
        self._chunks.clear()
        self._stale.clear()
        self._held_bytes = 0
        self._last = self._last_dropped = overrun = 0
        for record in sorted(records, key=lambda record: newest(record.document)):
            for document in record.document["calls"]:
                Entry.model_validate(document)
            for call in stored_calls(record.document):
                # A process that was killed may leave the same calls in two records.
                if call.number > self._last:
                    self._append(call)
            self._chunks.append((record.key, newest(record.document)))
            overrun = max(overrun, record.document.get("overrun", 0))
        if self._recorded:
            # Records are deleted only as a whole, so some calls that were deleted from memory may be back.
            overrun = min(overrun, self._recorded[0].number - 1)
        self._last_dropped = max(self._last_dropped, overrun)
        self._last = max(self._last, counted, *(record.document["last"] for record in records))
        self._written = self._last
        for call in fresh:
            call.renumber(self._last + 1)
            self._append(call)
        self.wake()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Block ``flush`` and ``forget``, but not ``load``, until the context exits."""
        async with self._writing:
            self._is_paused = True
            try:
                yield
            finally:
                self._is_paused = False

    def start(self) -> None:
        """If calls must survive a restart, start writing them to the database in the background."""
        if self._survives and self._writer is None:
            self._writer = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Stop writing in the background, and write the remaining calls."""
        if self._writer is None:
            return
        self._writer.cancel()
        await asyncio.wait({self._writer})
        self._writer = None
        try:
            await self.flush()
        except Exception:
            logger.exception("the last calls could not be written, and are lost")

    def note(
        self,
        credential: str | None,
        held_bytes: int,
        build: Callable[[int, Setting], Entry],
        numbered: Callable[[int], None] | None = None,
    ) -> None:
        """Record a finished call.

        ``build`` creates the journal entry on first access. ``numbered`` is called with the number of the
        call: at once or, if servers share the database, when the call is written.
        """
        number = self._last + 1
        setting = self._clock.setting(credential or ALL_CREDENTIALS)
        self._append(
            LazyCall(number, credential, held_bytes, lambda number: build(number, setting), setting.now())
        )
        self._dirty.set()
        self.wake()
        if numbered is not None:
            numbered(number)

    async def settle(self) -> None:
        """Wait until every server that shares the database can find the calls that were recorded before.

        The wait is short: if the database cannot be used now, the calls are written later. If no other server
        shares the database, return at once.
        """

    async def catch_up(self) -> None:
        """Read the calls that other servers recorded, and drop those that they deleted.

        Raises
        ------
        StoreUnavailable
            If the database is shared and cannot be used now.
        """

    async def read(self, match: CallMatch | None, after: int, use: Callable[[Sequence[LazyCall]], T]) -> T:
        """Call ``use`` in a thread with the matching calls with numbers above ``after``, oldest first.

        ``use`` must read entries with ``entry``.
        """
        await self.catch_up()
        credential = None if match is None else match.credential
        calls = [
            call for call in self._recorded if call.number > after and credential in {None, call.credential}
        ]
        is_open = match is None or not match.model_dump(exclude_defaults=True, exclude={"credential"})

        def select() -> T:
            if is_open or match is None:
                return use(calls)
            return use([call for call in calls if not match.failures(self.entry(call))])

        return await anyio.to_thread.run_sync(select)

    async def entries(self, match: CallMatch | None = None, *, after: int = 0) -> list[Entry]:
        """Return the matching calls with numbers above ``after``, oldest first."""
        return await self.read(match, after, lambda calls: [self.entry(call) for call in calls])

    def entry(self, call: LazyCall) -> Entry:
        """Return the entry of a call, and keep it in memory for the next access. Works in any thread."""
        with self._building:
            if call.is_built:
                return call.entry
            entry = call.entry
            size = _size(entry.sent) + _size(entry.answer) + 2 * call.held_bytes
            self._built.append((call, size))
            self._built_bytes += size
            while self._built_bytes > self._most_bytes and self._built:
                oldest, freed = self._built.popleft()
                oldest.drop_entry()
                self._built_bytes -= freed
        return entry

    async def get(self, number: int) -> Entry | None:
        """Return the call with this number, or None if it is not in the journal."""
        await self.catch_up()
        return next((self.entry(call) for call in self._recorded if call.number == number), None)

    async def forget(self, credential: str | None) -> None:
        """Delete the calls of ``credential``, or all calls if it is None."""
        async with self._writing:
            await self._keep_only(lambda call: credential is not None and call.credential != credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete old calls."""

        def is_young(call: LazyCall) -> bool:
            return call.ended_at >= oldest(call.credential or ALL_CREDENTIALS)

        if not all(map(is_young, self._recorded)):
            async with self._writing:
                await self._keep_only(is_young)

    async def _keep_only(self, is_kept: Callable[[LazyCall], bool]) -> None:
        self._recorded = deque(call for call in self._recorded if is_kept(call))
        self._held_bytes = sum(call.held_bytes for call in self._recorded)
        self._forget_built()
        if self._survives:
            # Write all remaining calls to new records, now or, after an error, at the next flush.
            self._stale.update(key for key, _ in self._chunks)
            self._chunks.clear()
            self._written = 0
            self._dirty.set()
            await self._flush()

    async def verify(self, match: VerifyMatch, at_least: int, at_most: int | None) -> Verdict:
        """Check that at least ``at_least`` and at most ``at_most`` calls match. None means no upper limit.

        If too few calls match, the verdict has the calls that come closest to matching.
        """
        # The journal records calls without the filters for them.
        from emulator.world.journal.verify import CallMatch, verdict  # noqa: PLC0415 - on demand, see above

        def check(calls: Sequence[LazyCall]) -> Verdict:
            return verdict([self.entry(call) for call in calls], match, at_least, at_most)

        # Filter by credential first, so that near misses are not calls of another test.
        return await self.read(CallMatch(credential=match.credential), 0, check)

    async def follow(
        self, match: CallMatch, after: int, is_over: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[Entry | Gap]:
        """Yield the matching calls with numbers above ``after``, old and new, until ``is_over()``.

        Calls are not queued for slow readers. Yield a ``Gap`` if calls are deleted before they are read.
        """
        news = asyncio.Event()
        self._readers.add(news)
        try:
            while not is_over():
                news.clear()
                try:
                    await self.catch_up()
                except StoreUnavailable:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(RETRY_SECONDS):
                            await news.wait()
                    continue
                if after < self._last_dropped:
                    yield Gap(self._last_dropped - after, self._last_dropped)
                    after = self._last_dropped
                # In chunks, so that a slow reader holds few calls.
                for call in [call for call in self._recorded if call.number > after][:READ_CHUNK]:
                    after = call.number
                    if match.credential in {None, call.credential} and not match.failures(self.entry(call)):
                        yield self.entry(call)
                        # A fast reader of many old calls must not block the event loop.
                        await asyncio.sleep(0)
                        if is_over():
                            return
                if not self._recorded or after >= self._recorded[-1].number:
                    await news.wait()
        finally:
            self._readers.discard(news)

    def wake(self) -> None:
        """Wake the readers of the stream, so that they run ``is_over`` and look for new calls."""
        for reader in self._readers:
            reader.set()

    def _append(self, call: LazyCall) -> None:
        self._recorded.append(call)
        self._last = call.number
        self._held_bytes += call.held_bytes
        while len(self._recorded) > self._most_calls or self._held_bytes > self._most_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        gone = self._recorded.popleft()
        self._held_bytes -= gone.held_bytes
        self._last_dropped = max(self._last_dropped, gone.number)

    def _forget_built(self) -> None:
        """Free the memory of built entries. They are built again when they are needed."""
        with self._building:
            for call, _ in self._built:
                call.drop_entry()
            self._built.clear()
            self._built_bytes = 0

    async def _write_on(self) -> None:
        failures = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:
                # Log only the first failure, because writes to a full disk fail every second.
                if not failures:
                    logger.exception("calls could not be written; retrying")
                failures += 1
                self._dirty.set()
            else:
                if failures:
                    logger.warning("calls can be written again, after %d failures", failures)
                failures = 0

    async def flush(self) -> None:
        """Write new calls to the database, and delete records whose calls are no longer in memory.

        After an error or a cancellation, the next flush writes the rest, without duplicates.
        """
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        fresh = [call for call in self._recorded if call.number > self._written]
        for part in chunks(fresh):
            await self._write(part)
        if not self._chunks and self._last:
            await self._write([])
        oldest = self._recorded[0].number if self._recorded else self._last + 1
        # Always keep the newest record, because it holds the last number.
        while len(self._chunks) > 1 and self._chunks[0][1] < oldest:
            self._stale.add(self._chunks.popleft()[0])
        for key in list(self._stale):
            await self._records.delete(KIND, key)
            self._stale.discard(key)

    async def _write(self, calls: Sequence[LazyCall]) -> None:
        last = calls[-1].number if calls else self._last
        key = str(last)
        # ``last`` includes deleted calls, because numbers are not reused.
        document = {
            "last": self._last,
            "overrun": self._last_dropped,
            "calls": await anyio.to_thread.run_sync(
                lambda: [self.entry(call).to_document() for call in calls]
            ),
        }
        # A write that fails may still have created the record. The next flush writes the calls again,
        # together with newer calls. If the newer calls change the key, the next flush also deletes this
        # record.
        self._stale.add(key)
        # A record can have calls of several credentials, so it belongs to none of them.
        await self._records.put(KIND, key, ALL_CREDENTIALS, document)
        self._stale.discard(key)
        self._chunks.append((key, last))
        self._written = max(self._written, last)


def _size(value: Any) -> int:
    """Return the approximate memory of a JSON value, in bytes."""
    if isinstance(value, dict):
        return 200 + sum(100 + len(name) + _size(member) for name, member in value.items())
    if isinstance(value, list):
        return 60 + sum(8 + _size(member) for member in value)
    return 50 + len(value) if isinstance(value, str) else 32
