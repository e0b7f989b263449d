"""The canonical mesh: a neutral head with one vertex per surface landmark, read from the package data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emulator.face.mesh import Mesh
from emulator.face.stored import stored_arrays
from emulator.face.types import Points2, Points3, Triangles


class Region(IntEnum):
    """The part of the face that a triangle of the canonical mesh covers."""

    SKIN = 0
    RIGHT_EYE = 1
    LEFT_EYE = 2
    MOUTH = 3


@dataclass(frozen=True, eq=False)
class CanonicalData:
    """The stored data of the canonical head. The arrays are read-only.

    Attributes
    ----------
    mesh : Mesh
    regions : (T,) uint8
        The Region of each triangle.
    mouth_opening : (468, 3) float64
        Displacement of the vertices in centimetres, when a smile opens the mouth by 1 cm.
    harmonics : (H, 468) float64
        Smooth functions on the mesh (eigenvectors of its graph Laplacian), from the coarsest to the
        finest. Each is even or odd under left-right reflection. The constant function is not included.
    frequencies : (H,) float64
        Eigenvalues of ``harmonics``.
    deviation_law : (2,) float64
        ``a`` and ``b``: the standard deviation of detected faces from the canonical face along a
        harmonic is about ``a * frequency ** -b`` centimetres.
    extension : (108, 3) float64
        Three rings of 36 vertices that continue the face beyond its outline, the innermost ring first, in
        centimetres. They reach to the hairline, to the ears and below the jaw.
    extension_triangles : (216, 3) int32
        Indices into the mesh's vertices followed by ``extension``.
    extended_uv : (576, 2) float64
        Texture coordinates of the mesh's vertices followed by those of ``extension``.
    """

    mesh: Mesh
    regions: NDArray[np.uint8]
    mouth_opening: Points3
    harmonics: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    deviation_law: NDArray[np.float64]
    extension: Points3
    extension_triangles: Triangles
    extended_uv: Points2


@cache
def canonical_data() -> CanonicalData:
    """Return the stored canonical head. The first call reads the file."""
    stored = stored_arrays("canonical_mesh")
    vertices, triangles, extended_uv = stored["vertices"], stored["triangles"], stored["uv"]
    return CanonicalData(
        Mesh(vertices, triangles, extended_uv[: len(vertices)], triangles),
        stored["regions"],
        stored["mouth_opening"],
        stored["harmonics"],
        stored["frequencies"],
        stored["deviation_law"],
        stored["extension"],
        stored["extension_triangles"],
        extended_uv,
    )


def canonical_mesh() -> Mesh:
    """Return the canonical mesh: 468 vertices in landmark order, 898 triangles, no texture seam.

    The head is neutral and looks straight at the camera. Its positions, texture layout and triangles
    are bit-exactly mirror-symmetric. Triangles close the eyes and the mouth. The only border is the
    face oval, the outline of the face. The arrays are shared and read-only.

    Positions are in centimetres. The origin is midway between the landmarks in front of the ears (234
    and 454). The line from the tip of the chin (landmark 152) to the top of the forehead (10) is
    vertical. The pupils are 6.3 cm apart.
    """
    return canonical_data().mesh


def region_triangles(region: Region) -> NDArray[np.bool_]:
    """Return a mask (T,) of the canonical mesh's triangles that cover ``region``."""
    covered: NDArray[np.bool_] = canonical_data().regions == region
    return covered
