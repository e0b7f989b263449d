"""Places where a face may be, and the upright crops in which the models look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from emulator.face.box import Box
from emulator.face.landmarks import FACE_OVAL, LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER
from emulator.face.resampling import Part, part_for
from emulator.face.types import Image, Matrix, Points3

CROP_SIDE: Final = 256
"""Side of a crop in pixels."""

CROP_BOXES: Final = 2.0
"""Side of a crop in widths of the place's box.

MediaPipe's face mesh model, which finds the landmarks, uses 192 x 192 pixels that are 1.5 boxes wide. So the
crop contains every pixel that the model needs.
"""

# Boxes with a larger intersection over union show the same face. Two people cheek to cheek overlap less.
_SAME_FACE_IOU: Final = 0.4

# A box shows only a part of a face if more than this fraction of its area is inside the box of the face.
_PART_OF_FACE: Final = 0.75


@dataclass(frozen=True)
class Place:
    """Where a face may be: a box, and the roll of the eye line.

    ``roll`` is in radians, positive clockwise as seen by the viewer.
    """

    box: Box
    roll: float


@dataclass(frozen=True)
class Candidate:
    """A place that a detector found, with the detector's score."""

    place: Place
    score: float


@dataclass(frozen=True)
class CropVariant:
    """How a crop differs from a face's plain crop: shift in box widths, scale, roll in radians, mirroring."""

    right: float
    down: float
    size: float
    roll: float
    mirrored: bool


PLAIN: Final = CropVariant(0.0, 0.0, 1.0, 0.0, mirrored=False)

CROP_VARIANTS: Final = (
    CropVariant(0.02, -0.01, 0.96, 0.03, mirrored=False),
    CropVariant(-0.02, -0.01, 0.96, -0.03, mirrored=True),
    CropVariant(-0.02, 0.01, 1.03, -0.03, mirrored=False),
    CropVariant(0.02, 0.01, 1.03, 0.03, mirrored=True),
)
"""The crops of a face over which its landmarks are averaged.

The landmarks differ slightly between crops of one face. Their mean is more stable than the landmarks of one
crop. There are no outliers, so the mean is also more stable than the median. The crops come in mirrored
pairs, so that mirroring the picture mirrors the mean.
"""

# How far `CROP_VARIANTS` extend beyond the plain crop, as a fraction of the plain crop's side. The variants
# are rotated by 0.03 rad, enlarged by up to 3 %, and moved by up to 0.02 boxes. A box is half as wide as a
# crop.
_VARIANTS_REACH: Final = 0.05


def around(landmarks: Points3) -> Place:
    """Return the place of landmarks (478, 3): a square box, and the roll of the eye line.

    The square has the size and position of a detector's box, because the mesh model expects such a box. A
    detector's box is slightly smaller than the extent of the landmarks, and its centre is lower, because the
    box contains less of the forehead.
    """
    across = landmarks[LEFT_EYE_OUTER_CORNER, :2] - landmarks[RIGHT_EYE_OUTER_CORNER, :2]
    roll = float(np.arctan2(across[1], across[0]))
    turn = turn_matrix(roll)
    upright = landmarks[:, :2] @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    extent = float((high - low).max())
    centre = turn @ ((low + high) / 2 + (0.0, 0.033 * extent))
    side = 0.91 * extent
    return Place(Box(float(centre[0]) - side / 2, float(centre[1]) - side / 2, side, side), roll)


def moved(place: Place, variant: CropVariant) -> Place:
    """Return the place moved, scaled and rolled by ``variant``."""
    box = place.box
    shift = turn_matrix(place.roll) @ np.array([variant.right, variant.down]) * box.width
    side = box.width * variant.size
    left = box.left + float(shift[0]) - (side - box.width) / 2
    top = box.top + float(shift[1]) - (side - box.width) / 2
    return Place(Box(left, top, side, side), place.roll + variant.roll)


def turned(place: Place, radians: float) -> Place:
    """Return the place with ``radians`` added to its roll. The new roll is normalised to -pi to pi."""
    roll = place.roll + radians
    return replace(place, roll=float(np.arctan2(np.sin(roll), np.cos(roll))))


def turn_matrix(roll: float) -> Matrix:
    """Return the matrix (2, 2) that turns pixels by ``roll`` radians, clockwise as seen by the viewer."""
    cosine, sine = np.cos(roll), np.sin(roll)
    return np.array([[cosine, -sine], [sine, cosine]])


