"""The canonical mesh: a neutral head with one vertex per surface landmark, read from the package data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emulator.face.mesh import Mesh
from emulator.face.types import Points2, Points3, Triangles

_Scalar = TypeVar("_Scalar", bound=np.generic)


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
    with (
        resources.files("emulator.face").joinpath("data/canonical_mesh.npz").open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        triangles = _read_only(stored["triangles"].astype(np.int32))
        extended_uv = _read_only(stored["uv"].astype(np.float64))
        mesh = Mesh(
            _read_only(stored["vertices"].astype(np.float64)),
            triangles,
            extended_uv[: len(stored["vertices"])],
            triangles,
        )
        return CanonicalData(
            mesh,
            _read_only(stored["regions"].astype(np.uint8)),
            _read_only(stored["mouth_opening"].astype(np.float64)),
            _read_only(stored["harmonics"].astype(np.float64)),
            _read_only(stored["frequencies"].astype(np.float64)),
            _read_only(stored["deviation_law"].astype(np.float64)),
            _read_only(stored["extension"].astype(np.float64)),
            _read_only(stored["extension_triangles"].astype(np.int32)),
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


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array
