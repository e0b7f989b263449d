"""``FairShare``, a limit that credentials share without blocking each other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator


class FairShare:
    """A limited amount, such as a number of connections or bytes, that is shared among keys.

    If the amount is used up, takers wait. They are served in turn by key, so a key with a thousand takers
    does not delay the takers of another key. A single key never gets the whole amount.

    Parameters
    ----------
    total : int
        The whole amount.
    most : int
        The largest amount of a single key.
    """

    def __init__(self, total: int, most: int) -> None:
        self._free = total
        self._most = min(most, total)
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Take 1 for the duration of the ``async with`` block."""
        await self.take(key, 1)
        try:
            yield
        finally:
            self.give(key, 1)

    async def take(self, key: str, amount: int) -> int:
        """Wait until ``amount`` is free for ``key``, and take it. Return what was taken.

        An amount above the largest amount of a key is reduced to it, because it would never be free.
        """
        amount = min(amount, self._most)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (amount, granted)
        self._waiting.setdefault(key, deque()).append(place)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.give(key, amount)
            else:
                self._leave(key, place)
                self._grant()
            raise
        return amount

    def give(self, key: str, amount: int) -> None:
        """Give back what was taken."""
        self._free += amount
        self._taken[key] -= amount
        if not self._taken[key]:
            del self._taken[key]
        self._grant()

    def _grant(self) -> None:
        """Serve the first taker of each key in turn, until the next taker does not fit."""
        is_served = True
        while is_served:
            is_served = False
            for key in list(self._waiting):
                amount, granted = place = self._waiting[key][0]
                if granted.cancelled():
                    self._leave(key, place)
                    is_served = True
                    continue
                if self._taken[key] + amount > self._most:
                    continue  # this key is at its limit, so serve other keys
                if amount > self._free:
                    return  # do not serve smaller amounts first, or this taker could wait forever
                self._leave(key, place)
                if key in self._waiting:
                    self._waiting[key] = self._waiting.pop(key)  # the end of the queue
                self._free -= amount
                self._taken[key] += amount
                granted.set_result(None)
                is_served = True

    def _leave(self, key: str, place: tuple[int, asyncio.Future[None]]) -> None:
        row = self._waiting.get(key, deque())
        with contextlib.suppress(ValueError):  # it was already removed
            row.remove(place)
        if not row:
            self._waiting.pop(key, None)
