"""Type aliases for the arrays of the face core, and checks of their shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) RGB."""

Mask: TypeAlias = NDArray[np.float32]
"""(H, W), 0 to 1."""

Points2: TypeAlias = NDArray[np.float64]
"""(N, 2)."""

Points3: TypeAlias = NDArray[np.float64]
"""(N, 3)."""

Triangles: TypeAlias = NDArray[np.int32]
"""(T, 3) indices of vertices, counter-clockwise as seen from outside the mesh."""

Matrix: TypeAlias = NDArray[np.float64]
"""A small matrix; its shape is documented where it is used."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle in pixels: x right, y down."""

    left: float
    top: float
    width: float
    height: float

    def enlarged(self, factor: int, corner: tuple[int, int] = (0, 0)) -> Box:
        """Return the box in a picture of which this one begins at ``corner`` and is reduced by ``factor``."""
        # Pixel centres are at integers, so the corner of a picture is at -0.5.
        left = (self.left + 0.5) * factor + corner[0] - 0.5
        top = (self.top + 0.5) * factor + corner[1] - 0.5
        return Box(left, top, self.width * factor, self.height * factor)


def check_image(image: Image) -> None:
    """Raise ValueError if ``image`` is not an `Image`: (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")


def check_points(points: NDArray[np.float64], dimensions: int, name: str = "points") -> None:
    """Raise ValueError if ``points`` is not (N, ``dimensions``) or not finite."""
    if points.ndim != 2 or points.shape[1] != dimensions:
        raise ValueError(f"{name} must be (N, {dimensions}), not {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite")
