"""The landmarks of the canonical head, as a detector returns them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    LEFT_EYE,
    LEFT_IRIS,
    RIGHT_EYE,
    RIGHT_IRIS,
)

IRIS_CM = 0.6
"""Radius of the irises, in centimetres."""


def canonical_landmarks(
    scale: float = 20.0, origin: tuple[float, float] = (200.0, 250.0)
) -> NDArray[np.float64]:
    """Return the landmarks (478, 3) of the canonical head from the front, in pixels.

    ``scale`` is in pixels per centimetre.
    """
    vertices = canonical_mesh().vertices
    irises = np.zeros((10, 3))
    for ring, (centre, *edge), toward_nose in ((RIGHT_EYE, RIGHT_IRIS, 1), (LEFT_EYE, LEFT_IRIS, -1)):
        middle = vertices[list(ring)].mean(axis=0)
        directions = [(toward_nose, 0, 0), (0, 1, 0), (-toward_nose, 0, 0), (0, -1, 0)]
        irises[centre - 468] = middle
        for index, direction in zip(edge, directions, strict=True):
            irises[index - 468] = middle + IRIS_CM * np.array(direction)
    placed = np.concatenate([vertices, irises]) * (scale, -scale, -scale)
    placed[:, :2] += origin
    return np.asarray(placed, np.float64)
