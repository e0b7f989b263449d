"""How a landmark detector answers to heads, measured on drawn ones that are known.

``laboratory.observability`` measures it and writes ``emulator/face/data/detector_error.npz``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.types import Matrix

POSE_TERMS = 6
"""How many powers of the pose the errors are measured along."""

# Poses are measured in these, so that a face turned as photographs show it is about one unit away.
_YAW_UNIT_DEG, _PITCH_UNIT_DEG = 30.0, 15.0

# One person's photographs differ along each harmonic by about as much as faces seem to differ, more
# across the plane of symmetry. Measured on a few people's photographs: even and odd, along x, y, z.
_WITHIN_CM = 0.148
_WITHIN_EXPONENT = 0.685
_EVEN_WITHIN = (1.0, 0.75, 0.6)
_ODD_WITHIN = (1.0, 0.6, 0.6)

# One over the distance to the camera: photographs are taken from 80 cm, give or take; a camera
# that is farther away than infinitely far comes from detectors that overdo it.
_NEARNESS_PER_CM = 1.0 / 80.0


@dataclass(frozen=True, eq=False)
class DetectorError:
    """What detected landmarks say of a head, and how they err. The arrays are read-only.

    All but ``directions`` is told in the L numbers that a head's landmarks have along these; it
    stands for landmarks in model space, less the canonical head, in centimetres.

    Attributes
    ----------
    directions : (L, 468, 3) float64
        Orthonormal, each even or odd under the mirror image: where detected landmarks vary.
    bias : (6, L) float64
        How drawn faces are seen otherwise than photographed ones, by ``pose_terms``.
    response : (L, 80) float64
        What a coefficient of 1 does to the landmarks that are detected.
    at_rest, acting : (L, L) float64
        The errors' covariance about these, for faces at rest and for faces with an expression.
    lasting : (L, L) float64
        The share of it that every picture of one person has alike.
    """

    directions: NDArray[np.float64]
    bias: Matrix
    response: Matrix
    at_rest: Matrix
    acting: Matrix
    lasting: Matrix


@cache
def detector_error() -> DetectorError:
    """Return what was measured; the file is read at the first call."""
    with (
        resources.files("emulator.face").joinpath("data/detector_error.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        found = DetectorError(
            **{field.name: stored[field.name].astype(np.float64) for field in fields(DetectorError)}
        )
    for field in fields(DetectorError):
        getattr(found, field.name).flags.writeable = False
    return found


def pose_terms(yaw_deg: NDArray[np.float64], pitch_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the powers (..., 6) of yaw and pitch (...) along which errors are measured; the first is 1."""
    yaw, pitch = yaw_deg / _YAW_UNIT_DEG, pitch_deg / _PITCH_UNIT_DEG
    return np.stack([np.ones_like(yaw), yaw, yaw**2, pitch, pitch * yaw, pitch**2], axis=-1)


@cache
def within_person_fields() -> NDArray[np.float64]:
    """Return fields (F, 468, 3), cm: by how much one person's photographs seem to differ.

    One standard deviation each, independent of one another.
    """
    canonical = canonical_data()
    found = []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        even = harmonic[list(MIRROR[:SURFACE_COUNT])] @ harmonic > 0
        for axis in range(3):
            field = np.zeros((SURFACE_COUNT, 3))
            # Along x a mirror image also changes the sign.
            factors = _EVEN_WITHIN if even == (axis > 0) else _ODD_WITHIN
            field[:, axis] = harmonic * (factors[axis] * _WITHIN_CM * frequency**-_WITHIN_EXPONENT)
            found.append(field)
    return np.array(found)


def perspective_fields() -> NDArray[np.float64]:
    """Return fields (3, 468, 3), cm: what a near camera does to a face, seen from three sides.

    A point that is nearer to the camera by ``h`` appears larger by ``h / distance``. A head that is
    turned is near to the camera with its other side, by the sine of its angle: 20 degrees as a rule.
    """
    vertices = canonical_mesh().vertices
    directions = np.diag([0.35, 0.35, 1.0])
    return np.array(
        [vertices * (vertices @ direction)[:, None] * _NEARNESS_PER_CM for direction in directions]
    )
