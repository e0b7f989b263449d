"""The head mesh that clients receive: a face, extended to the hairline and the ears, and smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import sparse

from emulator.face.canonical import canonical_data
from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_CHEEK,
    LEFT_EYEBROW_UPPER,
    LEFT_TEMPLE,
    LIPS_OUTER,
    NOSTRILS,
    RIGHT_CHEEK,
    RIGHT_EYEBROW_UPPER,
    RIGHT_TEMPLE,
    SURFACE_COUNT,
)
from emulator.face.mesh import Mesh
from emulator.face.subdivision import loop_subdivision, midpoint_subdivision, passing_through
from emulator.face.texture import SkinPlaces
from emulator.face.types import Points2, Points3, Triangles, check_points
from emulator.face.unfolding import opening_vertices

# Distance from the midline at which the outer cheek begins: 1 cm outside the outer corners of the eyes.
_OUTER_CHEEK_CM = 5.4

# No brow hair grows higher than this above the highest landmark of the brows.
_ABOVE_BROWS_CM = 0.2


@dataclass(frozen=True, eq=False)
class _Topology:
    """The data of the head that does not depend on the person."""

    resting: Points3
    """(108, 3). The vertices that continue the canonical head beyond the outline of the face."""

    follow: sparse.csr_array
    """(108, 468). Maps the deviation of a face from the canonical head to the deviation of the vertices
    around the face."""

    subdivision: sparse.csr_array
    """(2265, 576). Loop's subdivision."""

    curved: sparse.csr_array
    """(2265, 576). Loop's subdivision, with empty rows at lips, lids and nostrils."""

    flat: sparse.csr_array
    """(2265, 576). Linear subdivision at lips, lids and nostrils, with empty rows elsewhere."""

    triangles: Triangles
    uv: Points2


def head_mesh(vertices: Points3) -> Mesh:
    """Return the head mesh (2265 vertices, 4456 triangles) of a face with ``vertices`` (468, 3).

    The first 468 vertices are the landmarks, accurate to a micrometre. The next 108 extend the face over the
    forehead to the hairline, to the ears and below the jaw. They follow the outline of the face. The
    remaining vertices are on a Loop subdivision surface through the first 576. At lips, lids and nostrils,
    they are midpoints of edges instead, because a smooth surface through closed lips would intersect itself.
    Eyes and mouth are closed. The texture layout has no seams, and no flipped or overlapping triangles.

    If the triangles of ``vertices`` do not intersect, as after ``unfolded``, the triangles of the head do not
    intersect either.

    If ``vertices`` are the landmarks of one view (``HeadFit.landmarks_cm``), the head has the shape and the
    expression in this view.

    Raises
    ------
    ValueError
        If the shape is wrong, or a coordinate is not finite.
    """
    check_points(vertices, 3, "vertices")
    if len(vertices) != SURFACE_COUNT:
        raise ValueError(f"vertices must be ({SURFACE_COUNT}, 3), not {vertices.shape}")
    topology = _topology()
    deviation = vertices - canonical_data().mesh.vertices
    extended = np.concatenate([vertices, topology.resting + topology.follow @ deviation])
    control = passing_through(extended, topology.subdivision)
    smooth = topology.curved @ control + topology.flat @ extended
    return Mesh(smooth, topology.triangles, topology.uv, topology.triangles)


@cache
def skin_places() -> SkinPlaces:
    """Return the parts of the head mesh that are skin.

    The cheeks are the reference for the colour of the skin. The forehead, the temples, the outer cheeks and
    the vertices beyond the outline of the face are bare: no hair grows there. The other parts, such as the
    chin, are not bare, because brows or a beard may grow there. The nostrils are the lower side of the nose.
    """
    topology = _topology()
    canonical = canonical_data()
    count = len(canonical.extended_uv)
    reference, bare, nostrils = np.zeros(count), np.zeros(count), np.zeros(count)
    nostrils[list(NOSTRILS)] = 1.0
    reference[list(LEFT_CHEEK + RIGHT_CHEEK)] = 1.0
    bare[SURFACE_COUNT:] = 1.0
    height = canonical.mesh.vertices[:, 1]
    brows = list(LEFT_EYEBROW_UPPER + RIGHT_EYEBROW_UPPER)
    bare[:SURFACE_COUNT][height > height[brows].max() + _ABOVE_BROWS_CM] = 1.0
    oval = np.array(FACE_OVAL)
    bare[oval[height[oval] > height[list(LIPS_OUTER)].max()]] = 1.0
    bare[list(LEFT_TEMPLE[:3] + RIGHT_TEMPLE[:3])] = 1.0
    # Loose hair hangs over the outer cheeks, between the brows and the mouth.
    aside = np.abs(canonical.mesh.vertices[:, 0])
    outer = (aside > _OUTER_CHEEK_CM) & (height < height[brows].min())
    bare[:SURFACE_COUNT][outer & (height > height[list(LIPS_OUTER)].min())] = 1.0
    places = [np.clip(topology.subdivision @ values, 0.0, 1.0) for values in (reference, bare, nostrils)]
    for values in places:
        values.flags.writeable = False
    return SkinPlaces(*places)


@cache
def _topology() -> _Topology:
    canonical = canonical_data()
    control = np.concatenate([canonical.mesh.triangles, canonical.extension_triangles])
    count = len(canonical.extended_uv)
    subdivision, triangles = loop_subdivision(control, count)
    # The texture layout is subdivided linearly, because smoothing could flip a thin triangle.
    between, _ = midpoint_subdivision(control, count)
    uv = between @ canonical.extended_uv
    for array in (triangles, uv):
        array.flags.writeable = False
    # Around the lips, lids and nostrils, the surface passes from linear to smooth within one triangle.
    touching = np.zeros(count)
    touching[opening_vertices()] = 1.0
    flatness = between @ touching
    curved = sparse.csr_array(sparse.diags_array(1.0 - flatness) @ subdivision)
    flat = sparse.csr_array(sparse.diags_array(flatness) @ between)
    return _Topology(canonical.extension, _follow(), subdivision, curved, flat, triangles, uv)


def _follow() -> sparse.csr_array:
    """Return the matrix (108, 468) that moves the three rings around the face with the outline of the face.

    The farther a ring is from the face, the more smoothly it moves.
    """
    oval = np.array(FACE_OVAL)
    ring = np.arange(len(oval))
    mixed = np.eye(len(oval))
    rings = []
    for _ in range(len(canonical_data().extension) // len(oval)):
        for _ in range(2):
            mixed = (mixed[ring - 1] + 2 * mixed + mixed[(ring + 1) % len(ring)]) / 4
        rings.append(mixed)
    follow = np.zeros((len(oval) * len(rings), SURFACE_COUNT))
    follow[:, oval] = np.concatenate(rings)
    return sparse.csr_array(follow)
