"""Self-intersections of triangle meshes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.face.types import Points3, Triangles

# A volume below this, in cubic centimetres, is rounding: triangles touch, but do not intersect.
_ROUNDING = 1e-11


def crossing_triangles(vertices: Points3, triangles: Triangles) -> NDArray[np.int64]:
    """Return the pairs (N, 2) of triangles that intersect.

    Two triangles intersect if an edge of one passes through the other. Triangles with a common edge are left
    out. If triangles have a common vertex, only the edges without it count.
    """
    corners = vertices[triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    order = np.argsort(low[:, 0])
    ends = np.searchsorted(low[order, 0], high[order, 0], side="right")
    counts = ends - np.arange(len(triangles)) - 1
    first = np.repeat(np.arange(len(triangles)), counts)
    second = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first + 1
    first, second = order[first], order[second]
    near = ((low[first] <= high[second]) & (low[second] <= high[first])).all(axis=1)
    first, second = first[near], second[near]
    shared = (triangles[first][:, :, None] == triangles[second][:, None, :]).sum(axis=(1, 2))
    first, second = first[shared < 2], second[shared < 2]
    crossing = np.zeros(len(first), np.bool_)
    for edges, faces in ((first, second), (second, first)):
        for start, end in ((0, 1), (1, 2), (2, 0)):
            one, other = triangles[edges, start], triangles[edges, end]
            apart = ~((triangles[faces] == one[:, None]) | (triangles[faces] == other[:, None])).any(axis=1)
            crossing |= apart & _passes(vertices[one], vertices[other], vertices[triangles[faces]])
    return np.stack([first[crossing], second[crossing]], axis=1)


def _passes(start: Points3, end: Points3, faces: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each segment from ``start`` to ``end`` (N, 3) passes through its triangle (N, 3, 3)."""
    a, b, c = faces[:, 0], faces[:, 1], faces[:, 2]
    before, after = _volume(a, b, c, start), _volume(a, b, c, end)
    around = np.stack([_volume(start, end, a, b), _volume(start, end, b, c), _volume(start, end, c, a)])
    inside = (around > _ROUNDING).all(axis=0) | (around < -_ROUNDING).all(axis=0)
    beyond = (np.minimum(np.abs(before), np.abs(after)) > _ROUNDING) & (before * after < 0)
    passes: NDArray[np.bool_] = inside & beyond
    return passes


def _volume(a: Points3, b: Points3, c: Points3, d: Points3) -> NDArray[np.float64]:
    volume: NDArray[np.float64] = (np.cross(b - a, c - a) * (d - a)).sum(axis=1)
    return volume
