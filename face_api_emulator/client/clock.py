"""Methods of the client for the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from face_api_emulator.client.connection import Connection
from face_api_emulator.client.models import ClockReading


class Clock(Connection):
    """Methods of ``Client`` for the clock of a credential, or for the default clock."""

    def clock(self) -> ClockReading:
        """Return the time and the state of the clock."""
        return self._clock("GET")

    def freeze(self, at: datetime | float | None = None) -> ClockReading:
        """Freeze the clock at its current time, or at a given time."""
        return self._clock("POST", "/freeze", at=_moment(at))

    def run(self) -> ClockReading:
        """Start a frozen clock again, from the time that it shows."""
        return self._clock("POST", "/run")

    def advance(self, seconds: float) -> ClockReading:
        """Move the clock forward by a number of seconds."""
        return self._clock("POST", "/advance", seconds=seconds)

    def travel(self, to: datetime | float) -> ClockReading:
        """Set the clock to a time."""
        return self._clock("POST", "/travel", to=_moment(to))

    def reset_clock(self) -> ClockReading:
        """Reset the clock. The credential then follows the default clock again.

        Without a credential, the default clock follows the settings again.
        """
        return self._clock("DELETE")

    def _clock(self, method: str, path: str = "", **body: Any) -> ClockReading:
        return self._read(ClockReading, method, f"/clock{path}", body=body or None, scoped=True)


def _moment(moment: datetime | float | None) -> str | float | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
