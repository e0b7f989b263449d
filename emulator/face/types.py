"""Type aliases for the arrays of the face core, and checks of their shape."""

from __future__ import annotations

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
