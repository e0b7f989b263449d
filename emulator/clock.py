"""The emulator's clock. No other module reads the date and time of the operating system.

A credential uses the default clock until a tester sets a clock for this credential. So a test can make a
file of its own credential expire without affecting tests that run in parallel.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

ALL_CREDENTIALS = ""
"""The empty credential, which stands for all credentials. A value that is set for it is the default."""


EARLIEST, LATEST = -62135596800.0, 253402300799.0
"""The range of dates, from the year 1 to the year 9999, in seconds since the Unix epoch."""

Moment = Annotated[float, Field(ge=EARLIEST, le=LATEST, allow_inf_nan=False)]
"""A stored time, in seconds since the Unix epoch."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A stored number."""


def machine_time() -> float:
    """Return the time of the machine's own clock, in seconds since the Unix epoch."""
    return time.time()


@dataclass(frozen=True)
class Setting:
    """State of a clock.

    Attributes
    ----------
    offset_s : float
        Seconds that a running clock is ahead of the machine's clock.
    frozen_at : float or None
        Time at which the clock is frozen, in seconds since the Unix epoch. None if the clock runs.
    """

    offset_s: float = 0.0
    frozen_at: float | None = None

    def now(self) -> float:
        """Return the current time of the clock, in seconds since the Unix epoch."""
        return self.at(machine_time())

    def at(self, real: float) -> float:
        """Return the time of the clock at the moment when the machine's time is ``real``."""
        return real + self.offset_s if self.frozen_at is None else self.frozen_at

    def frozen(self, at: float | None = None) -> Setting:
        """Return the clock frozen at its current time, or at the time ``at``."""
        return Setting(frozen_at=self.now() if at is None else at)

    def running(self) -> Setting:
        """Return the clock running, starting from its current time."""
        return Setting(offset_s=self.now() - machine_time())

    def moved(self, moment: float) -> Setting:
        """Return the clock set to ``moment``. A frozen clock stays frozen."""
        if self.frozen_at is None:
            return Setting(offset_s=moment - machine_time())
        return Setting(frozen_at=moment)

    def advanced(self, seconds: float) -> Setting:
        """Return the clock with ``seconds`` added. A frozen clock stays frozen."""
        if self.frozen_at is None:
            return Setting(offset_s=self.offset_s + seconds)
        return Setting(frozen_at=self.frozen_at + seconds)

    def to_document(self) -> dict[str, Any]:
        """Return the setting as a JSON object."""
        return asdict(self)


class Clock:
    """The current time of each credential, for expiry, delays and timestamps.

    Parameters
    ----------
    frozen_at : float or None
        Time at which the default clock is frozen at startup. With None, the default clock shows the machine's
        time.
    """

    def __init__(self, frozen_at: float | None = None) -> None:
        self._initial = Setting(frozen_at=frozen_at)
        self._settings: dict[str, Setting] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self, credential: str = ALL_CREDENTIALS) -> float:
        """Return the time on the clock of ``credential``, in seconds since the Unix epoch."""
        return self.setting(credential).now()

    def setting(self, credential: str = ALL_CREDENTIALS) -> Setting:
        """Return the state of the clock of ``credential`` or, if it has none, of the default clock."""
        return self._settings.get(credential) or self._settings.get(ALL_CREDENTIALS, self._initial)

    def settings(self) -> dict[str, Setting]:
        """Return the state of each clock that the tester has set, by credential."""
        return dict(self._settings)

    def set(self, setting: Setting, credential: str = ALL_CREDENTIALS) -> None:
        """Set the clock of ``credential``, and wake all callers of ``wait_until``."""
        self._settings[credential] = setting
        self._wake()

    def replace(self, settings: Mapping[str, Setting]) -> None:
        """Set the clocks of all credentials, and wake all callers of ``wait_until``."""
        self._settings = dict(settings)
        self._wake()

    def freeze(self, credential: str = ALL_CREDENTIALS, at: float | None = None) -> None:
        """Freeze the clock at its current time, or at the time ``at``."""
        self.set(self.setting(credential).frozen(at), credential)

    def run(self, credential: str = ALL_CREDENTIALS) -> None:
        """Let the clock run, starting from its current time."""
        self.set(self.setting(credential).running(), credential)

    def travel(self, moment: float, credential: str = ALL_CREDENTIALS) -> None:
        """Set the clock to ``moment``. A frozen clock stays frozen, and a running clock keeps running."""
        self.set(self.setting(credential).moved(moment), credential)

    def advance(self, seconds: float, credential: str = ALL_CREDENTIALS) -> None:
        """Add ``seconds`` to the clock. A frozen clock stays frozen, and a running clock keeps running."""
        self.set(self.setting(credential).advanced(seconds), credential)

    def forget(self, credential: str | None = None) -> None:
        """Undo all changes to the clock of ``credential``, or to all clocks if it is None."""
        if credential is None:
            self._settings.clear()
        else:
            self._settings.pop(credential, None)
        self._wake()

    async def wait_until(self, moment: float, credential: str = ALL_CREDENTIALS) -> None:
        """Wait until the clock of ``credential`` shows ``moment`` or a later time."""
        changed = asyncio.Event()
        entry = (asyncio.get_running_loop(), changed)
        self._waiting.add(entry)
        try:
            while (missing := moment - self.now(credential)) > 0:
                changed.clear()
                runs = self.setting(credential).frozen_at is None
                with contextlib.suppress(TimeoutError):
                    # Wait for at most a day at a time, because the length of a wait is limited. Do not use
                    # ``wait_for``: before Python 3.12, it loses a cancellation that arrives when the clock
                    # changes.
                    async with asyncio.timeout(min(missing, 86400.0) if runs else None):
                        await changed.wait()
        finally:
            self._waiting.discard(entry)

    def describe(self) -> str:
        """Return the state of the default clock in a few words, which the server prints at startup."""
        setting = self.setting()
        if setting.frozen_at is not None:
            return f"frozen at {datetime.fromtimestamp(setting.frozen_at, UTC).isoformat()}"
        return "system" if not setting.offset_s else f"system {setting.offset_s:+.0f} s"

    def _wake(self) -> None:
        # The clock may be changed in another thread.
        for loop, changed in list(self._waiting):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(changed.set)


class Stopwatch:
    """A stopwatch of real time, for durations in responses. The emulator's clock does not affect it."""

    __slots__ = ("_started",)

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def elapsed_ms(self) -> int:
        """Return the milliseconds since this stopwatch was created, rounded."""
        return round(self.elapsed_s() * 1000)

    def elapsed_s(self) -> float:
        """Return the seconds since this stopwatch was created."""
        return time.perf_counter() - self._started
