"""Rate limits per caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from emulator.backends.stateful import Stateful


class SlidingWindow(Stateful):
    """A limit of ``limit`` calls per caller in any period of ``seconds``.

    Refused calls do not count. If the clock is set back, counted calls with a later time no longer count.

    A caller is any text, for example an IP address. ``caller_of`` returns the caller for a credential, so
    that a reset of the credential can delete the caller's calls.
    """

    def __init__(
        self, limit: int, seconds: float, caller_of: Callable[[str], str] = lambda credential: credential
    ) -> None:
        self._caller_of = caller_of
        self._limit = limit
        self._seconds = seconds
        self._calls: dict[str, deque[float]] = {}

    def has_room(self, caller: str, now: float) -> bool:
        """Return whether a call at ``now`` is within the limit."""
        calls = self._calls.get(caller)
        while calls and calls[-1] > now:
            calls.pop()
        while calls and calls[0] <= now - self._seconds:
            calls.popleft()
        if not calls:
            self._calls.pop(caller, None)
            return True
        return len(calls) < self._limit

    def count(self, caller: str, now: float) -> None:
        """Count a call at ``now``."""
        self._calls.setdefault(caller, deque()).append(now)

    async def forget(self, credential: str | None) -> None:
        """Reset the count of ``credential``, or all counts if it is None."""
        if credential is None:
            self._calls.clear()
        else:
            self._calls.pop(self._caller_of(credential), None)

    def allows(self, caller: str, now: float) -> bool:
        """Return whether a call at ``now`` is within the limit. If so, count the call."""
        room = self.has_room(caller, now)
        if room:
            self.count(caller, now)
        return room
