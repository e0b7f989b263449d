"""``CallCounts``, which counts calls and their durations."""

from __future__ import annotations

from collections import Counter

from emulator.durations import Durations

NONE = "none"
"""Stands for the operation of a call to a path that is not served, and for the status of a call that got no
response."""


class CallCounts:
    """The calls since the start of the process. A reset or a restore does not change them.

    Attributes
    ----------
    by_status : Counter
        Number of calls by vendor, operation and status.
    durations : Durations
        Durations of calls by vendor and operation.
    """

    def __init__(self) -> None:
        self.by_status: Counter[tuple[str, str, str]] = Counter()
        self.durations: Durations[tuple[str, str]] = Durations()

    def note(self, vendor: str, operation: str | None, status: int | None, seconds: float) -> None:
        """Count a call."""
        operation = operation or NONE
        self.by_status[vendor, operation, NONE if status is None else str(status)] += 1
        self.durations.note((vendor, operation), seconds)
