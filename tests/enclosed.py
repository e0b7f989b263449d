"""Points inside closed surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from emulator.face.types import Points3, Triangles


def enclosed(points: Points3, vertices: Points3, triangles: Triangles) -> NDArray[np.bool_]:
    """Return whether each point (N,) is inside a closed surface.

    A point is inside if a ray from it along x crosses the surface an odd number of times.
    """
    corners = vertices[triangles]
    flat = corners[:, :, 1:]
    middle = flat.mean(axis=1)
    radius = np.linalg.norm(flat - middle[:, None], axis=2).max(axis=1)
    near = cKDTree(points[:, 1:]).query_ball_point(middle, radius)
    triangle = np.repeat(np.arange(len(triangles)), [len(found) for found in near])
    point = np.concatenate([np.array(found, np.int64) for found in near])
    away = flat[triangle] - points[point, None, 1:]
    one, two = np.roll(away, -1, axis=1), np.roll(away, -2, axis=1)
    doubled = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
    area = doubled.sum(axis=1)
    inside = (area != 0.0) & ((doubled >= 0.0).all(axis=1) | (doubled <= 0.0).all(axis=1))
    triangle, point, weights = triangle[inside], point[inside], (doubled / area[:, None])[inside]
    crossed = (weights * corners[triangle, :, 0]).sum(axis=1) > points[point, 0]
    odd: NDArray[np.bool_] = np.bincount(point[crossed], minlength=len(points)) % 2 == 1
    return odd
