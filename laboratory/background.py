"""Measurement of how far a reshape moves the background beside a head.

In an otherwise black picture, a line is drawn around the person, at a fixed distance from hair, ears and
face. This picture is warped like the picture of the person. Then the movement of the line is measured along
the normals of the outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.displacement import DisplacementField
from emulator.face.landmarks import FACE_OVAL
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.synthetic.render import render_backdrop
from emulator.face.types import Image, Points3
from emulator.face.warp import Share, warp_image

LINE_DISTANCE = 0.1
"""Distance of the line from the person, in u, the distance between the outer eye corners."""

# The search for the moved line goes up to this distance, in u. No parameter moves anything farther.
_SEARCH = 0.16

# If the distance between the reshaped person and the line is below this, in u, the person touches the line.
# The soft edge of hair has this width.
_TOUCHING = 0.02

# The width of the line, and the steps of the search, in pixels.
_LINE_WIDTH, _STEP = 3.0, 0.25

# A pixel of a synthetic face differs from the empty backdrop by more than this, in grey levels.
_DIFFERENCE = 12


@dataclass(frozen=True, eq=False)
class LineMotion:
    """The movement of a line around a person.

    Attributes
    ----------
    pixels : (N,) float64
        Movement of each measured point of the line along the normal of the person's outline, in pixels.
        Points that the reshaped person covers or touches are left out.
    covered : int
        The number of points that the reshaped person covers or touches.
    """

    pixels: NDArray[np.float64]
    covered: int


def drawn_person(spec: SyntheticFaceSpec) -> tuple[Image, NDArray[np.bool_]]:
    """Return the picture of a synthetic face, and the mask (H, W) of the person in it."""
    image = render_face(spec).image
    differs = np.abs(image.astype(np.int16) - render_backdrop(spec)).max(axis=2) > _DIFFERENCE
    closed = cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return image, np.asarray(closed, bool)


def line_motion(
    person: NDArray[np.bool_], landmarks: Points3, unit: float, field: DisplacementField, share: Share | None
) -> LineMotion:
    """Return how far ``field`` moves a line at `LINE_DISTANCE` from the person.

    Parameters
    ----------
    person : (H, W) bool
        The mask of the person. The face at ``landmarks`` is added to the mask.
    landmarks : (478, 3) float64
        Pixels.
    unit : float
        The distance between the outer eye corners, in pixels.
    field, share
        As for `warp_image`.
    """
    mask = person.astype(np.uint8)
    cv2.fillPoly(mask, [np.rint(landmarks[list(FACE_OVAL), :2]).astype(np.int32)], (1,))
    distance = np.asarray(cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
    away = np.abs(distance - np.float32(LINE_DISTANCE * unit))
    grey = np.clip(_LINE_WIDTH / 2 + 0.5 - away, 0.0, 1.0) * 255.0
    ink = np.repeat(np.rint(grey).astype(np.uint8)[:, :, None], 3, axis=2)

    moving = np.linalg.norm(field.dense(), axis=2) > 0
    rows, columns = np.nonzero((away < 0.5) & moving)
    smooth = np.asarray(cv2.GaussianBlur(distance, (0, 0), 3.0), np.float64)
    down, across = np.gradient(smooth)
    normals = np.stack([across[rows, columns], down[rows, columns]], axis=1)
    steepness = np.linalg.norm(normals, axis=1)
    # In a corner, the line has no single normal.
    clear = steepness > 0.9
    points = np.stack([columns, rows], axis=1)[clear].astype(np.float64)
    normals = normals[clear] / steepness[clear, None]
    steps = np.arange(-_SEARCH * unit, _SEARCH * unit, _STEP)
    places = points[:, None] + steps[:, None] * normals[:, None]

    before = _sampled(ink, places)
    # Leave out points where the search reaches another part of the line.
    single = (before * (np.abs(steps) > 2 * _LINE_WIDTH)).sum(axis=1) < 0.02 * before.sum(axis=1)
    places, points, before = places[single], points[single], before[single]
    after = _sampled(warp_image(ink, field, share), places)
    moved = np.abs(
        (after @ steps) / np.maximum(after.sum(axis=1), 1e-6) - (before @ steps) / before.sum(axis=1)
    )
    reshaped = warp_image(np.repeat(mask[:, :, None] * np.uint8(255), 3, axis=2), field)[:, :, 0]
    free = cv2.distanceTransform((reshaped < 128).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    at = np.rint(points).astype(int)
    covered = free[at[:, 1], at[:, 0]] < _TOUCHING * unit
    return LineMotion(moved[~covered], int(covered.sum()))


def _sampled(image: Image, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the first channel of ``image`` at ``places`` (N, M, 2), interpolated linearly."""
    if not places.size:  # OpenCV refuses an empty array
        return np.zeros(places.shape[:2])
    channel = np.ascontiguousarray(image[:, :, 0]).astype(np.float32)
    # OpenCV's arrays have at most 32767 rows.
    parts = []
    for part in np.array_split(places.astype(np.float32), len(places) // 8192 + 1):
        sampled = cv2.remap(channel, part, np.empty(0, np.float32), interpolation=cv2.INTER_LINEAR)
        parts.append(np.asarray(sampled, np.float64).reshape(len(part), -1))
    return np.concatenate(parts)
