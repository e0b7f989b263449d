"""Smooth curves along the features of a face: its outline, hairline, brows, lids, nose and lips.

Each curve is a centripetal Catmull-Rom spline, which passes through all its points without loops or cusps
(C. Yuksel, S. Schaefer and J. Keyser, "Parameterization and applications of Catmull-Rom curves", 2011,
doi:10.1016/j.cad.2010.08.008). Most of the points are landmarks. Left and right are from the person's point
of view. A curve of the left side has the mirrored landmarks of the curve of the right side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import (
    LEFT_EYE_OUTER_CORNER,
    LEFT_IRIS,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MIRROR,
    RIGHT_EYE_OUTER_CORNER,
    RIGHT_EYEBROW_LOWER,
    RIGHT_EYEBROW_UPPER,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)

STEPS: Final = 12
"""Number of chords between two points of a curve, from which its length is computed."""

_PLANE: Final = 2


class Feature(StrEnum):
    """A curve along a feature. The comments give its direction."""

    RIGHT_OUTLINE = "right_outline"  # from the ear, at the height of the eyes, to the chin
    LEFT_OUTLINE = "left_outline"
    RIGHT_HAIRLINE = "right_hairline"  # from the ear to the middle of the forehead; an estimate
    LEFT_HAIRLINE = "left_hairline"
    RIGHT_EYEBROW_UPPER = "right_eyebrow_upper"  # from the outer end to the inner end
    LEFT_EYEBROW_UPPER = "left_eyebrow_upper"
    RIGHT_EYEBROW_LOWER = "right_eyebrow_lower"  # from the outer end to the inner end
    LEFT_EYEBROW_LOWER = "left_eyebrow_lower"
    RIGHT_UPPER_LID = "right_upper_lid"  # from the outer corner to the inner corner
    LEFT_UPPER_LID = "left_upper_lid"
    RIGHT_LOWER_LID = "right_lower_lid"  # from the outer corner to the inner corner
    LEFT_LOWER_LID = "left_lower_lid"
    RIGHT_UPPER_CREASE = "right_upper_crease"  # around the upper lid, from outside to inside
    LEFT_UPPER_CREASE = "left_upper_crease"
    RIGHT_LOWER_CREASE = "right_lower_crease"  # around the lower lid, from outside to inside
    LEFT_LOWER_CREASE = "left_lower_crease"
    NOSE_MIDLINE = "nose_midline"  # from between the brows over the tip to just above the lip
    RIGHT_NOSE_SIDE = "right_nose_side"  # from the bridge down, around the wing, to below the tip
    LEFT_NOSE_SIDE = "left_nose_side"
    UPPER_LIP_UPPER = "upper_lip_upper"  # edges of the lips, from the right corner to the left one
    UPPER_LIP_LOWER = "upper_lip_lower"
    LOWER_LIP_UPPER = "lower_lip_upper"
    LOWER_LIP_LOWER = "lower_lip_lower"


@dataclass(frozen=True, eq=False)
class Iris:
    """An iris: its centre (2,) and its radius."""

    centre: NDArray[np.float64]
    radius: float


Knot = tuple[tuple[int, float], ...]
"""A point of a curve: landmarks with their weights, which add up to 1."""

# How far the hairline is above the top of the face oval, as a fraction of the distance between the landmarks
# 9 (between the brows) and 10 (the top of the oval). It falls to 0 at the temples. In three photographs, the
# hairline is at 0.6 to 0.8; people in synthetic pictures have a lower one.
_HAIRLINE: Final = {10: 0.65, 109: 0.62, 67: 0.53, 103: 0.36, 54: 0.18, 21: 0.06}

# Landmarks next to the lids of the right eye, in the order of RIGHT_UPPER_LID and RIGHT_LOWER_LID.
_AROUND_UPPER_LID: Final = (130, 247, 30, 29, 27, 28, 56, 190, 243)
_AROUND_LOWER_LID: Final = (130, 25, 110, 24, 23, 22, 26, 112, 243)

_RIGHT_OUTLINE: Final = (127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
_RIGHT_HAIRLINE: Final = (234, 127, 162, 21, 54, 103, 67, 109, 10)
_NOSE_MIDLINE: Final = (8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 164)
_RIGHT_NOSTRIL: Final = (79, 166, 75, 60, 20, 238)


# Landmarks at the height of each landmark of the right outline and hairline, from the outline inward. If the
# head turns to its right, they are further out in the picture than the outline.
_BESIDE: Final = {
    54: (104, 69),
    21: (71, 63, 52),
    162: (139, 156, 46),
    127: (34, 143, 35),
    234: (227, 123, 118),
    93: (137, 205),
    132: (177, 213, 207),
    58: (214, 212),
    172: (135, 210),
    136: (169, 211, 194),
    150: (170, 32, 208),
    149: (140, 171),
    176: (171,),
}

_OUTLINES: Final = (
    Feature.RIGHT_OUTLINE,
    Feature.LEFT_OUTLINE,
    Feature.RIGHT_HAIRLINE,
    Feature.LEFT_HAIRLINE,
)


@dataclass(frozen=True)
class _Path:
    """The points of a curve. ``before`` and ``after`` are points beyond its ends that give it direction."""

    knots: tuple[Knot, ...]
    before: Knot | None = None
    after: Knot | None = None

    def mirrored(self) -> _Path:
        return _Path(
            tuple(map(_mirror, self.knots)),
            None if self.before is None else _mirror(self.before),
            None if self.after is None else _mirror(self.after),
        )

    def closed_knots(self) -> tuple[Knot, ...]:
        """Return all points. If ``before`` or ``after`` is None, it is a neighbour, mirrored at the end."""
        first, last = self.knots[0], self.knots[-1]
        before = _combined(((first, 2.0), (self.knots[1], -1.0))) if self.before is None else self.before
        after = _combined(((last, 2.0), (self.knots[-2], -1.0))) if self.after is None else self.after
        return (before, *self.knots, after)


def _one(index: int) -> Knot:
    return ((index, 1.0),)


def _combined(parts: Sequence[tuple[Knot, float]]) -> Knot:
    return tuple((index, share * weight) for knot, share in parts for index, weight in knot)


def _between(one: int, other: int) -> Knot:
    return ((one, 0.5), (other, 0.5))


def _mirror(knot: Knot) -> Knot:
    return tuple((MIRROR[index], weight) for index, weight in knot)


def _through(indices: Sequence[int], before: int | None = None, after: int | None = None) -> _Path:
    return _Path(
        tuple(map(_one, indices)),
        None if before is None else _one(before),
        None if after is None else _one(after),
    )


def _hairline(index: int) -> Knot:
    lift = _HAIRLINE.get(index, 0.0)
    return ((index, 1.0), (10, lift), (9, -lift)) if lift else _one(index)


def _paths() -> dict[Feature, _Path]:
    ear = _between(162, 127)
    top = _hairline(109)
    outer, inner = _between(70, 46), _between(107, 55)
    upper, lower = RIGHT_EYEBROW_UPPER, RIGHT_EYEBROW_LOWER
    # The landmarks beside the nose differ in their distance to the camera. The chosen ones differ little
    # from one to the next, so that the curve stays smooth if the head turns.
    nose = (
        *(_one(193), _one(188), _between(174, 114), _one(217), _between(198, 126)),
        *map(_one, (209, 102, 98, 97, 141)),
    )
    upper_crease = tuple(map(_between, RIGHT_UPPER_LID, _AROUND_UPPER_LID))
    lower_crease = tuple(map(_between, RIGHT_LOWER_LID, _AROUND_LOWER_LID))
    right = {
        Feature.RIGHT_OUTLINE: _Path(
            (ear, *map(_one, _RIGHT_OUTLINE)), before=_one(162), after=_one(MIRROR[148])
        ),
        Feature.RIGHT_HAIRLINE: _Path(
            tuple(map(_hairline, _RIGHT_HAIRLINE)), before=_one(93), after=_mirror(top)
        ),
        Feature.RIGHT_EYEBROW_UPPER: _Path(
            (outer, *map(_one, upper), inner), before=_one(lower[0]), after=_one(lower[-1])
        ),
        Feature.RIGHT_EYEBROW_LOWER: _Path(
            (outer, *map(_one, lower), inner), before=_one(upper[0]), after=_one(upper[-1])
        ),
        Feature.RIGHT_UPPER_LID: _through(RIGHT_UPPER_LID),
        Feature.RIGHT_LOWER_LID: _through(RIGHT_LOWER_LID),
        Feature.RIGHT_UPPER_CREASE: _Path(upper_crease, before=lower_crease[1], after=lower_crease[-2]),
        Feature.RIGHT_LOWER_CREASE: _Path(lower_crease, before=upper_crease[1], after=upper_crease[-2]),
        Feature.RIGHT_NOSE_SIDE: _Path(nose, after=_one(94)),
    }
    left = {
        Feature(name.value.replace("right_", "left_", 1)): path.mirrored() for name, path in right.items()
    }
    corners = UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]
    middle = {
        Feature.NOSE_MIDLINE: _through(_NOSE_MIDLINE, before=9, after=0),
        Feature.UPPER_LIP_UPPER: _through(UPPER_LIP_OUTER),
        Feature.UPPER_LIP_LOWER: _through((corners[0], *UPPER_LIP_INNER, corners[1])),
        Feature.LOWER_LIP_UPPER: _through((corners[0], *LOWER_LIP_INNER, corners[1])),
        Feature.LOWER_LIP_LOWER: _through(LOWER_LIP_OUTER),
    }
    return right | left | middle


@dataclass(frozen=True, eq=False)
class _Layout:
    """The points of all curves.

    Attributes
    ----------
    weights : (K, 468) float64
        ``weights @ landmarks`` are the points of all curves, each with one more point at both ends.
    segments : (S, 4) int64
        For each piece of a curve: the point before it, its two ends, and the point after it.
    pieces : dict
        Rows of ``segments`` that belong to each curve.
    outline : (R,) int64
        The rows of ``weights`` that are on the outline or the hairline.
    beside : (R, M) int64
        Landmarks at the height of each of them. Landmarks may be repeated.
    outward : (R,) float64
        1 on the right side of the face, -1 on the left.
    """

    weights: NDArray[np.float64]
    segments: NDArray[np.int64]
    pieces: dict[Feature, slice]
    outline: NDArray[np.int64]
    beside: NDArray[np.int64]
    outward: NDArray[np.float64]


@cache
def _layout() -> _Layout:
    rows: list[Knot] = []
    segments: list[tuple[int, int, int, int]] = []
    pieces = {}
    outline: list[tuple[int, tuple[int, ...], float]] = []
    for feature, path in _paths().items():
        first, begin = len(rows), len(segments)
        rows.extend(path.closed_knots())
        if feature in _OUTLINES:
            outline.extend(_reaches(rows, first))
        segments.extend((at, at + 1, at + 2, at + 3) for at in range(first, len(rows) - 3))
        pieces[feature] = slice(begin, len(segments))
    weights = np.zeros((len(rows), SURFACE_COUNT))
    for row, knot in enumerate(rows):
        for index, weight in knot:
            weights[row, index] += weight
    most = max(len(beside) for _, beside, _ in outline)
    return _Layout(
        weights,
        np.array(segments),
        pieces,
        np.array([row for row, _, _ in outline]),
        np.array([beside + beside[:1] * (most - len(beside)) for _, beside, _ in outline]),
        np.array([outward for _, _, outward in outline]),
    )


def _reaches(rows: Sequence[Knot], first: int) -> Iterator[tuple[int, tuple[int, ...], float]]:
    """Yield each row of a curve that has landmarks beside it, these landmarks, and the side."""
    for row in range(first, len(rows)):
        for index, _ in rows[row]:
            if index in _BESIDE:
                yield row, _BESIDE[index], 1.0
                break
            if MIRROR[index] in _BESIDE:
                yield row, tuple(MIRROR[one] for one in _BESIDE[MIRROR[index]]), -1.0
                break


class FeatureCurves:
    """The curves along the features of one face.

    Positions on a curve are fractions of its length: 0 is its beginning and 1 is its end.

    Parameters
    ----------
    landmarks : (N, D) float64
        All 478 landmarks, or the 468 of the surface, in two or three dimensions. With two, points are at
        equal distances in the picture, and the outline of a turned head is its silhouette: on the hidden
        side, other landmarks are further out than those of the outline.

    Raises
    ------
    ValueError
        If there are fewer landmarks.
    """

    def __init__(self, landmarks: NDArray[np.float64]) -> None:
        if landmarks.ndim != 2 or len(landmarks) < SURFACE_COUNT:
            raise ValueError(f"landmarks must be ({SURFACE_COUNT} or more, D), not {landmarks.shape}")
        layout = _layout()
        self._pieces = layout.pieces
        knots = layout.weights @ landmarks[:SURFACE_COUNT]
        if landmarks.shape[1] == _PLANE:
            _move_to_silhouette(knots, landmarks, layout)
        self._dense = _catmull_rom(knots[layout.segments])

    def polyline(self, feature: Feature) -> NDArray[np.float64]:
        """Return close points (M, D) along a curve.

        Every ``STEPS``-th of them is one of the points that define the curve.
        """
        pieces = self._dense[self._pieces[feature]]
        return np.concatenate([pieces[:, :-1].reshape(-1, pieces.shape[2]), pieces[-1, -1:]])

    def at(self, feature: Feature, positions: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
        """Return the points (P, D) at ``positions``, which are fractions of the curve's length."""
        points = self.polyline(feature)
        run = np.concatenate([[0.0], np.cumsum(np.sqrt(((points[1:] - points[:-1]) ** 2).sum(axis=1)))])
        wanted = np.asarray(positions, np.float64) * run[-1]
        return np.stack([np.interp(wanted, run, column) for column in points.T], axis=1)

    def sample(self, feature: Feature, count: int) -> NDArray[np.float64]:
        """Return ``count`` points (count, D) at equal distances along a curve, with both ends."""
        return self.at(feature, np.linspace(0.0, 1.0, count))

    def ring(self, there: Feature, back: Feature, count: int, turn: int) -> NDArray[np.float64]:
        """Return ``count`` points (count, D) around a ring of two curves with the same ends.

        Point 0 is the beginning of ``there``, and point ``turn`` is its end. The points after it follow
        ``back`` in the opposite direction. The distances are equal on each of the two curves.
        """
        return np.concatenate(
            [
                self.sample(there, turn + 1),
                self.at(back, np.linspace(1.0, 0.0, count - turn + 1)[1:-1]),
            ]
        )


