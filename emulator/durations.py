"""``Durations``, which counts durations in buckets."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Generic, TypeVar

Key = TypeVar("Key")

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Largest duration of each bucket, in seconds. One more bucket counts all longer durations.

A poll takes less than a millisecond. A work item takes at most a minute, unless its limit is changed.
"""


@dataclass(frozen=True)
class Histogram:
    """The durations of one key.

    Attributes
    ----------
    at_most : tuple of int
        For each of ``BOUNDS``, the number of durations up to it; then the number of all durations.
    sum_s : float
        Sum of all durations, in seconds.
    """

    at_most: tuple[int, ...]
    sum_s: float

    @property
    def count(self) -> int:
        """Number of all durations."""
        return self.at_most[-1]

    def merged(self, other: Histogram) -> Histogram:
        """Return the durations of both histograms as one."""
        at_most = tuple(map(add, self.at_most, other.at_most))
        return Histogram(at_most, self.sum_s + other.sum_s)


NO_DURATIONS = Histogram((0,) * (len(BOUNDS) + 1), 0.0)
"""The histogram of a key without durations."""


class Durations(Generic[Key]):
    """Counts durations for each key. It is not thread-safe."""

    def __init__(self) -> None:
        self._tallies: dict[Key, _Tally] = {}

    def note(self, key: Key, seconds: float) -> None:
        """Count a duration."""
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        tally.buckets[bisect_left(BOUNDS, seconds)] += 1
        tally.sum_s += seconds

    def histograms(self) -> dict[Key, Histogram]:
        """Return the durations so far, by key."""
        return {
            key: Histogram(tuple(accumulate(tally.buckets)), tally.sum_s)
            for key, tally in self._tallies.items()
        }


class _Tally:
    __slots__ = ("buckets", "sum_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.sum_s = 0.0
