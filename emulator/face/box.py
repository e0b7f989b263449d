"""``Box``, a rectangle in a picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle in pixels: x right, y down."""

    left: float
    top: float
    width: float
    height: float

    def enlarged(self, factor: int, corner: tuple[int, int] = (0, 0)) -> Box:
        """Return the box in the larger picture, which was cut at ``corner`` and reduced by ``factor``."""
        # Pixel centres are at integers, so the corner of a picture is at -0.5.
        left = (self.left + 0.5) * factor + corner[0] - 0.5
        top = (self.top + 0.5) * factor + corner[1] - 0.5
        return Box(left, top, self.width * factor, self.height * factor)
