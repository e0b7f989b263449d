"""Texture coordinates of the complete head, for the textures of ``head_mesh``, and the inside of its mouth.

Such a texture shows the face up to the hairline, the ears and the jaw. Outside of this outline, it continues
smoothly with the colours of the skin. So the skin of the skull, the ears and the neck gets coordinates at
the border of the texture, and needs no seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree
from trimesh.triangles import closest_point

from emulator.face.canonical import Region, canonical_data, region_triangles
from emulator.face.complete_head import complete_head, complete_head_data
from emulator.face.mesh import vertex_normals
from emulator.face.types import Points2, Points3, Triangles

# Skin this near to the face, with a similar direction, has the coordinates of the nearest point of the face.
_NEAR_CM, _SAME_DIRECTION = 0.5, 0.3

# Triangles at this many nearest vertices are tried in the search for the nearest point.
_NEIGHBOURS = 8

# How far the border is outside the outline of the face, and how near to the edge of the texture it may be.
_OUTSIDE, _EDGE = 0.01, 0.004

# Azimuths between which skin of the skull and the neck takes the colours of the forehead instead of those
# beside it, so that the two sides agree at the back. 0 is in front of the axis of the head, 180 behind it.
_BESIDE_DEG, _BEHIND_DEG = 100.0, 175.0

# The inside of the eye sockets takes the colour of the lids from this far away from the opening, because the
# texture shows eyes in the openings.
_ASIDE = 0.012

# The extension of the canonical mesh has this many rings. The last one is the outline.
_RINGS = 3

# A point in the back of the mouth.
_THROAT_CM = np.array([0.0, -6.0, -2.0])

# The axis of the head is as far behind the face as the ears.
_AXIS_Z_CM = -2.0


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The nearest points of a surface: distance (N,), triangle (N,) and texture coordinates (N, 2)."""

    distance: NDArray[np.float64]
    triangle: NDArray[np.int64]
    uv: Points2


@dataclass(frozen=True, eq=False)
class SkinLayout:
    """The layout of the skin of the complete head. It does not depend on the person. Read-only arrays.

    Attributes
    ----------
    uv : (4243, 2) float64
        Texture coordinates of the vertices, with the origin at the bottom left. Those of the mouth have no
        meaning.
    mouth : (8482,) bool
        Which triangles are the inside of the mouth.
    """

    uv: Points2
    mouth: NDArray[np.bool_]


