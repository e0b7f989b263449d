"""The skin of a person: on the face, the ears, the neck and other places near the face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.displacement import smoothstep
from emulator.face.landmarks import (
    FACE_OVAL,
    FOREHEAD,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_EYEBROW,
    LIPS_OUTER,
    RIGHT_CHEEK,
    RIGHT_EYE,
    RIGHT_EYEBROW,
)
from emulator.face.skin import skin_mask
from emulator.face.types import Image, Mask, Points3, check_image

# The part of the picture in which skin is searched: distances from the outline of the face to the left and
# right, up and down, in heights of the face. Over the distance of the fade, the mask falls to 0.
_ASIDE, _ABOVE, _BELOW, _FADE = 1.2, 0.5, 2.2, 0.4

# Height of the face in the reduced picture for which the mask is computed, in pixels.
_WORKING_HEIGHT = 160.0

# Width of the margin and of the soft edge around eyes, lips and eyebrows, in heights of the face.
_MARGIN, _SOFT = 0.015, 0.01

# Side of the input of the model that segments people, in pixels.
_MODEL_SIDE = 256

# Tolerances of luminance and chrominance, 0 to 1, within which a colour counts as the skin of this person.
# Necks are in the shadow of the head, so the tolerance of luminance is large. Ears are redder than faces.
_LEAST_TOLERANCE = (0.30, 0.035, 0.03)

# Limits of the model's mask: above the second number, a place belongs to a person. Below the first, it does
# not.
_PERSON = (0.45, 0.8)

# Minimum of the mask where the colour of the skin is taken, and inside a region of skin.
_SURE, _REGION = 0.8, 0.4

# Minimum difference of the red and the blue chrominance of skin, 0 to 1.
_LEAST_REDNESS = 0.015

# Radius in working pixels, and the variance of luminance, for the filter that aligns the mask with edges.
_EDGE_RADIUS, _EDGE_VARIANCE = 2, 0.01**2


@dataclass(frozen=True, eq=False)
class SkinPart:
    """The skin mask of one person.

    Attributes
    ----------
    rows, columns : slice
        The part of the picture around the face. Outside, the mask is 0.
    mask : (H, W) float32
        0 for no skin, 1 for skin.
    """

    rows: slice
    columns: slice
    mask: Mask


def person_skin(
    image: Image, landmarks: Points3, segment: Callable[[Image], Mask], *, features: bool
) -> SkinPart | None:
    """Return the skin of the person with the face at ``landmarks``, or None if it is outside the picture.

    The mask has the skin of the face, and places near it on a person with the colour of this skin.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        Pixels.
    segment : callable
        Returns the mask (H, W) of people in a picture, 0 to 1; see `FaceDetector.segment_person`.
    features : bool
        Whether places at the eyes, the lips and the eyebrows count as skin if they have its colour.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or landmarks are not (478, 3) and finite.
    """
    check_image(image)
    place = _surroundings(landmarks, image.shape[:2])
    if place is None:
        return None
    rows, columns = place
    local = landmarks - (columns.start, rows.start, 0.0)
    return SkinPart(rows, columns, _skin(image[rows, columns], local, segment, features=features))


def united(parts: Sequence[SkinPart | None], shape: tuple[int, ...]) -> Mask:
    """Return the mask (H, W) of the skin of several people in a picture of ``shape``."""
    mask = np.zeros(shape[:2], np.float32)
    for part in parts:
        if part is not None:
            target = mask[part.rows, part.columns]
            np.maximum(target, part.mask, out=target)
    return mask


def _surroundings(landmarks: Points3, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns of the part around a face, or None if it is outside the picture."""
    oval = landmarks[list(FACE_OVAL), :2]
    low, high = oval.min(axis=0), oval.max(axis=0)
    height = float(high[1] - low[1])
    left, right = max(int(low[0] - _ASIDE * height), 0), min(int(high[0] + _ASIDE * height) + 1, shape[1])
    top, bottom = max(int(low[1] - _ABOVE * height), 0), min(int(high[1] + _BELOW * height) + 1, shape[0])
    if right - left < 2 or bottom - top < 2:
        return None
    return slice(top, bottom), slice(left, right)


def _skin(part: Image, landmarks: Points3, segment: Callable[[Image], Mask], *, features: bool) -> Mask:
    """Return the skin mask (H, W) of the person with the face at ``landmarks`` in a part of the picture."""
    height, width = part.shape[:2]
    oval = landmarks[list(FACE_OVAL), :2]
    face_height = max(float(np.ptp(oval[:, 1])), 1.0)
    scale = min(1.0, _WORKING_HEIGHT / face_height)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    factors = np.array([size[0] / width, size[1] / height, scale])
    points = (landmarks + 0.5) * factors - 0.5
    covered = _cheeks_are_covered(small, points)
    # Without cheeks, `skin_mask` does not compare colours.
    face = skin_mask(small, points, np.zeros(len(points), np.bool_) if covered else None)
    samples = face > _SURE
    if covered:
        samples &= _filled(size, points, FOREHEAD)
    likely = _likelihood(small, samples)
    if covered:
        face *= likely
    likely *= _person(small, segment)
    likely *= _nearness(size, points, face_height * scale)
    if not features:
        likely *= _without_features(size, points)
    mask = np.maximum(face, likely * _connected(likely, face))
    return _aligned(mask, small, part)


