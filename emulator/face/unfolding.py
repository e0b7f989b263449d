"""Separation of lips, lids and nostrils that intersect in a fitted head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import LEFT_EYE, LIPS_OUTER, NOSE_BASE, NOSTRILS, RIGHT_EYE, SURFACE_COUNT
from emulator.face.types import Points3, check_points

# Areas of a triangle seen from the front, as fractions of its area in the canonical mesh: the least area that
# the motion of the vertices is computed for, and the least area that is accepted. The second is smaller,
# because the computation is not exact. Smaller areas would move the vertices less, but leave thinner
# triangles.
_LEAST_AREA, _ACCEPTED_AREA = 0.1, 0.05

# Each round treats the areas as linear functions of the motion. They are not quite linear, so there can be
# further rounds. Heads from pictures rarely need more than two.
_ROUNDS = 10

_RINGS = (LIPS_OUTER, RIGHT_EYE, LEFT_EYE)


@dataclass(frozen=True, eq=False)
class _Opening:
    """The T triangles that close and surround the mouth, an eye or the nostrils. They have N vertices."""

    vertices: NDArray[np.int64]
    """(N,). Indices of vertices of the canonical mesh."""

    corners: NDArray[np.int64]
    """(T, 3). The triangles, as indices into ``vertices``."""

    areas: NDArray[np.float64]
    """(T,). The area of each triangle in the canonical mesh as seen from the front, doubled, in cm2."""


def unfolded(face: Points3) -> Points3:
    """Return the vertices (468, 3) of ``face``, with lips, lids and nostrils that do not intersect.

    Closed lips touch. So small errors of the landmarks push them through each other, and triangles at the
    mouth flip. This function moves the vertices of lips, lids and nostrils along x and y, as little as
    possible, until no triangle there is flipped as seen from the front. Then the surface has one depth for
    each x and y, so it does not intersect itself. The motion is the solution of a least distance problem (C.
    L. Lawson and R. J. Hanson, "Solving least squares problems", 1974, chapter 23).

    Some triangles stay flipped in faces that are far from any person's, because no small motion unfolds all
    of them. This was not seen in faces from pictures.

    Parameters
    ----------
    face : (468, 3) float64
        In model space, in centimetres.

    Raises
    ------
    ValueError
        If the shape is wrong, or a coordinate is not finite.
    """
    check_points(face, 3, "face")
    if len(face) != SURFACE_COUNT:
        raise ValueError(f"face must be ({SURFACE_COUNT}, 3), not {face.shape}")
    moved = face.copy()
    for opening in _openings():
        points = moved[opening.vertices, :2]
        for _ in range(_ROUNDS):
            areas, slopes = _areas(points, opening.corners)
            if (areas >= _ACCEPTED_AREA * opening.areas).all():
                break
            motion = _shortest_motion(slopes, _LEAST_AREA * opening.areas - areas)
            if not motion.any():
                break
            points = points + motion.reshape(-1, 2)
        moved[opening.vertices, :2] = points
    return moved


def _areas(
    points: NDArray[np.float64], corners: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the doubled areas (T,) of triangles in the plane, and their derivatives (T, 2 N).

    An area is negative if the corners are in clockwise order.
    """
    placed = points[corners]
    # The side opposite to each corner.
    sides = placed[:, [2, 0, 1]] - placed[:, [1, 2, 0]]
    areas = sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]
    slopes = np.zeros((len(corners), len(points), 2))
    rows = np.arange(len(corners))[:, None]
    slopes[rows, corners, 0] = -sides[:, :, 1]
    slopes[rows, corners, 1] = sides[:, :, 0]
    return areas, slopes.reshape(len(corners), -1)


def _shortest_motion(slopes: NDArray[np.float64], missing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shortest x with ``slopes @ x >= missing``, or zeros if no x satisfies this."""
    # Scale the rows, so that all have the same size in the least squares problem.
    size = np.linalg.norm(slopes, axis=1)
    size[size == 0.0] = 1.0
    system = np.vstack([(slopes / size[:, None]).T, missing / size])
    goal = np.zeros(len(system))
    goal[-1] = 1.0
    # Most heads do not need this import, which takes a quarter of a second.
    from scipy.optimize import nnls  # noqa: PLC0415 - see above

    factors, _ = nnls(system, goal)
    residual = system @ factors - goal
    if residual[-1] > -1e-9:
        return np.zeros(len(system) - 1)
    return np.asarray(-residual[:-1] / residual[-1])


def opening_vertices() -> NDArray[np.int64]:
    """Return the vertices of lips, lids and nostrils, and those inside these openings."""
    return np.concatenate(_regions())


@cache
def _regions() -> tuple[NDArray[np.int64], ...]:
    return (*(_enclosed(ring) for ring in _RINGS), np.unique(np.array(NOSTRILS + NOSE_BASE, np.int64)))


@cache
def _openings() -> tuple[_Opening, ...]:
    mesh = canonical_mesh()
    openings = []
    for region in _regions():
        chosen = mesh.triangles[np.isin(mesh.triangles, region).any(axis=1)]
        vertices, corners = np.unique(chosen, return_inverse=True)
        corners = corners.reshape(-1, 3)
        areas, _ = _areas(mesh.vertices[vertices, :2], corners)
        openings.append(_Opening(vertices.astype(np.int64), corners, areas))
    return tuple(openings)


def _enclosed(ring: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the vertices of the canonical mesh on ``ring`` and inside of it, as seen from the front."""
    points = canonical_mesh().vertices[:, :2].astype(np.float32)
    outline = points[list(ring)]
    inside = [cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=False) > 0 for x, y in points]
    return np.union1d(np.flatnonzero(inside), ring)
