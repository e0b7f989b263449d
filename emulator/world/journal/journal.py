"""The last calls: what was sent, what came of it, and what the client did wrong.

They stand in memory, bounded in number and in bytes; the oldest go first. The entry of a call is made
when somebody first looks at it, so that a call costs little more than the capture.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from emulator.backends.records import Records
from emulator.backends.stateful import Check, Stateful
from emulator.clock import EVERYBODY, Clock, Setting
from emulator.world.journal.entry import Entry, Noted
from emulator.world.journal.verify import CallMatch, Verdict, VerifyMatch, verdict

logger = logging.getLogger(__name__)

KIND = "journal"

FLUSH_SECONDS = 1.0
"""How often new calls are written to the records: what a kill -9 loses at most."""

CHUNK = 100
"""How many calls one record has at most."""


@dataclass(frozen=True)
class _Chunk:
    """What one record holds."""

    last: int
    calls: list[Entry]
    overrun: int = 0


CALLS = TypeAdapter(_Chunk)


@dataclass(frozen=True)
class Gap:
    """Calls that were gone before a reader of the stream got to them."""

    missed: int
    last: int


class Journal(Stateful):
    """The last calls.

    Parameters
    ----------
    records, clock
        Where calls are written, and what dates them.
    calls, size : int
        How many calls, and how many bytes of them, are kept.
    survives : bool
        Whether calls are written to the records, in the background.
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
        self._calls = calls
        self._size = size
        self._survives = survives
        self._noted: deque[Noted] = deque()
        self._held_bytes = 0
        self._last = 0
        self._overrun = 0
        self._written = 0
        self._chunks: deque[tuple[str, int]] = deque()
        # Keys of records that may be there, and that nobody needs.
        self._stale: set[str] = set()
        self._readers: set[asyncio.Event] = set()
        self._dirty = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._is_paused = False

    @property
    def is_on(self) -> bool:
        """Whether calls are taken down at all."""
        return self._calls > 0

    @property
    def last(self) -> int:
        """The number of the newest call, or 0."""
        return self._last

    @property
    def checks(self) -> Mapping[str, Check]:
        """A record has to hold calls."""
        return {KIND: CALLS.validate_python}

    async def load(self) -> None:
        """Read the calls from the records: at the start, and after a restore.

        The count goes on from where it was: who follows waits for higher numbers. A call that is noted
        meanwhile comes after all that are read.
        """
        if self._is_paused:
            await self._load()
            return
        async with self._writing:
            await self._load()

    async def _load(self) -> None:
        counted = self._last
        records = await self._records.find(KIND)
        # From here on nobody gets in between.
        fresh = [noted for noted in self._noted if noted.number > counted]
        self._noted.clear()
        self._chunks.clear()
        self._stale.clear()
        self._held_bytes = 0
        self._last = self._overrun = overrun = 0
        for record in sorted(records, key=lambda record: _newest(record.document)):
            for document in record.document["calls"]:
                entry = Entry.model_validate(document)
                # A process that was killed may have left the same calls in two records.
                if entry.number > self._last:
                    size = len(json.dumps(document))
                    self._append(Noted(entry.number, entry.exact_credential, size, None, entry))
            self._chunks.append((record.key, _newest(record.document)))
            overrun = max(overrun, record.document.get("overrun", 0))
        if self._noted:
            # A record goes as a whole: of calls that had left the memory, some may be back.
            overrun = min(overrun, self._noted[0].number - 1)
        self._overrun = max(self._overrun, overrun)
        self._last = max(self._last, counted, *(record.document["last"] for record in records))
        self._written = self._last
        for noted in fresh:
            noted.renumber(self._last + 1)
            self._append(noted)
        self.wake()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Have nothing written, and nothing forgotten, as long as the block lasts; it may load."""
        async with self._writing:
            self._is_paused = True
            try:
                yield
            finally:
                self._is_paused = False

    def start(self) -> None:
        """Begin to write calls to the records."""
        if self._survives and self._writer is None:
            self._writer = asyncio.create_task(self._write_on())

    async def close(self) -> None:
        """Write what is not written yet, and stop."""
        if self._writer is None:
            return
        self._writer.cancel()
        await asyncio.wait({self._writer})
        self._writer = None
        try:
            await self.flush()
        except Exception:
            logger.exception("the last calls could not be written, and are lost")

    def note(self, credential: str | None, held_bytes: int, make: Callable[[int, Setting], Entry]) -> None:
        """Take down a call that is over; ``make`` makes its entry when somebody first looks at it."""
        number = self._last + 1
        setting = self._clock.setting(credential or EVERYBODY)
        self._append(Noted(number, credential, held_bytes, lambda number: make(number, setting)))
        self._dirty.set()
        self.wake()

    def entries(self, match: CallMatch | None = None, *, after: int = 0) -> list[Entry]:
        """Return the calls that match, the oldest first."""
        credential = None if match is None else match.credential
        return [
            noted.entry
            for noted in self._noted
            if noted.number > after
            and credential in {None, noted.credential}
            and (match is None or not match.failures(noted.entry))
        ]

    def get(self, number: int) -> Entry | None:
        """Return the call of that number, or None if it is gone."""
        return next((noted.entry for noted in self._noted if noted.number == number), None)

    async def forget(self, credential: str | None) -> None:
        """Forget the calls of one credential, or all."""
        async with self._writing:
            self._noted = deque(
                noted for noted in self._noted if credential is not None and noted.credential != credential
            )
            self._held_bytes = sum(noted.held_bytes for noted in self._noted)
            if self._survives:
                # All is written anew, then or with the next flush.
                self._stale.update(key for key, _ in self._chunks)
                self._chunks.clear()
                self._written = 0
                self._dirty.set()
                await self._flush()

    def verify(self, match: VerifyMatch, at_least: int, at_most: int | None) -> Verdict:
        """Return whether as many calls match as should, and what comes closest if not."""
        # The credential is never forgiven: tests must not see each other's calls.
        return verdict(self.entries(CallMatch(credential=match.credential)), match, at_least, at_most)

    async def follow(
        self, match: CallMatch, after: int, is_over: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[Entry | Gap]:
        """Give the calls after a number as they come; who is too slow is told what was missed.

        A reader holds nothing but the number of the call that it had last.
        """
        news = asyncio.Event()
        self._readers.add(news)
        try:
            while not is_over():
                news.clear()
                if after < self._overrun:
                    yield Gap(self._overrun - after, self._overrun)
                    after = self._overrun
                # A few at a time: whoever reads slowly holds no more.
                for noted in [noted for noted in self._noted if noted.number > after][:CHUNK]:
                    after = noted.number
                    if match.credential in {None, noted.credential} and not match.failures(noted.entry):
                        yield noted.entry
                        if is_over():
                            return
                if not self._noted or after >= self._noted[-1].number:
                    await news.wait()
        finally:
            self._readers.discard(news)

    def wake(self) -> None:
        """Let those that follow look whether it is over."""
        for reader in self._readers:
            reader.set()

    def _append(self, noted: Noted) -> None:
        self._noted.append(noted)
        self._last = noted.number
        self._held_bytes += noted.held_bytes
        while len(self._noted) > self._calls or self._held_bytes > self._size:
            gone = self._noted.popleft()
            self._held_bytes -= gone.held_bytes
            self._overrun = gone.number

    async def _write_on(self) -> None:
        failures = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:
                # A full disk would otherwise be told of every second.
                if not failures:
                    logger.exception("calls could not be written; that is tried again and again")
                failures += 1
                self._dirty.set()
            else:
                if failures:
                    logger.warning("calls are written again, after %d failures", failures)
                failures = 0

    async def flush(self) -> None:
        """Write what is not written yet, and drop what has gone out of memory.

        What raises or is cancelled leaves the rest to the next one, which writes no call twice.
        """
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        fresh = [noted for noted in self._noted if noted.number > self._written]
        for begin in range(0, len(fresh), CHUNK):
            await self._write(fresh[begin : begin + CHUNK])
        if not self._chunks and self._last:
            await self._write([])
        oldest = self._noted[0].number if self._noted else self._last + 1
        # The newest record stays in any case: it says how far the calls were counted.
        while len(self._chunks) > 1 and self._chunks[0][1] < oldest:
            self._stale.add(self._chunks.popleft()[0])
        for key in list(self._stale):
            await self._records.delete(KIND, key)
            self._stale.discard(key)

    async def _write(self, calls: Sequence[Noted]) -> None:
        last = calls[-1].number if calls else self._last
        key = str(last)
        # Those that were cleared were counted all the same.
        document = {
            "last": self._last,
            "overrun": self._overrun,
            "calls": [noted.entry.to_document() for noted in calls],
        }
        # Whether it is there is not known if this fails: then the next one writes the calls again, with
        # others and under another key, and this record goes.
        self._stale.add(key)
        # Several credentials' calls stand in one record, which is why it is nobody's.
        await self._records.put(KIND, key, EVERYBODY, document)
        self._stale.discard(key)
        self._chunks.append((key, last))
        self._written = max(self._written, last)


def _newest(document: Mapping[str, Any]) -> int:
    """Return up to which number the calls of a record go."""
    number: int = document["calls"][-1]["number"] if document["calls"] else document["last"]
    return number
