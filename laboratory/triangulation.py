"""The triangulation: the triangles among MediaPipe's mesh edges, made mirror-symmetric, without holes."""

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
    """Return the triangles of the surface that ``edges`` (E, 2) draw, consistently wound.

    Every cycle of three edges is a triangle of the surface, except where one bounds a few others:
    then each of its edges lies in three cycles, and a surface has two at most.
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
    """Return ``triangles`` wound alike, the forehead's first one counter-clockwise."""
    around: dict[frozenset[int], list[Corners]] = defaultdict(list)
    for triangle in triangles:
        for edge in combinations(triangle, 2):
            around[frozenset(edge)].append(triangle)
    # Seen from outside, the middle of the forehead's border (10), its neighbour to the picture's
    # left (109) and the point below (151) go counter-clockwise.
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
    """Return the mirror image of each vertex: the reflection that keeps landmark 10 in place.

    It walks over the surface from the forehead's border to both sides at once, over every edge.

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
    # The edge from 10 to 109 has the surface on its left, the edge from 10 to 338 on its right.
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
    """Return ``triangles`` with the diagonals of a few quadrilaterals flipped to mirror the others.

    MediaPipe's mesh cuts three quadrilaterals (at the eye and the nostril) differently on the two
    sides. The person's right side is taken for both.
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
    """Return triangles that close the eyes and the mouth, each spanning both lids or lips."""
    right = _strip(RIGHT_UPPER_LID, RIGHT_LOWER_LID)
    left = [_mirrored(triangle) for triangle in right]
    # The mouth's right half and its mirror image, so that the diagonals are symmetric too.
    middle = len(UPPER_LIP_INNER) // 2 + 1
    half = _strip(UPPER_LIP_INNER[:middle], LOWER_LIP_INNER[:middle])
    mouth = half + [_mirrored(triangle) for triangle in half]
    regions = [Region.RIGHT_EYE] * len(right) + [Region.LEFT_EYE] * len(left) + [Region.MOUTH] * len(mouth)
    return right + left + mouth, regions


def _strip(upper: Sequence[int], lower: Sequence[int]) -> list[Corners]:
    """Return counter-clockwise triangles between two lines that run to the viewer's right.

    Points that both lines share need no triangle of their own.
    """
    strip: list[Corners] = []
    for index in range(len(upper) - 1):
        strip.append((upper[index], lower[index], lower[index + 1]))
        strip.append((upper[index], lower[index + 1], upper[index + 1]))
    return [triangle for triangle in strip if len(set(triangle)) == len(triangle)]