@cache
def skin_layout() -> SkinLayout:
    """Return the layout. The first call takes 0.3 s."""
    data, canonical = complete_head_data(), canonical_data()
    triangles = data.mesh.triangles[data.part_triangles["skin"]]
    skin = complete_head(canonical.mesh.vertices).mesh.vertices[data.part_vertices["skin"]]
    face = np.concatenate([canonical.mesh.vertices, canonical.extension])
    surface = np.concatenate(
        [canonical.mesh.triangles[region_triangles(Region.SKIN)], canonical.extension_triangles]
    )
    nearest = _nearest(skin, face, surface, canonical.extended_uv)
    corners = face[surface]
    directions = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    facing = (vertex_normals(skin, triangles) * directions[nearest.triangle]).sum(axis=1)
    outline = np.arange(len(face) - len(canonical.extension) // _RINGS, len(face))
    at_end = cKDTree(canonical.extended_uv[outline]).query(nearest.uv)[0] < _OUTSIDE
    known = (nearest.distance < _NEAR_CM) & (facing > _SAME_DIRECTION) & ~at_end
    uv = nearest.uv.copy()
    unknown = _components(triangles, ~known)
    outside = unknown == np.bincount(unknown[~known]).argmax()
    uv[outside] = _border(skin[outside], face[outline], canonical.extended_uv[outline])
    pockets = ~known & ~outside
    uv[pockets] = _from_opening(skin, triangles, uv, known)[pockets]
    throat = int(np.argmin(np.linalg.norm(skin - _THROAT_CM, axis=1)))
    mouth: NDArray[np.bool_] = (unknown == unknown[throat])[triangles].any(axis=1)
    for array in (uv, mouth):
        array.flags.writeable = False
    return SkinLayout(uv, mouth)


def _nearest(points: Points3, vertices: Points3, triangles: Triangles, uv: Points2) -> _Nearest:
    """Return the points of a surface that are nearest to ``points`` (N, 3)."""
    rows = np.repeat(np.arange(len(triangles)), 3)
    around: list[list[int]] = [[] for _ in vertices]
    for row, vertex in zip(rows.tolist(), triangles.reshape(-1).tolist(), strict=True):
        around[vertex].append(row)
    used = np.unique(triangles)
    near = used[np.asarray(cKDTree(vertices[used]).query(points, k=_NEIGHBOURS)[1])]
    tried = [sorted({row for vertex in some for row in around[vertex]}) for some in near.tolist()]
    owner = np.repeat(np.arange(len(points)), [len(rows) for rows in tried])
    candidate = np.concatenate([np.array(rows) for rows in tried])
    corners = vertices[triangles[candidate]]
    found = np.asarray(closest_point(corners, points[owner]))
    distance = np.linalg.norm(found - points[owner], axis=1)
    order = np.lexsort((candidate, distance, owner))
    best = order[np.unique(owner[order], return_index=True)[1]]
    weights = _barycentric(corners[best], found[best])
    mixed: Points2 = (uv[triangles[candidate[best]]] * weights[:, :, None]).sum(axis=1)
    return _Nearest(distance[best], candidate[best], mixed)


def _barycentric(corners: NDArray[np.float64], points: Points3) -> Points3:
    """Return the weights (N, 3) of ``points`` (N, 3) that are in triangles with ``corners`` (N, 3, 3)."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    away = points - corners[:, 0]
    a, b, c = (one**2).sum(axis=1), (one * two).sum(axis=1), (two**2).sum(axis=1)
    d, e = (away * one).sum(axis=1), (away * two).sum(axis=1)
    area = a * c - b * b
    first, second = (c * d - b * e) / area, (a * e - b * d) / area
    weights: Points3 = np.clip(np.stack([1.0 - first - second, first, second], axis=1), 0.0, 1.0)
    return weights


def _edges(vertices: Points3, triangles: Triangles) -> sparse.csr_array:
    """Return the lengths (V, V) of the edges."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    return sparse.csr_array(sparse.coo_array((length, tuple(pairs.T)), shape=(len(vertices),) * 2))


def _components(triangles: Triangles, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number (V,) of the connected part that each of the ``chosen`` vertices belongs to.

    The others get -1.
    """
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = pairs[chosen[pairs].all(axis=1)]
    graph = sparse.coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(chosen),) * 2)
    _, labels = connected_components(sparse.csr_array(graph), directed=False)
    return np.where(chosen, labels, -1)


def _border(points: Points3, outline: Points3, outline_uv: Points2) -> Points2:
    """Return texture coordinates (N, 2) at the border for ``points`` (N, 3) outside of the outline."""
    middle, middle_uv = (outline.min(axis=0) + outline.max(axis=0)) / 2, outline_uv.mean(axis=0)

    def turn(away: Points3) -> NDArray[np.float64]:
        # 0 at the top, positive to the viewer's right.
        return np.arctan2(away[:, 0], away[:, 1])

    angle = turn(points - middle)
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _AXIS_Z_CM))
    behind = np.clip((azimuth - _BESIDE_DEG) / (_BEHIND_DEG - _BESIDE_DEG), 0.0, 1.0)
    angle *= 1.0 - behind * behind * (3.0 - 2.0 * behind)
    known = turn(outline - middle)
    order = known.argsort()
    away = outline_uv[order] - middle_uv
    around = np.concatenate([known[order] - 2 * np.pi, known[order], known[order] + 2 * np.pi])
    at = [np.interp(angle, around, np.tile(away[:, axis], 3)) for axis in range(2)]
    border = np.stack(at, axis=1)
    border *= 1.0 + _OUTSIDE / np.linalg.norm(border, axis=1, keepdims=True)
    placed: Points2 = np.clip(middle_uv + border, _EDGE, 1.0 - _EDGE)
    return placed


def _from_opening(skin: Points3, triangles: Triangles, uv: Points2, known: NDArray[np.bool_]) -> Points2:
    """Return texture coordinates (V, 2) from the nearest vertex that is ``known``, along the skin.

    At the eyes, they are moved away from the opening.
    """
    canonical = canonical_data()
    _, _, sources = dijkstra(
        _edges(skin, triangles),
        directed=False,
        indices=np.flatnonzero(known),
        return_predecessors=True,
        min_only=True,
    )
    found = uv[sources]
    for region in (Region.RIGHT_EYE, Region.LEFT_EYE):
        inside = np.unique(canonical.mesh.triangles[region_triangles(region)])
        ring = canonical.extended_uv[inside]
        near = cKDTree(ring).query(found)[0] < _ASIDE
        # Up or down, because the openings are wide.
        middle = np.interp(found[:, 0], *_middle_line(ring))
        found[:, 1] += np.where(near, np.where(found[:, 1] > middle, _ASIDE, -_ASIDE), 0.0)
    return found


def _middle_line(ring: Points2) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return u and v of the line through the corners of an opening."""
    ends = ring[[ring[:, 0].argmin(), ring[:, 0].argmax()]]
    return ends[:, 0], ends[:, 1]
