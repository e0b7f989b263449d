"""The detector's errors, and its response to the shape of a head, measured on synthetic faces.

``laboratory.observability`` measures both and writes ``emulator/face/data/detector_error.npz``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.stored import stored_arrays
from emulator.face.types import Matrix

POSE_TERMS = 6
"""Number of polynomial terms in yaw and pitch that describe the detector's bias."""

# Units of yaw and pitch: heads in photographs are typically turned by about one unit.
_YAW_UNIT_DEG, _PITCH_UNIT_DEG = 30.0, 15.0

# The faces detected in photographs of one person vary along each harmonic. The standard deviation in cm is
# ``_WITHIN_CM * frequency ** -_WITHIN_EXPONENT``, times a factor for even or odd fields along x, y, z. The
# numbers were measured on photographs of a few people. This variation is largest along x, and about as large
# as the variation between people.
_WITHIN_CM = 0.148
_WITHIN_EXPONENT = 0.685
_EVEN_WITHIN = (1.0, 0.75, 0.6)
_ODD_WITHIN = (1.0, 0.6, 0.6)

# One standard deviation of 1 / (distance to the camera), for a typical distance of 80 cm. Negative values
# are possible, because a detector can overcorrect the perspective.
_NEARNESS_PER_CM = 1.0 / 80.0


@dataclass(frozen=True, eq=False)
class DetectorError:
    """The detector's response to a head, its bias and its error covariance. The arrays are read-only.

    ``directions`` is an orthonormal basis of L displacement fields. All other arrays are in this basis. They
    describe the differences between detected landmarks and the canonical head in model space, in centimetres.

    Attributes
    ----------
    directions : (L, 468, 3) float64
        The directions in which detected landmarks vary. Each is even or odd under reflection.
    bias : (6, L) float64
        Systematic error of the landmarks detected in synthetic faces, one row for each of ``pose_terms``.
        The canonical head comes from photographs, so this includes the difference between synthetic faces
        and photographs.
    response : (L, 80) float64
        Change of the detected landmarks for an identity coefficient of 1.
    at_rest, acting : (L, L) float64
        Covariance of the errors, for faces without (at rest) and with (acting) an expression.
    lasting : (L, L) float64
        Covariance of the errors that are the same in all pictures of one person.
    """

    directions: NDArray[np.float64]
    bias: Matrix
    response: Matrix
    at_rest: Matrix
    acting: Matrix
    lasting: Matrix


@cache
def detector_error() -> DetectorError:
    """Return the measured errors. The first call reads the file."""
    return DetectorError(**stored_arrays("detector_error"))


def pose_terms(yaw_deg: NDArray[np.float64], pitch_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the terms (..., 6) of a polynomial in yaw and pitch: one for each row of the detector's bias."""
    yaw, pitch = yaw_deg / _YAW_UNIT_DEG, pitch_deg / _PITCH_UNIT_DEG
    return np.stack([np.ones_like(yaw), yaw, yaw**2, pitch, pitch * yaw, pitch**2], axis=-1)


@cache
def within_person_fields() -> NDArray[np.float64]:
    """Return the displacement fields (F, 468, 3), in cm, along which photographs of one person differ.

    Each field is one standard deviation. The differences along the fields are independent of each other.
    """
    canonical = canonical_data()
    found = []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        even = harmonic[list(MIRROR[:SURFACE_COUNT])] @ harmonic > 0
        for axis in range(3):
            field = np.zeros((SURFACE_COUNT, 3))
            # A reflection also negates x, so an even harmonic is an odd field along x.
            factors = _EVEN_WITHIN if even == (axis > 0) else _ODD_WITHIN
            field[:, axis] = harmonic * (factors[axis] * _WITHIN_CM * frequency**-_WITHIN_EXPONENT)
            found.append(field)
    return np.array(found)


def perspective_fields() -> NDArray[np.float64]:
    """Return the displacements (3, 468, 3), in cm, that the perspective of a near camera causes.

    A part of the face that is nearer to the camera by ``h`` appears larger by the fraction ``h / distance``.
    The three fields are for the x, y and z components of the direction to the camera. The fields of x and y
    are multiplied by 0.35, the sine of a typical yaw or pitch of 20 degrees.
    """
    vertices = canonical_mesh().vertices
    directions = np.diag([0.35, 0.35, 1.0])
    return np.array(
        [vertices * (vertices @ direction)[:, None] * _NEARNESS_PER_CM for direction in directions]
    )
