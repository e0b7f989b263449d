"""Triangles for the edges of MediaPipe's mesh, made mirror-symmetric, with the eyes and the mouth filled."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import Region
from emulator.face.landmarks import (
    FACE_OVAL,
    LOWER_LIP_INNER,
    MIRROR,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
)

Corners = tuple[int, int, int]


def surface_triangles(edges: NDArray[np.int32]) -> list[Corners]:
    """Return the triangles of the surface with the given ``edges`` (E, 2), with consistent winding.

    A cycle of three edges is a triangle of the surface if the cycle does not enclose other triangles. Every
    edge of an enclosing cycle is in three or more cycles. A triangle of the surface has an edge that is in at
    most two cycles.
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    for first, second in edges.tolist():
        neighbours[first].add(second)
        neighbours[second].add(first)
    cycles = sorted(
        {
            (first, second, third)
            for first, second in edges.tolist()
            for third in neighbours[first] & neighbours[second]
            if first < second < third
        }
    )
    uses = Counter(edge for cycle in cycles for edge in combinations(cycle, 2))
    return _wound([cycle for cycle in cycles if any(uses[edge] <= 2 for edge in combinations(cycle, 2))])


def _wound(triangles: Sequence[Corners]) -> list[Corners]:
    """Return ``triangles`` with consistent winding, counter-clockwise as seen from outside."""
    around: dict[frozenset[int], list[Corners]] = defaultdict(list)
    for triangle in triangles:
        for edge in combinations(triangle, 2):
            around[frozenset(edge)].append(triangle)
    # Seen from outside, these landmarks are counter-clockwise: the top of the forehead (10), its neighbour on
    # the left of the picture (109), and the point below (151).
    seed: Corners = (FACE_OVAL[0], FACE_OVAL[-1], 151)
    wound = {frozenset(seed): seed}
    queue = deque([seed])
    while queue:
        triangle = queue.popleft()
        for corner in range(3):
            first, second = triangle[corner], triangle[(corner + 1) % 3]
            for other in around[frozenset((first, second))]:
                if frozenset(other) not in wound:
                    (third,) = set(other) - {first, second}
                    wound[frozenset(other)] = (second, first, third)
                    queue.append((second, first, third))
    return list(wound.values())


def reflection(triangles: Sequence[Corners]) -> dict[int, int]:
    """Return the mirror image of each vertex, under the reflection that keeps landmark 10 in place.

    The search starts at the forehead's border and crosses every edge, on both sides at once.

    Raises
    ------
    ValueError
        If the triangles are not mirror-symmetric.
    """
    opposite = {
        (triangle[corner], triangle[(corner + 1) % 3]): triangle[(corner + 2) % 3]
        for triangle in triangles
        for corner in range(3)
    }
    top, left, right = FACE_OVAL[0], FACE_OVAL[1], FACE_OVAL[-1]
    images = {top: top, left: right, right: left}
    # The surface is on the left of the edge from 10 to 109, and on the right of the edge from 10 to 338.
    start = (top, right)
    queue = deque([start])
    seen = {start}
    while queue:
        first, second = queue.popleft()
        if (first, second) not in opposite:
            continue
        third, image = opposite[first, second], opposite.get((images[second], images[first]))
        if image is None or images.setdefault(third, image) != image:
            raise ValueError(f"the triangles are not symmetric at {first}, {second}, {third}")
        for edge in ((third, second), (first, third)):
            if edge not in seen:
                seen.add(edge)
                queue.append(edge)
    return images


def symmetric_triangles(triangles: Sequence[Corners]) -> list[Corners]:
    """Return ``triangles`` with mirrored diagonals on both sides.

    MediaPipe's mesh splits three quadrilaterals (at the eye and the nostril) differently on the two
    sides. The person's right side is used for both.
    """
    present = {frozenset(triangle) for triangle in triangles}
    kept, added = [], []
    for triangle in triangles:
        image = frozenset(MIRROR[corner] for corner in triangle)
        if image in present:
            kept.append(triangle)
        # The person's right side has the lower landmark numbers.
        elif sum(triangle) < sum(image):
            kept.append(triangle)
            added.append(_mirrored(triangle))
    return kept + added


def _mirrored(triangle: Corners) -> Corners:
    return MIRROR[triangle[0]], MIRROR[triangle[2]], MIRROR[triangle[1]]


def filling_triangles() -> tuple[list[Corners], list[Region]]:
    """Return triangles that close the eyes and the mouth, between the lids and between the lips."""
    right = _strip(RIGHT_UPPER_LID, RIGHT_LOWER_LID)
    left = [_mirrored(triangle) for triangle in right]
    # Mirror the right half of the mouth, so that the diagonals are also symmetric.
    middle = len(UPPER_LIP_INNER) // 2 + 1
    half = _strip(UPPER_LIP_INNER[:middle], LOWER_LIP_INNER[:middle])
    mouth = half + [_mirrored(triangle) for triangle in half]
    regions = [Region.RIGHT_EYE] * len(right) + [Region.LEFT_EYE] * len(left) + [Region.MOUTH] * len(mouth)
    return right + left + mouth, regions


def _strip(upper: Sequence[int], lower: Sequence[int]) -> list[Corners]:
    """Return counter-clockwise triangles between two lines that run to the viewer's right.

    Degenerate triangles at points that both lines share are left out.
    """
    strip: list[Corners] = []
    for index in range(len(upper) - 1):
        strip.append((upper[index], lower[index], lower[index + 1]))
        strip.append((upper[index], lower[index + 1], upper[index + 1]))
    return [triangle for triangle in strip if len(set(triangle)) == len(triangle)]
