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
    order = np.argsort(corners[:, :, 0].min(axis=1))
    # One array per axis, because most pairs are already apart along the second axis.
    low, high = corners[order].min(axis=1).T.copy(), corners[order].max(axis=1).T.copy()
    ends = np.searchsorted(low[0], high[0], side="right")
    counts = ends - np.arange(len(triangles)) - 1
    first = np.repeat(np.arange(len(triangles)), counts)
    second = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first + 1
    for axis in (1, 2):
        near = (low[axis][first] <= high[axis][second]) & (low[axis][second] <= high[axis][first])
        first, second = first[near], second[near]
    first, second = order[first], order[second]
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
    a, b, c = faces.transpose(1, 0, 2)
    before, after = _volume(a, b, c, start), _volume(a, b, c, end)
    passes: NDArray[np.bool_] = (np.minimum(np.abs(before), np.abs(after)) > _ROUNDING) & (before * after < 0)
    # Few segments reach the other side of the triangle's plane.
    start, end, a, b, c = (each[passes] for each in (start, end, a, b, c))
    around = np.stack([_volume(start, end, a, b), _volume(start, end, b, c), _volume(start, end, c, a)])
    passes[passes] = (around > _ROUNDING).all(axis=0) | (around < -_ROUNDING).all(axis=0)
    return passes


def _volume(a: Points3, b: Points3, c: Points3, d: Points3) -> NDArray[np.float64]:
    volume: NDArray[np.float64] = (np.cross(b - a, c - a) * (d - a)).sum(axis=1)
    return volume
