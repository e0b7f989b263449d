"""Deviations (N, 1404) of heads from the canonical head: 468 landmarks times x, y, z, in cm."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.identity import mirrored_field, similarity_fields
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.types import Points3

Floats = NDArray[np.float64]


def unmoved(deviations: Floats) -> Floats:
    """Return deviations (..., 1404) without the effects of translation, rotation and scale."""
    similarity = similarity_fields(canonical_mesh().vertices).reshape(7, -1)
    rest: Floats = deviations - deviations @ similarity.T @ similarity
    return rest


def mirror_image(faces: Points3) -> Points3:
    """Return the mirror images of faces or displacements (..., 468, 3)."""
    image: Points3 = faces[..., list(MIRROR[:SURFACE_COUNT]), :] * (-1.0, 1.0, 1.0)
    return image


def mirror_images(deviations: Floats) -> Floats:
    """Return the mirror images of deviations (N, 1404)."""
    return mirror_image(deviations.reshape(-1, SURFACE_COUNT, 3)).reshape(len(deviations), -1)


def half(deviations: Floats, parity: float) -> Floats:
    """Return the part of deviations (N, 1404) that is even (``parity`` 1) or odd (-1) under reflection."""
    part: Floats = (deviations + parity * mirror_images(deviations)) / 2
    return part


def harmonic_fields() -> Iterator[tuple[int, float, float, Points3]]:
    """Yield three fields for each harmonic, along x, y and z: axis, parity, frequency, field (468, 3)."""
    canonical = canonical_data()
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        for axis in range(3):
            field = np.zeros((SURFACE_COUNT, 3))
            field[:, axis] = harmonic
            parity = 1.0 if np.array_equal(mirrored_field(field), field) else -1.0
            yield axis, parity, frequency, field
