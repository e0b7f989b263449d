"""The one source of time. Nothing else in the project asks the operating system what time it is.

Everybody shares one clock until somebody moves theirs: a credential's own clock is what isolates a
test that lets a file expire from those that run beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

EVERYBODY = ""
"""The credential whose clock those follow who have none of their own."""


def machine_time() -> float:
    """Return what the machine's own clock says: for what is measured, and not for what expires."""
    return time.time()


@dataclass(frozen=True)
class Setting:
    """How a clock stands to the machine's.

    Attributes
    ----------
    offset_s : float
        How far it goes ahead of the machine's clock, while it runs.
    frozen_at : float or None
        The moment at which it stands, seconds since the Unix epoch.
    """

    offset_s: float = 0.0
    frozen_at: float | None = None

    def now(self) -> float:
        """Return what a clock that is set so says, in seconds since the Unix epoch."""
        return self.at(machine_time())

    def at(self, real: float) -> float:
        """Return what it says when the machine's clock says ``real``."""
        return real + self.offset_s if self.frozen_at is None else self.frozen_at

    def to_document(self) -> dict[str, Any]:
        """Return the setting as a JSON object."""
        return asdict(self)


class Clock:
    """What tells the time to everything that expires, ages or is stamped.

    Parameters
    ----------
    frozen_at : float or None
        The moment at which it stands until somebody moves it; None for the machine's time.
    """

    def __init__(self, frozen_at: float | None = None) -> None:
        self._initial = Setting(frozen_at=frozen_at)
        self._settings: dict[str, Setting] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def now(self, credential: str = EVERYBODY) -> float:
        """Return seconds since the Unix epoch, as ``credential`` (a credential) has it."""
        return self.setting(credential).now()

    def setting(self, credential: str = EVERYBODY) -> Setting:
        """Return how the clock of ``credential`` is set."""
        return self._settings.get(credential) or self._settings.get(EVERYBODY, self._initial)

    def settings(self) -> dict[str, Setting]:
        """Return the clocks that somebody has set, by credential."""
        return dict(self._settings)

    def set(self, setting: Setting, credential: str = EVERYBODY) -> None:
        """Set the clock of ``credential``, and wake what waits for a moment."""
        self._settings[credential] = setting
        self._wake()

    def freeze(self, credential: str = EVERYBODY, at: float | None = None) -> None:
        """Stop the clock, now or ``at`` a moment."""
        self.set(Setting(frozen_at=self.now(credential) if at is None else at), credential)

    def run(self, credential: str = EVERYBODY) -> None:
        """Let the clock run on from where it is."""
        self.set(Setting(offset_s=self.now(credential) - time.time()), credential)

    def travel(self, moment: float, credential: str = EVERYBODY) -> None:
        """Set the clock to ``moment``; it stands or runs on as before."""
        if self.setting(credential).frozen_at is None:
            self.set(Setting(offset_s=moment - time.time()), credential)
        else:
            self.set(Setting(frozen_at=moment), credential)

    def advance(self, seconds: float, credential: str = EVERYBODY) -> None:
        """Move the clock on by ``seconds``; it stands or runs on as before."""
        before = self.setting(credential)
        if before.frozen_at is None:
            self.set(Setting(offset_s=before.offset_s + seconds), credential)
        else:
            self.set(Setting(frozen_at=before.frozen_at + seconds), credential)

    def forget(self, credential: str | None = None) -> None:
        """Forget how ``credential`` has set its clock, or how anybody has."""
        if credential is None:
            self._settings.clear()
        else:
            self._settings.pop(credential, None)
        self._wake()

    async def wait_until(self, moment: float, credential: str = EVERYBODY) -> None:
        """Return when the clock of ``credential`` reaches ``moment``, by itself or because it is moved."""
        changed = asyncio.Event()
        entry = (asyncio.get_running_loop(), changed)
        self._waiting.add(entry)
        try:
            while (missing := moment - self.now(credential)) > 0:
                changed.clear()
                runs = self.setting(credential).frozen_at is None
                with contextlib.suppress(TimeoutError):
                    # A thread's longest wait is bounded, and waking once a day costs nothing. Not
                    # `wait_for`: until Python 3.12 it loses a cancellation that comes as the clock is moved.
                    async with asyncio.timeout(min(missing, 86400.0) if runs else None):
                        await changed.wait()
        finally:
            self._waiting.discard(entry)

    def describe(self) -> str:
        """Return the state of everybody's clock in a few words, for the banner."""
        setting = self.setting()
        if setting.frozen_at is not None:
            return f"frozen at {datetime.fromtimestamp(setting.frozen_at, UTC).isoformat()}"
        return "system" if not setting.offset_s else f"system {setting.offset_s:+.0f} s"

    def _wake(self) -> None:
        # Whoever moves the clock may be in another thread than those who wait.
        for loop, changed in list(self._waiting):
            with contextlib.suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(changed.set)


class Stopwatch:
    """Elapsed time, for the members of answers that report how long work took.

    Elapsed time is a measurement of the machine, not a moment in the emulated world: it runs on
    when the clock is frozen.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def elapsed_ms(self) -> int:
        """Return whole milliseconds since construction."""
        return round(self.elapsed_s() * 1000)

    def elapsed_s(self) -> float:
        """Return seconds since construction."""
        return time.perf_counter() - self._started
