"""The one source of time. Nothing else in the project asks the operating system what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time to everything that expires, ages or is stamped."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""

    def describe(self) -> str:
        """Return the state of the clock in a few words, for the banner."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def describe(self) -> str:
        """Return ``system``."""
        return "system"


class FrozenClock:
    """A clock that stands at one moment, until somebody moves it."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return self._moment

    def advance(self, seconds: float) -> None:
        """Move the clock."""
        self._moment += seconds

    def describe(self) -> str:
        """Return the moment at which the clock stands."""
        return f"frozen at {datetime.fromtimestamp(self._moment, UTC).isoformat()}"


class Stopwatch:
    """Elapsed time, for the members of answers that report how long work took.

    Elapsed time is a measurement of the machine, not a moment in the emulated world: it runs on
    when the clock is frozen.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def elapsed_ms(self) -> int:
        """Return whole milliseconds since construction."""
        return round((time.perf_counter() - self._started) * 1000)
