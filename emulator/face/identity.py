"""Who somebody is, as 80 numbers: smooth deviations of the head from the canonical one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import CanonicalData, canonical_data
from emulator.face.landmarks import MIRROR
from emulator.face.mesh import Mesh
from emulator.face.types import Points3

IDENTITY_COUNT: Final = 80

# Heads differ by about ``_AMPLITUDE_CM * frequency ** -_EXPONENT`` along a harmonic, times a factor
# for the axis (x, y, z) and for whether both sides of the face do the same. The sum is 2.4
# millimetres a vertex, what anthropometry says of adults brought to one size; how it is spread was
# chosen by trying on photographs and drawn faces: little where a detector sees little (depth), or
# where what it sees is the pose (asymmetry).
_AMPLITUDE_CM = 0.17
_EXPONENT = 1.0
_EVEN_FACTORS = (0.7, 0.9, 0.6)
_ODD_FACTORS = (0.22, 0.22, 0.18)

# A harmonic along an axis of which less than this is left, once moving, turning and scaling the
# head and the earlier modes are taken out, says nothing of its own.
_INDEPENDENT = 0.5


@dataclass(frozen=True, eq=False)
class IdentityModes:
    """The directions in which heads differ. The arrays are read-only.

    Attributes
    ----------
    modes : (80, 468, 3) float64
        Orthonormal fields of displacement, from the coarsest to the finest; each is its own
        mirror image or the negative of it. None moves, turns or scales the head (to first order).
    deviations_cm : (80,) float64
        How far a mode is gone along for a coefficient of 1.
    parities : (80,) float64
        1 where the mirror image has the same coefficient, -1 where it has the negative.
    """

    modes: NDArray[np.float64]
    deviations_cm: NDArray[np.float64]
    parities: NDArray[np.float64]


@cache
def identity_modes() -> IdentityModes:
    """Return the modes, computed from the canonical mesh's stored harmonics at the first call.

    Each is a manifold harmonic (B. Vallet and B. Levy 2008, doi:10.1111/j.1467-8659.2008.01122.x)
    times an axis. The deviations follow a power law in the harmonic's frequency, and those that
    deviate most are taken.
    """
    canonical = canonical_data()
    vertices = canonical.mesh.vertices
    taken = similarity_fields(vertices)
    modes, deviations, parities = [], [], []
    for deviation, parity, field in _candidates(canonical):
        rest = field
        # Twice is enough: W. Kahan's rule for Gram-Schmidt.
        for _ in range(2):
            rest = rest - np.tensordot(np.tensordot(taken, rest, axes=2), taken, axes=1)
        length = np.linalg.norm(rest)
        if length < _INDEPENDENT:
            continue
        mode = rest / length
        mode = (mode + parity * mirrored_field(mode)) / 2
        taken = np.concatenate([taken, mode[None]])
        modes.append(mode)
        deviations.append(deviation)
        parities.append(parity)
        if len(modes) == IDENTITY_COUNT:
            break
    found = IdentityModes(np.array(modes), np.array(deviations), np.array(parities))
    for array in (found.modes, found.deviations_cm, found.parities):
        array.flags.writeable = False
    return found


def mesh(identity_coefficients: NDArray[np.float64]) -> Mesh:
    """Return the head (468 vertices, landmark order) that has ``identity_coefficients`` (80,).

    Zeros give the canonical mesh to the bit; 1 is one standard deviation.

    Raises
    ------
    ValueError
        If the coefficients are not (80,) and finite.
    """
    if identity_coefficients.shape != (IDENTITY_COUNT,) or not np.isfinite(identity_coefficients).all():
        raise ValueError(f"identity_coefficients must be ({IDENTITY_COUNT},) and finite")
    basis = identity_modes()
    canonical = canonical_data().mesh
    offset = np.tensordot(identity_coefficients * basis.deviations_cm, basis.modes, axes=1)
    return canonical.with_vertices(canonical.vertices + offset)


def coefficients(vertices: Points3) -> NDArray[np.float64]:
    """Return the coefficients (80,) whose head comes closest to ``vertices`` (468, 3).

    The inverse of ``mesh`` for heads that the modes can express. ``vertices`` must stand in model
    space like the canonical head; ``emulator.face.fit`` finds coefficients from any position.

    Raises
    ------
    ValueError
        If the shape is another one.
    """
    canonical = canonical_data().mesh
    if vertices.shape != canonical.vertices.shape:
        raise ValueError(f"vertices must be {canonical.vertices.shape}, not {vertices.shape}")
    basis = identity_modes()
    found: NDArray[np.float64] = np.tensordot(basis.modes, vertices - canonical.vertices, axes=2)
    return found / basis.deviations_cm


def mirrored(identity_coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (80,) of the same head's mirror image."""
    flipped: NDArray[np.float64] = identity_coefficients * identity_modes().parities
    return flipped


def _candidates(canonical: CanonicalData) -> list[tuple[float, float, Points3]]:
    """Return each harmonic with each axis: how far heads deviate (cm), parity and field; widest first."""
    found = []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        for axis in range(3):
            field = np.zeros_like(canonical.mesh.vertices)
            field[:, axis] = harmonic
            parity = 1.0 if np.array_equal(mirrored_field(field), field) else -1.0
            factor = (_EVEN_FACTORS if parity > 0 else _ODD_FACTORS)[axis]
            found.append((factor * _AMPLITUDE_CM * float(frequency) ** -_EXPONENT, parity, field))
    # Sorting is stable: of equal ones the coarser harmonic first.
    return sorted(found, key=lambda candidate: -candidate[0])


def similarity_fields(vertices: Points3) -> NDArray[np.float64]:
    """Return 7 orthonormal fields (7, V, 3): moving, turning and scaling all vertices a little."""
    centred = vertices - vertices.mean(axis=0)
    axes = np.eye(3)
    fields = [np.broadcast_to(axis, vertices.shape) for axis in axes]
    fields += [np.cross(axis, centred) for axis in axes]
    fields.append(centred)
    stacked = np.array([field.reshape(-1) for field in fields]).T
    return np.linalg.qr(stacked)[0].T.reshape(len(fields), *vertices.shape)


def mirrored_field(field: Points3) -> Points3:
    """Return a field of displacements (468, 3) as the mirror shows it."""
    image: Points3 = field[list(MIRROR[: len(field)])] * (-1.0, 1.0, 1.0)
    return image
