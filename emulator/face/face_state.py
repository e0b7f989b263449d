"""The momentary state of a face: eyes, mouth, smile, gaze, and how well the picture shows it.

All values are measurements with thresholds. No model was trained for them.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

from emulator.face.appearance import EyeState, FaceState
from emulator.face.fit import HeadFit, fit_head
from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    RIGHT_CHEEK,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.types import Image, Points2, Points3, check_image

# The corners of the mouth, outer and inner.
_LEFT_CORNER, _RIGHT_CORNER = (291, 308), (61, 78)

# A smile has the strength 0.5 if the corners of the mouth move up and out by this sum, in cm. In neutral
# faces of the test pictures and of five portraits, the sum is up to 0.3, in smiling ones 0.85 or more.
_HALF_SMILE_CM, _SMILE_SLOPE_CM = 0.55, 0.08

# The gap between the lids, relative to the width of the eye. Closed eyes of drawn people have up to 0.16,
# open ones 0.2 or more.
_HALF_CLOSED, _LID_SLOPE = 0.175, 0.012

# The gap between the lips, relative to the width of the mouth. Closed mouths have up to 0.08.
_HALF_OPEN_MOUTH, _LIP_SLOPE = 0.11, 0.02

# The blur metric of a face that is reduced to this many pixels. Sharp portraits have 0.36 to 0.44. A Gaussian
# blur of 2 % of the width of the face gives 0.54 to 0.60, of 4 % 0.71 to 0.77.
_BLUR_SIDE: Final = 96
_LEAST_SIDE: Final = 16
_HALF_BLURRED, _BLUR_SLOPE = 0.62, 0.04

# A mouth is covered if the place around the lips differs from the forehead by `_MASK_COLOR` (a and b of
# CIELAB) or by `_MASK_LIGHTNESS`, and the lips differ from the place around them by less than `_NO_LIPS`. The
# difference in colour is 19 for the drawn medical mask, and up to 8 in faces without a mask.
_MASK_COLOR, _MASK_LIGHTNESS, _NO_LIPS = 12.0, 45.0, 6.0

# Luminance of dark lenses, relative to the cheeks.
_DARK_LENS = 0.45

_MIDDLE_OF_FOREHEAD = (151, 108, 69, 299, 337, 9)

# Largest turn of an eye: the iris is then at the corner.
_MOST_EYE_TURN_DEG = 45.0


def face_state(image: Image, landmarks: Points3) -> FaceState:
    """Measure the state of the face with ``landmarks`` in ``image``.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        In pixels.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or ``landmarks`` are not (478, 3) and finite.
    """
    check_image(image)
    fit = fit_head(landmarks)
    crop, points = _face_crop(image, landmarks[:, :2])
    lab = np.asarray(cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    return FaceState(
        pose=fit.pose,
        left_eye=_eye(landmarks, fit, LEFT_UPPER_LID, LEFT_LOWER_LID, LEFT_IRIS[0]),
        right_eye=_eye(landmarks, fit, RIGHT_UPPER_LID, RIGHT_LOWER_LID, RIGHT_IRIS[0]),
        mouth_opening=_step(_gap(landmarks, UPPER_LIP_INNER, LOWER_LIP_INNER), _HALF_OPEN_MOUTH, _LIP_SLOPE),
        smile=_smile(fit),
        blur=_step(_blur(crop), _HALF_BLURRED, _BLUR_SLOPE),
        covered_mouth=_is_mouth_covered(lab, points),
        dark_lenses=_has_dark_lenses(lab, points),
    )


def _step(value: float, middle: float, slope: float) -> float:
    """Return the value of a smooth step from 0 to 1, which is 0.5 at ``middle``."""
    return float(1.0 / (1.0 + np.exp(np.clip((middle - value) / slope, -50.0, 50.0))))


def _blur(crop: Image) -> float:
    """Return the blur metric of F. Crete et al. 2007, doi:10.1117/12.702790: 0 is sharp, 1 is blurred."""
    measure: Any = blur_effect  # scikit-image has no type hints
    return float(measure(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)))


def _smile(fit: HeadFit) -> float:
    moved = fit.landmarks_cm - fit.mesh.vertices
    left, right = moved[list(_LEFT_CORNER)].mean(axis=0), moved[list(_RIGHT_CORNER)].mean(axis=0)
    lift, widening = (left[1] + right[1]) / 2, (left[0] - right[0]) / 2
    return _step(float(lift + widening), _HALF_SMILE_CM, _SMILE_SLOPE_CM)


def _gap(landmarks: Points3, upper: tuple[int, ...], lower: tuple[int, ...]) -> float:
    """Return the mean distance of two edges in their middle third, relative to the distance of their ends.

    Distances are three-dimensional, because the features of a turned head look narrower.
    """
    width = float(np.linalg.norm(landmarks[upper[0]] - landmarks[upper[-1]]))
    middle = slice(3, -3)
    gaps = np.linalg.norm(landmarks[list(upper[middle])] - landmarks[list(lower[middle])], axis=1)
    return float(gaps.mean()) / max(width, 1e-6)


def _eye(
    landmarks: Points3, fit: HeadFit, upper: tuple[int, ...], lower: tuple[int, ...], iris: int
) -> EyeState:
    ends = landmarks[[upper[0], upper[-1]], :2]
    start, end = ends[np.argsort(ends[:, 0], kind="stable")]
    along = end - start
    width = max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]]) / width
    place = landmarks[iris, :2] - start
    middles = [landmarks[edge[len(edge) // 2], :2] - start for edge in (upper, lower)]
    top, bottom = (float(middle @ down) for middle in middles)
    x = float(np.clip(place @ along / width**2, 0.0, 1.0))
    height = max(bottom - top, 1e-6)
    y = float(np.clip((place @ down - top) / height, 0.0, 1.0))
    # The farther the iris is from the middle of the eye, the more the gaze deviates from the direction of the
    # head. The lids follow the eye up and down, so the height of the iris is measured from the line between
    # the corners.
    aside = np.radians(2 * (x - 0.5) * _MOST_EYE_TURN_DEG)
    below = np.radians(np.clip(2 * float(place @ down) / width, -1.0, 1.0) * _MOST_EYE_TURN_DEG)
    own = np.array([np.sin(aside) * np.cos(below), -np.sin(below), np.cos(aside) * np.cos(below)])
    turned = fit.camera.rotation @ own
    return EyeState(
        opening=_step(_gap(landmarks, upper, lower), _HALF_CLOSED, _LID_SLOPE),
        iris=(x, y),
        gaze=(float(turned[0]), float(-turned[1]), float(-turned[2])),
    )


def _face_crop(image: Image, points: Points2) -> tuple[Image, Points2]:
    """Return the face in ``_BLUR_SIDE`` pixels or less, and the landmarks in it.

    A face that is smaller is not enlarged.
    """
    height, width = image.shape[:2]
    oval = points[list(FACE_OVAL)]
    # The blur metric needs a few pixels.
    room = np.maximum(np.array([width, height]) - _LEAST_SIDE, 0)
    left, top = np.clip(np.floor(oval.min(axis=0)), 0, room).astype(int)
    right, bottom = np.maximum(np.ceil(oval.max(axis=0)).astype(int), (left + _LEAST_SIDE, top + _LEAST_SIDE))
    crop = image[top:bottom, left:right]
    factor = min(1.0, _BLUR_SIDE / max(crop.shape[:2]))
    size = tuple(max(_LEAST_SIDE, round(side * factor)) for side in crop.shape[1::-1])
    reduced = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.array(size) / np.array(crop.shape[1::-1])
    return reduced, (points - (left, top) + 0.5) * scale - 0.5


def _median_color(
    lab: NDArray[np.float32], polygon: Points2, hole: Points2 | None = None
) -> NDArray[np.float64]:
    """Return the median colour inside a polygon, but outside ``hole``. Both are made convex."""
    mask = np.zeros(lab.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(polygon).astype(np.int32)), (1,))
    if hole is not None:
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(hole).astype(np.int32)), (0,))
    inside = lab[mask.astype(bool)]
    if not len(inside):
        return np.array([50.0, 0.0, 0.0])
    return np.asarray(np.median(inside, axis=0), np.float64)


def _cheeks(lab: NDArray[np.float32], points: Points2) -> NDArray[np.float64]:
    """Return the median colour of the lighter cheek, near the eye."""
    upper = [index for cheek in (LEFT_CHEEK[:6], RIGHT_CHEEK[:6]) for index in cheek]
    half = len(upper) // 2
    colors = [_median_color(lab, points[part]) for part in (upper[:half], upper[half:])]
    return max(colors, key=lambda color: float(color[0]))


def _is_mouth_covered(lab: NDArray[np.float32], points: Points2) -> bool:
    """Return whether lips and the skin around them have the same colour, but the forehead has another."""
    ring = points[list(LIPS_OUTER)]
    around = ring.mean(axis=0) + 1.6 * (ring - ring.mean(axis=0))
    cover = _median_color(lab, around, ring)
    lips = np.concatenate([points[list(UPPER_LIP_OUTER)], points[list(LOWER_LIP_OUTER)]])
    middle = _median_color(lab, lips, points[list(LIPS_INNER)])
    beside = np.abs(cover - _median_color(lab, points[list(_MIDDLE_OF_FOREHEAD)]))
    differs = float(np.hypot(*beside[1:])) > _MASK_COLOR or float(beside[0]) > _MASK_LIGHTNESS
    return differs and float(np.linalg.norm(cover - middle)) < _NO_LIPS


def _has_dark_lenses(lab: NDArray[np.float32], points: Points2) -> bool:
    cheeks = float(_cheeks(lab, points)[0])
    lights = []
    for eye in (LEFT_EYE, RIGHT_EYE):
        ring = points[list(eye)]
        middle = ring.mean(axis=0)
        # Measure around the eye, without the eye itself, because lashes can be as dark as a lens.
        lights.append(float(_median_color(lab, middle + 1.9 * (ring - middle), ring)[0]))
    return max(lights) < _DARK_LENS * cheeks
