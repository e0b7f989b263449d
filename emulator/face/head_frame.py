"""The head's own coordinate axes in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LANDMARK_COUNT,
    LEFT_EYE_OUTER_CORNER,
    MIRROR,
    RIGHT_EYE_OUTER_CORNER,
)
from emulator.face.types import Matrix, Points3, check_points

# Mirrored pairs of landmarks, on bone and in other places that expressions move least. They define the head's
# x axis.
_RIGID_LEFT = (263, 362, 356, 454, 251, 284, 332, 297, 338, 389, 323, 327, 358)
_RIGID_RIGHT = tuple(MIRROR[index] for index in _RIGID_LEFT)
# The ends of the midline. They define the head's y axis.
MIDLINE_TOP, MIDLINE_BOTTOM = FACE_OVAL[0], CHIN_TIP


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """The position of a head's own coordinate axes in the picture.

    Attributes
    ----------
    origin : (3,) float64
        The midpoint between the outer eye corners, in pixels.
    axes : (3, 3) float64
        Rows: the head's x (person's left), y (up) and z (out of the face) as unit vectors in
        pixel space (x right, y down, z away from the camera).
    unit : float
        Length in pixels of u, the distance between the outer eye corners.
    """

    origin: NDArray[np.float64]
    axes: Matrix
    unit: float

    def to_head(self, points: Points3) -> Points3:
        """Convert positions (N, 3) in pixels to the head's frame, in which 1 means ``unit`` pixels."""
        carried: Points3 = (points - self.origin) @ self.axes.T / self.unit
        return carried

    def to_picture(self, vectors: Points3) -> Points3:
        """Convert displacements (N, 3) along the head's axes, in units of ``unit`` pixels, to pixels."""
        carried: Points3 = vectors @ self.axes * self.unit
        return carried


def head_frame(landmarks: Points3) -> HeadFrame:
    """Return the coordinate axes of the head with ``landmarks`` (478, 3).

    Raises
    ------
    ValueError
        If the landmarks are not (478, 3) and finite, or do not define the axes, for example because all are
        in one place.
    """
    check_landmarks(landmarks)
    x = (landmarks[list(_RIGID_LEFT)] - landmarks[list(_RIGID_RIGHT)]).sum(axis=0)
    up = landmarks[MIDLINE_TOP] - landmarks[MIDLINE_BOTTOM]
    unit = head_unit(landmarks)
    z = np.cross(x, up)
    lengths = np.linalg.norm(x), np.linalg.norm(z)
    if not (unit > 0 and min(lengths) > 0):
        raise ValueError("the landmarks show no face: they define no axes")
    x, z = x / lengths[0], z / lengths[1]
    axes = np.stack([x, np.cross(z, x), z])
    return HeadFrame((landmarks[LEFT_EYE_OUTER_CORNER] + landmarks[RIGHT_EYE_OUTER_CORNER]) / 2, axes, unit)


def head_unit(landmarks: Points3) -> float:
    """Return u, the distance between the outer eye corners among ``landmarks`` (478, 3), in pixels."""
    return float(np.linalg.norm(landmarks[LEFT_EYE_OUTER_CORNER] - landmarks[RIGHT_EYE_OUTER_CORNER]))


def check_landmarks(landmarks: Points3) -> None:
    """Raise ValueError if ``landmarks`` are not (478, 3) and finite."""
    check_points(landmarks, 3, "landmarks")
    if len(landmarks) != LANDMARK_COUNT:
        raise ValueError(f"landmarks must be (478, 3), not {landmarks.shape}")
