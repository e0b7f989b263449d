"""Names for the arrays that travel through the face core, and the one door that checks them."""

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
"""(T, 3) indices, counter-clockwise seen from outside."""

Matrix: TypeAlias = NDArray[np.float64]
"""A small matrix; the docstring that uses it says which."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle in pixels: x right, y down."""

    left: float
    top: float
    width: float
    height: float


def check_image(image: Image) -> None:
    """Raise unless ``image`` is an Image.

    Raises
    ------
    ValueError
        If the shape or the dtype is another one.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8 RGB, not {image.shape} {image.dtype}")


def check_points(points: NDArray[np.float64], dimensions: int, name: str = "points") -> None:
    """Raise unless ``points`` is (N, ``dimensions``) and finite.

    Raises
    ------
    ValueError
        If the shape is another one, or a coordinate is NaN or infinite.
    """
    if points.ndim != 2 or points.shape[1] != dimensions:
        raise ValueError(f"{name} must be (N, {dimensions}), not {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite")
