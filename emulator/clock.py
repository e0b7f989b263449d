"""The clock. No other module reads the time of the operating system.

All credentials share one clock until a tester changes the clock of a credential. With its own clock, a test
can make a file expire without affecting the tests that run in parallel.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

ALL_CREDENTIALS = ""
"""Stands for all credentials: its settings are the default."""


def machine_time() -> float:
    """Return the machine's time in seconds since the Unix epoch. It ignores changes of the clock."""
    return time.time()


@dataclass(frozen=True)
class Setting:
    """State of a clock.

    Attributes
    ----------
    offset_s : float
        Seconds that it is ahead of the machine's clock, if it is not frozen.
    frozen_at : float or None
        Time at which it is frozen, in seconds since the Unix epoch.
    """

    offset_s: float = 0.0
    frozen_at: float | None = None

    def now(self) -> float:
        """Return the time of the clock, in seconds since the Unix epoch."""
        return self.at(machine_time())

    def at(self, real: float) -> float:
        """Return the time of the clock when the machine's time is ``real``."""
        return real + self.offset_s if self.frozen_at is None else self.frozen_at

    def to_document(self) -> dict[str, Any]:
        """Return the setting as a JSON object."""
        return asdict(self)


class Clock:
    """The current time of each credential. It decides what has expired, and dates records.

    Parameters
    ----------
    frozen_at : float or None
        Time at which the clock is frozen initially. None for the machine's time.
    """

    def __init__(self, frozen_at: float | None = None) -> None:
        self._initial = Setting(frozen_at=frozen_at)
        self._settings: dict[str, Setting] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self, credential: str = ALL_CREDENTIALS) -> float:
        """Return the time of ``credential``, in seconds since the Unix epoch."""
        return self.setting(credential).now()

    def setting(self, credential: str = ALL_CREDENTIALS) -> Setting:
        """Return the state of the clock of ``credential``."""
        return self._settings.get(credential) or self._settings.get(ALL_CREDENTIALS, self._initial)

    def settings(self) -> dict[str, Setting]:
        """Return the clocks that testers have set, by credential."""
        return dict(self._settings)

    def set(self, setting: Setting, credential: str = ALL_CREDENTIALS) -> None:
        """Set the clock of ``credential``, and wake everything that waits for a time."""
        self._settings[credential] = setting
        self._wake()

    def freeze(self, credential: str = ALL_CREDENTIALS, at: float | None = None) -> None:
        """Freeze the clock now, or at the time ``at``."""
        self.set(Setting(frozen_at=self.now(credential) if at is None else at), credential)

    def run(self, credential: str = ALL_CREDENTIALS) -> None:
        """Let the clock run from its current time."""
        self.set(Setting(offset_s=self.now(credential) - time.time()), credential)

    def travel(self, moment: float, credential: str = ALL_CREDENTIALS) -> None:
        """Set the clock to ``moment``. A frozen clock stays frozen, a running one runs on."""
        if self.setting(credential).frozen_at is None:
            self.set(Setting(offset_s=moment - time.time()), credential)
        else:
            self.set(Setting(frozen_at=moment), credential)

    def advance(self, seconds: float, credential: str = ALL_CREDENTIALS) -> None:
        """Advance the clock by ``seconds``. A frozen clock stays frozen, a running one runs on."""
        before = self.setting(credential)
        if before.frozen_at is None:
            self.set(Setting(offset_s=before.offset_s + seconds), credential)
        else:
            self.set(Setting(frozen_at=before.frozen_at + seconds), credential)

    def forget(self, credential: str | None = None) -> None:
        """Reset the clock of ``credential``, or all clocks."""
        if credential is None:
            self._settings.clear()
        else:
            self._settings.pop(credential, None)
        self._wake()

    async def wait_until(self, moment: float, credential: str = ALL_CREDENTIALS) -> None:
        """Wait until the clock of ``credential`` reaches ``moment``, by itself or because it is changed."""
        changed = asyncio.Event()
        entry = (asyncio.get_running_loop(), changed)
        self._waiting.add(entry)
        try:
            while (missing := moment - self.now(credential)) > 0:
                changed.clear()
                runs = self.setting(credential).frozen_at is None
                with contextlib.suppress(TimeoutError):
                    # At most a day, because the length of a wait is limited. Not ``wait_for``: before
                    # Python 3.12 it loses a cancellation that arrives while the clock is changed.
                    async with asyncio.timeout(min(missing, 86400.0) if runs else None):
                        await changed.wait()
        finally:
            self._waiting.discard(entry)

    def describe(self) -> str:
        """Return the state of the default clock in a few words, for the banner."""
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
    """Elapsed real time, for members of responses that report a duration.

    It does not depend on the clock, and runs on while the clock is frozen.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def elapsed_ms(self) -> int:
        """Return the milliseconds since construction, rounded."""
        return round(self.elapsed_s() * 1000)

    def elapsed_s(self) -> float:
        """Return the seconds since construction."""
        return time.perf_counter() - self._started
