"""The clock: freeze, advance, travel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from emulator.control.client.caller import Caller
from emulator.control.clock import ClockReading


class Clock(Caller):
    """The clock of a credential, or the default one."""

    def clock(self) -> ClockReading:
        """Return what the clock says."""
        return self._clock("GET")

    def freeze(self, at: datetime | float | None = None) -> ClockReading:
        """Stop the clock, now or at a moment."""
        return self._clock("POST", "/freeze", at=_moment(at))

    def run(self) -> ClockReading:
        """Let the clock run on from where it is."""
        return self._clock("POST", "/run")

    def advance(self, seconds: float) -> ClockReading:
        """Move the clock on."""
        return self._clock("POST", "/advance", seconds=seconds)

    def travel(self, to: datetime | float) -> ClockReading:
        """Set the clock."""
        return self._clock("POST", "/travel", to=_moment(to))

    def reset_clock(self) -> ClockReading:
        """Go back to the default clock, or the settings'."""
        return self._clock("DELETE")

    def _clock(self, method: str, path: str = "", **body: Any) -> ClockReading:
        return self._read(ClockReading, method, f"/clock{path}", body=body or None, scoped=True)


def _moment(moment: datetime | float | None) -> str | float | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
