"""``Durations``, which counts durations in buckets."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key")

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Largest duration of each bucket, in seconds. Another bucket has all longer durations.

A poll takes less than a millisecond, and a work at most a minute, which is the default of its limit.
"""


class Histogram(NamedTuple):
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


NO_DURATIONS = Histogram((0,) * (len(BOUNDS) + 1), 0.0)
"""The histogram of a key without durations."""


class Durations(Generic[Key]):
    """Counts durations for each key. It is not thread-safe."""

    def __init__(self) -> None:
        self._buckets: dict[Key, list[int]] = {}
        self._sums: dict[Key, float] = {}

    def note(self, key: Key, seconds: float) -> None:
        """Count a duration."""
        buckets = self._buckets.get(key)
        if buckets is None:
            buckets = self._buckets[key] = [0] * (len(BOUNDS) + 1)
            self._sums[key] = 0.0
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self._sums[key] += seconds

    def histograms(self) -> dict[Key, Histogram]:
        """Return the durations so far, by key."""
        return {
            key: Histogram(tuple(accumulate(buckets)), self._sums[key])
            for key, buckets in self._buckets.items()
        }