def _cheeks_are_covered(small: Image, points: Points3) -> bool:
    """Return whether something covers the cheeks that does not have the colour of skin."""
    colors = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), np.float32) / np.float32(255.0)
    redness = []
    for place in (LEFT_CHEEK, RIGHT_CHEEK, FOREHEAD):
        shown = colors[_filled((small.shape[1], small.shape[0]), points, place)]
        redness.append(float(np.median(shown[:, 1] - shown[:, 2])) if len(shown) else 0.0)
    return max(redness[:2]) < _LEAST_REDNESS < redness[2] / 2


def _filled(size: tuple[int, int], points: Points3, ring: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask (H, W): True in the convex hull of landmarks."""
    plane = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(plane, cv2.convexHull(np.rint(points[list(ring), :2]).astype(np.int32)), (1,))
    return plane.astype(np.bool_)


def _likelihood(small: Image, places: NDArray[np.bool_]) -> Mask:
    """Return how similar each place (H, W) is to the colours at some ``places`` (H, W), 0 to 1."""
    colors = cv2.cvtColor(small.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2YCrCb)
    samples = np.asarray(colors, np.float32)[places]
    if len(samples) < 10:
        return np.zeros(places.shape, np.float32)
    middle = np.median(samples, axis=0)
    spread = 1.4826 * np.median(np.abs(samples - middle), axis=0)
    tolerance = np.maximum(3.0 * spread, _LEAST_TOLERANCE)
    distance = (((cv2.blur(colors, (3, 3)) - middle) / tolerance) ** 2).sum(axis=2)
    # 1 up to one tolerance, 0 from two tolerances on.
    likelihood: Mask = np.clip((4.0 - distance) / 3.0, 0.0, 1.0).astype(np.float32)
    return likelihood


def _person(small: Image, segment: Callable[[Image], Mask]) -> Mask:
    """Return the mask (H, W) of people, 0 to 1."""
    reduced = cv2.resize(small, (_MODEL_SIDE, _MODEL_SIDE), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(segment(np.asarray(reduced, np.uint8)), small.shape[1::-1])
    low, high = _PERSON
    return smoothstep((np.asarray(mask, np.float32) - np.float32(low)) / np.float32(high - low))


def _connected(likely: Mask, face: Mask) -> Mask:
    """Return 1 in the regions of skin that touch the face, such as the neck, and 0 elsewhere.

    Clothes and other people with the colour of the skin often do not touch it.
    """
    count, labels = cv2.connectedComponents((likely > _REGION).astype(np.uint8))
    touches = np.zeros(count, np.float32)
    touches[np.unique(labels[face > _REGION])] = 1.0
    touches[0] = 0.0
    # The soft edges of a region are part of it.
    return np.asarray(cv2.blur(cv2.dilate(touches[labels], np.ones((5, 5), np.uint8)), (3, 3)), np.float32)


def _without_features(size: tuple[int, int], points: Points3) -> Mask:
    """Return 0 at the eyes, the lips and the eyebrows, and 1 elsewhere."""
    features = np.ones(size[::-1], np.uint8)
    for ring in (LEFT_EYE, RIGHT_EYE, LIPS_OUTER, LEFT_EYEBROW, RIGHT_EYEBROW):
        features[_filled(size, points, ring)] = 0
    height = float(np.ptp(points[list(FACE_OVAL), 1]))
    away = cv2.distanceTransform(features, cv2.DIST_L2, cv2.DIST_MASK_5) / max(height, 1.0)
    return smoothstep((np.asarray(away, np.float32) - np.float32(_MARGIN)) / np.float32(_SOFT))


def _nearness(size: tuple[int, int], points: Points3, face_height: float) -> Mask:
    """Return 1 near the face, and less towards the edges of the part around it."""
    oval = points[list(FACE_OVAL), :2]
    low, high = oval.min(axis=0), oval.max(axis=0)
    x, y = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)
    across = _ASIDE - np.maximum(low[0] - x, x - high[0]) / face_height
    down = np.minimum(_ABOVE - (low[1] - y) / face_height, _BELOW - (y - high[1]) / face_height)
    near = np.minimum(across, down[:, None]) / _FADE
    return smoothstep(near.astype(np.float32))


def _aligned(mask: Mask, small: Image, part: Image) -> Mask:
    """Return ``mask`` (h, w), enlarged to the size of ``part``, with edges at the edges of the picture.

    This is the fast guided filter (He and Sun 2015, arXiv:1505.00996) with the luminance as the guide.
    """
    guide = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255.0)
    window = (2 * _EDGE_RADIUS + 1, 2 * _EDGE_RADIUS + 1)

    def mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(plane, window), np.float32)

    mean_guide, mean_mask = mean(guide), mean(mask)
    variance = np.maximum(mean(guide * guide) - mean_guide * mean_guide, 0.0)
    slope = (mean(guide * mask) - mean_guide * mean_mask) / (variance + np.float32(_EDGE_VARIANCE))
    offset = mean_mask - slope * mean_guide
    size = part.shape[1::-1]
    full = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255.0)
    aligned = cv2.resize(mean(slope), size) * full + cv2.resize(mean(offset), size)
    return np.clip(np.asarray(aligned, np.float32), 0.0, 1.0)
