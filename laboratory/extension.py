"""The extension: rings of vertices that continue the face to the hairline, to the ears and below the jaw."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from emulator.face.landmarks import FACE_OVAL, MIRROR, SURFACE_COUNT
from emulator.face.types import Points3, Triangles
from laboratory.heads import symmetrised
from laboratory.triangulation import Corners

EXTENSION_RINGS = 3

# Widths of the extension over the forehead, beside the ears, and below the jaw.
_FOREHEAD_WIDTH_CM, _EAR_WIDTH_CM, _JAW_WIDTH_CM = 2.9, 2.0, 1.3


def extension(vertices: Points3, triangles: Triangles) -> Points3:
    """Return the vertices (rings * 36, 3) that continue the face beyond its oval, ring by ring.

    Each ring runs along the oval (``FACE_OVAL``). The surface continues the face tangentially and
    bends backwards: over the forehead to the hairline, to the ears, and below the jaw to the neck.
    """
    oval = list(FACE_OVAL)
    border = vertices[oval]
    neighbours: list[set[int]] = [set() for _ in oval]
    for triangle in triangles.tolist():
        for corner in set(triangle) & set(oval):
            neighbours[oval.index(corner)].update(set(triangle) - set(oval))
    outward = np.array(
        [
            border[row] - vertices[sorted(found)].mean(axis=0) if found else np.zeros(3)
            for row, found in enumerate(neighbours)
        ]
    )
    along = np.roll(border, -1, axis=0) - np.roll(border, 1, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outward -= (outward * along).sum(axis=1, keepdims=True) * along
    for _ in range(6):
        outward = (np.roll(outward, 1, axis=0) + 2 * outward + np.roll(outward, -1, axis=0)) / 4
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)

    # 1 at the forehead, 0 beside the ears, -1 at the chin.
    height = border[:, 1] / np.where(border[:, 1] > 0, border[:, 1].max(), -border[:, 1].min())
    up, down = np.clip(height, 0, 1), np.clip(-height, 0, 1)
    side = border[:, 0] / np.abs(border[:, 0]).max()
    # The underside of the jaw narrows and rises towards the neck.
    backward = np.stack(
        [
            -0.12 * np.sign(side) * side**2 * down - 0.05 * side,
            0.25 * up + 0.45 * down,
            -np.ones(len(border)),
        ],
        axis=1,
    )
    backward /= np.linalg.norm(backward, axis=1, keepdims=True)
    width = _EAR_WIDTH_CM + (_FOREHEAD_WIDTH_CM - _EAR_WIDTH_CM) * up**2
    width = width[:, None] + (_JAW_WIDTH_CM - _EAR_WIDTH_CM) * down[:, None]
    # A parabola that starts outward and ends backward.
    steps = np.arange(1, EXTENSION_RINGS + 1) / EXTENSION_RINGS
    rings = [border + width * ((s - s**2 / 2) * outward + s**2 / 2 * backward) for s in steps]
    return np.concatenate(rings)


def extension_triangles() -> list[Corners]:
    """Return the triangles of the rings around the face oval. Like the face, they are mirror-symmetric."""
    count = len(FACE_OVAL)
    starts = range(SURFACE_COUNT, SURFACE_COUNT + EXTENSION_RINGS * count, count)
    levels = [FACE_OVAL, *(range(start, start + count) for start in starts)]
    found: list[Corners] = []
    for inner, outer in pairwise(levels):
        for here in range(count):
            there = (here + 1) % count
            # The diagonals of the two sides are mirrored.
            if here < count // 2:
                found += [(inner[here], outer[there], outer[here]), (inner[here], inner[there], outer[there])]
            else:
                found += [(inner[here], inner[there], outer[here]), (inner[there], outer[there], outer[here])]
    return found


def head_mirror() -> list[int]:
    """Return the mirror image of each vertex of the extended mesh."""
    count = len(FACE_OVAL)
    rings = range(EXTENSION_RINGS)
    return [
        *MIRROR[:SURFACE_COUNT],
        *(SURFACE_COUNT + ring * count + (-place) % count for ring in rings for place in range(count)),
    ]


def symmetric_extension(vertices: Points3, triangles: Triangles) -> Points3:
    """Return the ``extension``, rounded and bit-exactly symmetric."""
    return symmetrised(
        extension(vertices, triangles), [image - SURFACE_COUNT for image in head_mirror()[SURFACE_COUNT:]]
    )
