"""The recipe of a colour filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Tint: TypeAlias = tuple[float, float, float]
"""Red, green and blue, from -1 to 1, which are added to a colour."""


@dataclass(frozen=True)
class ColorFilter:
    """The recipe of a colour filter. By default, it changes nothing.

    A filter changes each pixel independently of its neighbours, in the order of the fields. Only the vignette
    depends on the position. Colours are from 0 to 1.

    Attributes
    ----------
    saturation : float
        Factor of the differences between a colour and the grey of the same luminance: 0 for a grey picture, 1
        for no change.
    warmth : float
        -1 to 1: more blue and less red, or more red and less blue.
    brightness : float
        -1 to 1: how much the middle of the range moves towards black or white. Black and white stay.
    contrast : float
        -1 to 1: flatter or steeper in the middle of the range. Black and white stay.
    fade : float
        0 to 1: the brightness of black, as on an old print.
    shadows, highlights : (float, float, float)
        Tints of the dark and of the bright colours.
    vignette : float
        0 to 1: how dark the corners are.
    """

    saturation: float = 1.0
    warmth: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    fade: float = 0.0
    shadows: Tint = (0.0, 0.0, 0.0)
    highlights: Tint = (0.0, 0.0, 0.0)
    vignette: float = 0.0

    @property
    def keeps_grey(self) -> bool:
        """Whether a grey picture stays grey."""
        return not self.warmth and all(len(set(tint)) == 1 for tint in (self.shadows, self.highlights))
