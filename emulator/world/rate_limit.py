"""Rate limits per caller. Servers that share a database count the calls together."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from weakref import WeakValueDictionary

from pydantic import AfterValidator, BaseModel, ConfigDict

from emulator.backends.records import Change, Create, Record, Records, Replace
from emulator.backends.records.purge import delete_old
from emulator.backends.stateful import Check, EntryCheck, Oldest, Stateful, Stored, require, strictly
from emulator.clock import Clock, Moment, machine_time
from emulator.deferral import DeferredAdapter

KIND = "rate"

SKEW_SECONDS = 0.5
"""Largest difference between the clocks of machines that share a database.

A call that was counted by another machine still counts if its time is at most this far in the future.
"""

Counted = tuple[tuple[float, ...], ...]
"""The times of the counted calls of a caller, for each window. The earliest time is first."""


_Key = tuple[str, str, str]
"""The name of the limit, and the credential and the name of the caller."""


@dataclass(frozen=True)
class Window:
    """A limit of ``calls`` calls of a caller in any period of ``seconds``.

    The time is measured by the credential's clock or, if ``by_machine`` is true, by the machine's clock.
    """

    calls: int
    seconds: float
    by_machine: bool = False


@dataclass(frozen=True)
class RateLimit:
    """A limit of one or more windows.

    A call is refused if one of the windows is full or, if ``any_window`` is true, if all of them are full. A
    call that is not refused counts in the windows that are not full.
    """

    name: str
    windows: tuple[Window, ...]
    any_window: bool = False


class Caller(NamedTuple):
    """A credential, or something that has a name, such as an IP address. A caller has its own counts.

    A reset of the credential deletes the counts. The credential is empty for a caller that has none.
    """

    credential: str
    name: str = ""


class RateLimits(Stateful):
    """The counted calls of all callers.

    They are in memory or, if other processes use the same database, in the database.

    Parameters
    ----------
    records, clock
        The database, and the clock of the calls.
    """

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._memory: dict[_Key, Counted] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def allows(self, limit: RateLimit, *callers: Caller) -> bool:
        """Return whether a call is within the limit for each of its callers. If so, count the call.

        Refused calls do not count. If a clock is set back, counted calls with a later time no longer count.
        """
        if self._records.is_shared:
            return await self._allows_in_database(limit, {_key(limit, caller): caller for caller in callers})
        keys = [_key(limit, caller) for caller in callers]
        after = self._after(limit, callers, [self._memory.get(key) for key in keys], skew_s=0.0)
        if after is None:
            return False
        for key, counted in zip(keys, after, strict=True):
            self._memory[key] = counted
        return True

    @property
    def checks(self) -> Mapping[str, Check]:
        """The validator of stored counts. The times of the counted calls must be sorted."""
        return {KIND: lambda document: strictly(_DOCUMENT, document)}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a count must name its credential."""
        return {KIND: _check_entry}

    async def load(self) -> None:
        """Reset the counts in memory, at startup and after a restore."""
        self._memory.clear()

    async def forget(self, credential: str | None) -> None:
        """Reset the counts of ``credential``, or all counts if it is None."""
        for key in [key for key in self._memory if credential in {None, key[1]}]:
            del self._memory[key]
        for record in await self._records.find(KIND, credential):
            await self._records.delete(KIND, record.key)

    async def purge(self, oldest: Oldest) -> None:
        """Delete the counts of callers whose last call is too old."""

        def is_old(credential: str, counted: Collection[Sequence[float]]) -> bool:
            return all(not times or times[-1] < oldest(credential) for times in counted)

        await delete_old(
            self._records, KIND, lambda record: is_old(record.credential, record.document["calls"])
        )
        for key, counted in list(self._memory.items()):
            if is_old(key[1], counted):
                del self._memory[key]

    async def _allows_in_database(self, limit: RateLimit, callers: Mapping[_Key, Caller]) -> bool:
        keys = ["\n".join(key) for key in callers]
        async with self._turn(keys):
            while True:
                records = [await self._records.get(KIND, key) for key in keys]
                before = [None if record is None else _counted(record) for record in records]
                after = self._after(limit, [*callers.values()], before, SKEW_SECONDS)
                if after is None:
                    return False
                changes = [
                    _change(key, caller, record, counted)
                    for key, caller, record, counted in zip(
                        keys, callers.values(), records, after, strict=True
                    )
                ]
                with contextlib.suppress(KeyError):  # another process has counted the first call
                    if await self._records.write(changes):
                        return True

    @contextlib.asynccontextmanager
    async def _turn(self, keys: Collection[str]) -> AsyncIterator[None]:
        """Process the calls of a caller one after another.

        Calls that change the same record at the same time conflict, and must start again. So the calls of
        this process take turns. All calls take the locks in the same order, to avoid a deadlock.
        """
        async with contextlib.AsyncExitStack() as stack:
            for key in sorted(keys):
                await stack.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
            yield

    def _after(
        self, limit: RateLimit, callers: Sequence[Caller], before: Sequence[Counted | None], skew_s: float
    ) -> list[Counted] | None:
        """Return the counted calls of each caller after one more call. Return None if the call is refused."""
        windows = limit.windows
        after: list[Counted] = []
        rooms: list[bool] = []
        for caller, known in zip(callers, before, strict=True):
            # After a change of the settings, the limit may have another number of windows.
            counted = known if known is not None and len(known) == len(windows) else ((),) * len(windows)
            now = self._clock.now(caller.credential)
            counts = []
            for times, window in zip(counted, windows, strict=True):
                moment = machine_time() if window.by_machine else now
                has_room, times_after = count(times, window, moment, skew_s)
                rooms.append(has_room)
                counts.append(times_after)
            after.append(tuple(counts))
        return after if (any(rooms) if limit.any_window else all(rooms)) else None


def count(
    times: tuple[float, ...], window: Window, now: float, skew_s: float = 0.0
) -> tuple[bool, tuple[float, ...]]:
    """Return whether a window has room for a call at ``now``, and the counted times after the call.

    ``times`` are the times of the counted calls. Times outside of the window are omitted. If the last time is
    at most ``skew_s`` later than ``now``, the clock of another machine is ahead, and the call gets that time.
    """
    if times and now < times[-1] <= now + skew_s:
        now = times[-1]
    counted = times
    if times and not now - window.seconds < times[0] <= times[-1] <= now:
        counted = times[bisect_right(times, now - window.seconds) : bisect_right(times, now)]
    has_room = len(counted) < window.calls
    return has_room, (*counted, now) if has_room else counted


def _sorted(times: tuple[Moment, ...]) -> tuple[Moment, ...]:
    require(list(times) == sorted(times), "the times must be sorted")
    return times


class _Document(BaseModel):
    """The stored counts of a caller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: tuple[Annotated[tuple[Moment, ...], AfterValidator(_sorted)], ...]


_DOCUMENT = DeferredAdapter(_Document)


def _key(limit: RateLimit, caller: Caller) -> _Key:
    return limit.name, caller.credential, caller.name


def _check_entry(entry: Stored) -> None:
    require(entry.key.split("\n")[1:2] == [entry.credential], "the key must name the credential")


def _counted(record: Record) -> Counted:
    return tuple(map(tuple, record.document["calls"]))


def _change(key: str, caller: Caller, record: Record | None, counted: Counted) -> Change:
    document: dict[str, Any] = {"calls": counted}
    if record is None:
        return Create(KIND, key, caller.credential, document)
    return Replace(KIND, record, document)
