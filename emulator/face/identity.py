"""The identity of a head: 80 coefficients of smooth deviations from the canonical head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data
from emulator.face.landmarks import MIRROR
from emulator.face.mesh import Mesh
from emulator.face.stored import stored_arrays
from emulator.face.types import Points3

IDENTITY_COUNT: Final = 80

# Standard deviations, over photographed people, of the first 16 coefficients that `emulator.face.fit`
# recovers. They were measured in 63 photographs of about 30 people, which are not in the repository. With so
# few people, about four tenths of the differences between the 16 values are chance, so the differences are
# reduced by this share. The finer modes keep their small variation, because it is mostly noise.
# `python -m benchmarks.accuracy --photos FOLDER` prints the standard deviations for other photographs, before
# and after this step.
_PHOTOGRAPHED: Final = (
    *(0.66, 0.59, 0.58, 0.63, 0.68, 0.60, 0.50, 0.80, 0.66, 0.69, 0.56, 0.61, 0.59, 0.65, 0.51, 0.69),
    *(0.62,) * (IDENTITY_COUNT - 16),
)


@dataclass(frozen=True, eq=False)
class IdentityModes:
    """The directions in which heads differ. The arrays are read-only.

    Attributes
    ----------
    modes : (80, 468, 3) float64
        Orthonormal, smooth displacement fields, sorted from the largest variation of heads to the smallest.
        Each is even or odd under left-right reflection. To first order, no mode moves, turns or scales the
        head.
    deviations_cm : (80,) float64
        Displacement along each mode for a coefficient of 1, in centimetres.
    parities : (80,) float64
        1 if the mirror image of a head has the same coefficient, -1 if the mirror image has the negated
        coefficient.
    """

    modes: NDArray[np.float64]
    deviations_cm: NDArray[np.float64]
    parities: NDArray[np.float64]


@cache
def identity_modes() -> IdentityModes:
    """Return the modes of the head model. The first call reads them from the package data.

    The first 16 are the directions that a landmark detector can observe. The others are manifold harmonics
    (B. Vallet and B. Levy 2008, doi:10.1111/j.1467-8659.2008.01122.x), orthogonal to the first 16.
    ``laboratory.observability`` chooses the modes.
    """
    stored = stored_arrays("identity_modes")
    # The file has single precision, so make the modes orthonormal in double precision.
    modes = orthonormal(stored["modes"], stored["parities"])
    modes.flags.writeable = False
    return IdentityModes(modes, stored["deviations_cm"], stored["parities"])


def mesh(identity_coefficients: NDArray[np.float64]) -> Mesh:
    """Return the head (468 vertices, landmark order) of ``identity_coefficients`` (80,).

    All zeros give the bit-identical canonical mesh. A coefficient of 1 is one standard deviation.

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


def standardized(identity_coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return recovered coefficients (80,) in standard deviations of photographed people.

    ``mesh`` needs the coefficients, not these numbers. The standard deviations of recovered coefficients are
    below 1, because photographed people vary less than the heads of the model, and because a fit recovers
    only a part of this variation. The coefficients are divided by these deviations, so the numbers are
    larger. The first 16 have a standard deviation of about 1 over photographed people, the others of about a
    half.
    """
    numbers: NDArray[np.float64] = identity_coefficients / np.array(_PHOTOGRAPHED)
    return numbers


def from_standardized(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (80,) of standardized ``numbers`` (80,). This is the inverse of `standardized`.

    Raises
    ------
    ValueError
        If there are not 80 numbers.
    """
    if numbers.shape != (IDENTITY_COUNT,):
        raise ValueError(f"numbers must be ({IDENTITY_COUNT},), not {numbers.shape}")
    found: NDArray[np.float64] = numbers * np.array(_PHOTOGRAPHED)
    return found


def coefficients(vertices: Points3) -> NDArray[np.float64]:
    """Return the coefficients (80,) of the head that is closest to ``vertices`` (468, 3).

    This is the inverse of ``mesh`` for heads that the modes can express. ``vertices`` must be in model space,
    aligned with the canonical head. ``emulator.face.fit`` works for any position of the head.

    Raises
    ------
    ValueError
        If ``vertices`` is not (468, 3).
    """
    canonical = canonical_data().mesh
    if vertices.shape != canonical.vertices.shape:
        raise ValueError(f"vertices must be {canonical.vertices.shape}, not {vertices.shape}")
    basis = identity_modes()
    found: NDArray[np.float64] = np.tensordot(basis.modes, vertices - canonical.vertices, axes=2)
    return found / basis.deviations_cm


def mirrored(identity_coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (80,) of the mirror image of a head."""
    flipped: NDArray[np.float64] = identity_coefficients * identity_modes().parities
    return flipped


def orthonormal(fields: NDArray[np.float64], parities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``fields`` (M, 468, 3) made orthonormal, one after the other.

    The results do not move, turn or scale the head. Under left-right reflection, each is exactly even if its
    parity is 1, and exactly odd if its parity is -1.
    """
    taken = similarity_fields(canonical_data().mesh.vertices)
    count = len(taken)
    for field, parity in zip(fields, parities, strict=True):
        rest = field
        # Two passes of Gram-Schmidt are enough (W. Kahan).
        for _ in range(2):
            rest = rest - np.tensordot(np.tensordot(taken, rest, axes=2), taken, axes=1)
        rest = rest / np.linalg.norm(rest)
        taken = np.concatenate([taken, ((rest + parity * mirrored_field(rest)) / 2)[None]])
    return taken[count:]


def similarity_fields(vertices: Points3) -> NDArray[np.float64]:
    """Return 7 orthonormal displacement fields (7, V, 3): translations, small rotations and a scaling."""
    centred = vertices - vertices.mean(axis=0)
    axes = np.eye(3)
    fields = [np.broadcast_to(axis, vertices.shape) for axis in axes]
    fields += [np.cross(axis, centred) for axis in axes]
    fields.append(centred)
    stacked = np.array([field.reshape(-1) for field in fields]).T
    return np.linalg.qr(stacked)[0].T.reshape(len(fields), *vertices.shape)


def mirrored_field(field: Points3) -> Points3:
    """Return the mirror image of a field of displacements (468, 3)."""
    image: Points3 = field[list(MIRROR[: len(field)])] * (-1.0, 1.0, 1.0)
    return image