def irises(landmarks: NDArray[np.float64]) -> tuple[Iris, Iris]:
    """Return the right and the left iris, in the first two dimensions of ``landmarks`` (478, D).

    The radius is half of the longer diameter, because a turned head shortens one of them.
    """
    found = []
    for centre, *edge in (RIGHT_IRIS, LEFT_IRIS):
        across, down = (landmarks[edge[i], :2] - landmarks[edge[i + 2], :2] for i in (0, 1))
        radius = max(float(np.hypot(*across)), float(np.hypot(*down))) / 2.0
        found.append(Iris(landmarks[centre, :2], radius))
    return found[0], found[1]


def nostrils(landmarks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middle (D,) of the right and of the left nostril."""
    right = list(_RIGHT_NOSTRIL)
    left = [MIRROR[index] for index in right]
    return landmarks[right].mean(axis=0), landmarks[left].mean(axis=0)


def _move_to_silhouette(knots: NDArray[np.float64], landmarks: NDArray[np.float64], layout: _Layout) -> None:
    """Move each point of the outline outward until no landmark beside it is farther out.

    The points move parallel to the line between the eyes.
    """
    right = landmarks[RIGHT_EYE_OUTER_CORNER] - landmarks[LEFT_EYE_OUTER_CORNER]
    right = right / max(float(np.hypot(*right)), np.finfo(np.float64).tiny)
    reach = (layout.outward[:, None] * (landmarks @ right)[layout.beside]).max(axis=1)
    missing = np.maximum(reach - layout.outward * (knots[layout.outline] @ right), 0.0)
    knots[layout.outline] += (layout.outward * missing)[:, None] * right


def _catmull_rom(controls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points (S, STEPS + 1, D) of the pieces with the control points (S, 4, D).

    The formula is the pyramid of P. J. Barry and R. N. Goldman, 1988, doi:10.1145/54852.378511.
    """
    lengths = np.sqrt(np.sqrt(((controls[:, 1:] - controls[:, :-1]) ** 2).sum(axis=2)))
    # Two landmarks can be at the same place, for example if the mouth is closed.
    lengths = np.maximum(lengths, np.finfo(np.float64).tiny ** 0.25 + 1e-9 * lengths.max(initial=0.0))
    times = np.zeros((len(controls), 4))
    times[:, 1:] = np.cumsum(lengths, axis=1)
    share = np.linspace(0.0, 1.0, STEPS + 1)
    at = (times[:, 1:2] + share * lengths[:, 1:2])[:, :, None]

    def blended(
        low: NDArray[np.float64], high: NDArray[np.float64], first: int, last: int
    ) -> NDArray[np.float64]:
        begin, end = times[:, first, None, None], times[:, last, None, None]
        part = (at - begin) / (end - begin)
        return np.asarray(low + part * (high - low))

    points = [controls[:, index, None] for index in range(4)]
    first = [blended(points[i], points[i + 1], i, i + 1) for i in range(3)]
    second = [blended(first[i], first[i + 1], i, i + 2) for i in range(2)]
    return blended(second[0], second[1], 1, 2)
