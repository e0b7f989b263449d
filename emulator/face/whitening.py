"""Whitening of skin: the mask of a person's skin, and the brighter colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.displacement import smoothstep
from emulator.face.landmarks import FACE_OVAL
from emulator.face.skin import skin_mask
from emulator.face.types import Image, Mask, Points3, check_image

# The part of the picture in which the skin of a person is whitened: distances from the outline of the face to
# the left and right, up and down, in heights of the face. Over the distance of the fade, the mask falls to 0.
_ASIDE, _ABOVE, _BELOW, _FADE = 1.6, 0.5, 2.2, 0.4

# Height of the face in the reduced picture for which the mask is computed, in pixels.
_WORKING_HEIGHT = 160.0

# Side of the input of the model that segments people, in pixels.
_MODEL_SIDE = 256

# Tolerances of luminance and chrominance, 0 to 1, within which a colour counts as the skin of this person.
# Necks lie in the shadow of the head, so the tolerance of luminance is large.
_LEAST_TOLERANCE = (0.30, 0.030, 0.030)

# Limits of the model's mask: above the second number, a place belongs to a person. Below the first, it does
# not.
_PERSON = (0.45, 0.8)

# Radius in working pixels, and the variance of luminance, for the filter that aligns the mask with edges.
_EDGE_RADIUS, _EDGE_VARIANCE = 2, 0.01**2

# Base of the logarithm in the tone curve. It raises the middle of the range by 0.13 of the whole range.
_BASE = 3.0

# Rows that are changed at a time, to bound the memory for pictures of 4096 pixels.
_STRIP_ROWS = 256


def whiten(image: Image, strength: float, mask: Mask | None) -> Image:
    """Return ``image`` (H, W, 3) with brighter colours where ``mask`` (H, W) is above 0.

    At the ``strength`` 1 and where the mask is 1, each channel follows a logarithmic curve, which keeps black
    and white, and makes colours brighter and paler. ``strength`` 0 changes nothing. Without a mask, the whole
    picture is whitened.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`.
    """
    check_image(image)
    if strength == 0:
        return image.copy()
    values = np.arange(256, dtype=np.float64) / 255.0
    curve = np.log1p(values * (_BASE - 1.0)) / np.log(_BASE)
    rise = (255.0 * strength * (curve - values)).astype(np.float32)
    whitened = image.copy()
    for top in range(0, len(image), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        change = rise[image[rows]]
        if mask is not None:
            change *= mask[rows, :, None]
        whitened[rows] = np.rint(image[rows] + change).astype(np.uint8)
    return whitened


def person_skin(image: Image, faces: Sequence[Points3], segment: Callable[[Image], Mask]) -> Mask:
    """Return the mask (H, W) of the skin of the people with these faces: 0 for no skin, 1 for skin.

    The mask has the skin of each face, and places near it on a person with the colour of this skin, such as
    the neck.

    Parameters
    ----------
    image : (H, W, 3) uint8
    faces : sequence of (478, 3) float64
        Landmarks of the faces, in pixels.
    segment : callable
        Returns the mask (H, W) of people in a picture, 0 to 1; see `FaceDetector.segment_person`.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or landmarks are not (478, 3) and finite.
    """
    check_image(image)
    mask = np.zeros(image.shape[:2], np.float32)
    for landmarks in faces:
        place = _surroundings(landmarks, image.shape[:2])
        if place is not None:
            rows, columns = place
            local = landmarks - (columns.start, rows.start, 0.0)
            mask[rows, columns] = np.maximum(mask[rows, columns], _skin(image[rows, columns], local, segment))
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


def _skin(part: Image, landmarks: Points3, segment: Callable[[Image], Mask]) -> Mask:
    """Return the skin mask (H, W) of the person with the face at ``landmarks`` in a part of the picture."""
    height, width = part.shape[:2]
    oval = landmarks[list(FACE_OVAL), :2]
    face_height = max(float(np.ptp(oval[:, 1])), 1.0)
    scale = min(1.0, _WORKING_HEIGHT / face_height)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    factors = np.array([size[0] / width, size[1] / height, scale])
    points = (landmarks + 0.5) * factors - 0.5
    face = skin_mask(small, points)
    likely = _likelihood(small, face) * _person(small, segment)
    mask = np.maximum(face, likely * _nearness(size, points, face_height * scale))
    return _aligned(mask, small, part)


def _likelihood(small: Image, face: Mask) -> Mask:
    """Return how similar each place (H, W) is to the colour of the skin of the face, 0 to 1."""
    colors = cv2.cvtColor(small.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2YCrCb)
    samples = np.asarray(colors, np.float32)[face > 0.8]
    if len(samples) < 10:
        return np.zeros(face.shape, np.float32)
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
