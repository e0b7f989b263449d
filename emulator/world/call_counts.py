"""``CallCounts``, which counts calls and their durations."""

from __future__ import annotations

from emulator.durations import NO_DURATIONS, Durations, Histogram

NONE = "none"
"""Stands for the operation of a call to a path that is not served, and for the status of a call that got no
response."""


class CallCounts:
    """The calls since the start of the process. A reset or a restore does not change them."""

    def __init__(self) -> None:
        self._durations: Durations[tuple[str, str | None, int | None]] = Durations()

    def note(self, vendor: str, operation: str | None, status: int | None, seconds: float) -> None:
        """Count a call. This must be fast, because it runs for every call."""
        self._durations.note((vendor, operation, status), seconds)

    def by_status(self) -> dict[tuple[str, str, str], int]:
        """Return the number of calls by vendor, operation and status."""
        return {
            (vendor, operation or NONE, str(status or NONE)): histogram.count
            for (vendor, operation, status), histogram in self._durations.histograms().items()
        }

    def durations(self) -> dict[tuple[str, str], Histogram]:
        """Return the durations of calls by vendor and operation."""
        found: dict[tuple[str, str], Histogram] = {}
        for (vendor, operation, _), histogram in self._durations.histograms().items():
            key = (vendor, operation or NONE)
            found[key] = found.get(key, NO_DURATIONS).merged(histogram)
        return found
