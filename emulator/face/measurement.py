"""Measurement of lengths and angles of a face."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulator.face.feature_curves import Feature, FeatureCurves, irises
from emulator.face.fit import HeadFit
from emulator.face.landmarks import CHIN_TIP, MIRROR
from emulator.face.proportions import Proportions
from emulator.face.types import Points2, Points3

# Landmarks of the right half of the outline.
_TEMPLE: Final = 21
_CHEEKS: Final = (127, 234, 93, 132)
_JAW_CORNER: Final = 172
_BELOW_EAR: Final = 93
_CHIN_SIDE: Final = 149

_WING: Final = 102
_NOSE_BASE: Final = 2
_LIP_MIDDLES: Final = (0, 13, 14, 17)
"""The edges of the lips in the middle, from top to bottom."""

# The angle at the inner corner is measured to points at this fraction of the lids, from the inner corner.
_NEAR_INNER_CORNER: Final = 0.12


def measure_proportions(landmarks: Points3, fit: HeadFit) -> Proportions:
    """Measure the face with ``landmarks`` (478, 3), in pixels. ``fit`` is the head fitted to them."""
    points = upright(landmarks, fit) / fit.camera.scale
    curves = FeatureCurves(points)
    right_iris, left_iris = (iris.centre for iris in irises(points))
    # Everything on the left is measured in the mirror image, by the same code.
    axis = float(points[_NOSE_BASE, 0])
    right = _Half(points, curves)
    flipped = points[np.array(MIRROR)] * (-1.0, 1.0) + (2.0 * axis, 0.0)
    left = _Half(flipped, FeatureCurves(flipped))
    halves = (right, left)

    def width(index: int) -> float:
        return float(abs(points[MIRROR[index], 0] - points[index, 0]))

    hairline = float(curves.at(Feature.RIGHT_HAIRLINE, (1.0,))[0, 1])
    brows = float(np.mean([half.brow_head[1] for half in halves]))
    base, chin = points[_NOSE_BASE], points[CHIN_TIP]
    lips = points[list(_LIP_MIDDLES), 1]
    return Proportions(
        forehead=brows - hairline,
        midface=float(base[1]) - brows,
        lower_face=float(chin[1] - base[1]),
        temple_width=width(_TEMPLE),
        cheek_width=max(map(width, _CHEEKS)),
        jaw_width=width(_JAW_CORNER),
        right_jaw_angle=right.jaw_angle,
        left_jaw_angle=left.jaw_angle,
        chin_width=width(_CHIN_SIDE),
        chin_height=float(chin[1] - lips[3]),
        chin_angle=_angle(chin, points[_CHIN_SIDE], points[MIRROR[_CHIN_SIDE]]),
        right_eye_width=right.eye_width,
        left_eye_width=left.eye_width,
        eye_height=float(np.mean([half.eye_height for half in halves])),
        right_eye_margin=right.eye_margin,
        left_eye_margin=left.eye_margin,
        inner_eye_distance=width(133),
        inner_eye_angle=float(np.mean([half.inner_eye_angle for half in halves])),
        pupils_angle=_angle(base, right_iris, left_iris),
        brow_width=float(np.mean([half.brow_width for half in halves])),
        brow_height=float(np.mean([half.brow_height for half in halves])),
        brow_thickness=float(np.mean([half.brow_thickness for half in halves])),
        brow_rise=float(np.mean([half.brow_rise for half in halves])),
        brow_slope=float(np.mean([half.brow_slope for half in halves])),
        nose_width=width(_WING),
        mouth_width=width(61),
        mouth_height=float(
            curves.polyline(Feature.LOWER_LIP_LOWER)[:, 1].max()
            - curves.polyline(Feature.UPPER_LIP_UPPER)[:, 1].min()
        ),
        lip_thickness=float(abs(lips[1] - lips[0]) + abs(lips[3] - lips[2])) / 2.0,
        mouth_corner_angle=float(np.mean([half.mouth_corner_angle for half in halves])),
    )


def upright(points: NDArray[np.float64], fit: HeadFit) -> Points2:
    """Return the first two coordinates of ``points``, turned around the origin so that the roll is 0."""
    roll = np.radians(fit.pose.roll)
    cosine, sine = np.cos(roll), np.sin(roll)
    turned: Points2 = points[:, :2] @ np.array([[cosine, -sine], [sine, cosine]])
    return turned


class _Half:
    """Measurements of the right half of a face, or of the left half in the mirror image.

    ``points`` are (478, 2): x right, y down.
    """

    def __init__(self, points: Points2, curves: FeatureCurves) -> None:
        upper = curves.polyline(Feature.RIGHT_EYEBROW_UPPER)
        lower = curves.polyline(Feature.RIGHT_EYEBROW_LOWER)
        tail, self.brow_head = upper[0], upper[-1]
        # The inner end can be as high as the arch if the head is tilted.
        arch = curves.at(Feature.RIGHT_EYEBROW_UPPER, np.linspace(0.0, 0.65, 14))
        peak = arch[int(arch[:, 1].argmin())]
        self.brow_width = float(abs(self.brow_head[0] - tail[0]))
        self.brow_height = float(lower[:, 1].max() - peak[1])
        middle = (0.35, 0.5, 0.65)
        gap = curves.at(Feature.RIGHT_EYEBROW_UPPER, middle) - curves.at(Feature.RIGHT_EYEBROW_LOWER, middle)
        self.brow_thickness = float(np.linalg.norm(gap, axis=1).mean())
        self.brow_rise = _rise(self.brow_head, peak)
        self.brow_slope = _rise(self.brow_head, tail)
        outer, inner = points[33], points[133]
        self.eye_width = float(abs(inner[0] - outer[0]))
        lids = [Feature.RIGHT_UPPER_LID, Feature.RIGHT_LOWER_LID]
        top, bottom = (curves.at(lid, (0.5,))[0] for lid in lids)
        self.eye_height = float(abs(bottom[1] - top[1]))
        above, below = (curves.at(lid, (1.0 - _NEAR_INNER_CORNER,))[0] for lid in lids)
        self.inner_eye_angle = _angle(inner, above, below)
        outline = np.concatenate(
            [curves.polyline(Feature.RIGHT_HAIRLINE)[::-1], curves.polyline(Feature.RIGHT_OUTLINE)]
        )
        beside = outline[int(np.abs(outline[:, 1] - outer[1]).argmin())]
        self.eye_margin = float(abs(outer[0] - beside[0]))
        self.jaw_angle = _angle(points[_JAW_CORNER], points[_BELOW_EAR], points[CHIN_TIP])
        corner, centre = points[61], points[list(_LIP_MIDDLES)].mean(axis=0)
        self.mouth_corner_angle = 90.0 - _rise(centre, corner)


def _rise(inner: NDArray[np.float64], outer: NDArray[np.float64]) -> float:
    """Return the angle of a line to the outside of the right half, in degrees; positive if it goes up."""
    along = outer - inner
    return float(np.degrees(np.arctan2(-along[1], abs(along[0]))))


def _angle(at: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the angle at a point between two others, 0 to 180 degrees."""
    (ax, ay), (bx, by) = one - at, other - at
    return float(np.degrees(np.arctan2(abs(ax * by - ay * bx), ax * bx + ay * by)))
