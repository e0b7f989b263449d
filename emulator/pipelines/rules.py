"""Which pictures are accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_PIXELS: Final = 50_000_000
"""What is decoded at most if a caller has no limit of its own: photographs have up to 50 million. The worst
kind, an animated WebP of 7,071 x 7,071 pixels, took a process 825 MB at its peak; a transparent PNG that is
to be turned, 614 MB."""


@dataclass(frozen=True)
class ImageRules:
    """What a caller accepts.

    Attributes
    ----------
    formats : frozenset of str
        Of ``jpeg``, ``png``, ``webp``, ``bmp``, ``heic``; decided by the bytes, never by a name.
    longest_side, shortest_side : int or None
        Limits in pixels, inclusive; each holds for both sides.
    most_pixels : int
        A limit on width times height, inclusive, that protects memory.
    """

    formats: frozenset[str]
    longest_side: int | None = None
    shortest_side: int | None = None
    most_pixels: int = MOST_PIXELS