def _to_image(place: Place) -> Matrix:
    """Return the matrix (2, 3) that maps (x, y, 1) in the upright crop of a place to the picture."""
    box = place.box
    side = max(box.width, box.height, 1.0) * CROP_BOXES
    centre = np.array([box.left + box.width / 2, box.top + box.height / 2])
    linear = turn_matrix(place.roll) * (side / CROP_SIDE)
    return np.column_stack([linear, centre - linear @ np.full(2, (CROP_SIDE - 1) / 2)])


def surroundings(image: Image, place: Place) -> Part:
    """Return the part of the picture that contains all crops of a place."""
    return part_for(image, _to_image(place), CROP_SIDE, CROP_SIDE, _VARIANTS_REACH)


def upright_crop(part: Part, place: Place) -> tuple[Image, Matrix]:
    """Return a square crop with the face at a place upright, and the map from the crop to the picture.

    Outside the picture, the crop repeats the picture's edge.

    Returns
    -------
    crop : (CROP_SIDE, CROP_SIDE, 3) uint8
    to_image : (2, 3) float64
        Maps (x, y, 1) in the crop to (x, y) in the picture.
    """
    to_image = _to_image(place)
    return part.sample(to_image, CROP_SIDE, CROP_SIDE, cv2.BORDER_REPLICATE), to_image


def in_image(normalised: Points3, to_image: Matrix) -> Points3:
    """Convert landmarks (478, 3) from fractions of a crop's side to pixels of the picture."""
    # In MediaPipe, integer coordinates are the edges of pixels. Here they are the centres.
    flat = normalised[:, :2] * CROP_SIDE - 0.5
    landmarks = np.empty_like(normalised)
    landmarks[:, :2] = flat @ to_image[:, :2].T + to_image[:, 2]
    landmarks[:, 2] = normalised[:, 2] * CROP_SIDE * float(np.hypot(to_image[0, 0], to_image[1, 0]))
    return landmarks


def box_around(landmarks: Points3) -> Box:
    """Return the bounding box of ``landmarks``."""
    left, top = landmarks[:, :2].min(axis=0)
    right, bottom = landmarks[:, :2].max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def without_duplicates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the best candidate of each face, the highest score first."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.score, one.place.box.left, one.place.box.top)):
        if not any(same_place(candidate.place.box, other.place.box) for other in kept):
            kept.append(candidate)
    return kept


def same_place(first: Box, second: Box) -> bool:
    """Whether two boxes overlap so much that they show the same face."""
    return overlap(first, second) > _SAME_FACE_IOU


def shows_part(box: Box, landmarks: Points3) -> bool:
    """Whether ``box`` shows a part of the larger face with ``landmarks`` (478, 3).

    In this case, most of the box is inside the box of the face, and its centre is inside the outline of the
    face. A small face in front of the chin or the cheek of a large face can also have its box inside the box
    of the large face, but the centre of the small box is outside the outline.
    """
    if _intersection(box, box_around(landmarks)) <= _PART_OF_FACE * box.width * box.height:
        return False
    centre = box.left + box.width / 2, box.top + box.height / 2
    outline = np.asarray(landmarks[list(FACE_OVAL), :2], np.float32)
    return cv2.pointPolygonTest(outline, centre, measureDist=False) > 0


def overlap(first: Box, second: Box) -> float:
    """Return the intersection over union (IoU) of two boxes."""
    shared = _intersection(first, second)
    return shared and shared / (first.width * first.height + second.width * second.height - shared)


def _intersection(first: Box, second: Box) -> float:
    """Return the area that two boxes share."""
    width = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
    height = min(first.top + first.height, second.top + second.height) - max(first.top, second.top)
    return max(width, 0.0) * max(height, 0.0)


def tiles(height: int, width: int, eighths: int) -> Sequence[tuple[int, int, int, int]]:
    """Return left, top, width and height of overlapping tiles that cover a picture.

    The sides of a tile are ``eighths`` eighths of the picture's sides. With 5 eighths, there are four tiles.
    Each face that is up to a quarter as wide and as high as the picture is completely in one of them. With 3
    eighths, there are nine tiles. Each face that is up to a sixteenth as wide and as high as the picture is
    completely in one of them.
    """
    across, down = -(-width * eighths // 8), -(-height * eighths // 8)
    steps = -(-(8 - eighths) // eighths)
    return [
        (column * (width - across) // steps, row * (height - down) // steps, across, down)
        for row in range(steps + 1)
        for column in range(steps + 1)
    ]
