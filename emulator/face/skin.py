"""Skin smoothing, and the mask of a face's skin."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_EYE_OUTER_CORNER,
    LEFT_EYEBROW_LOWER,
    LEFT_EYEBROW_UPPER,
    LIPS_OUTER,
    RIGHT_CHEEK,
    RIGHT_EYE,
    RIGHT_EYE_OUTER_CORNER,
    RIGHT_EYEBROW_LOWER,
    RIGHT_EYEBROW_UPPER,
)
from emulator.face.types import Image, Mask, Points2, Points3, check_image, check_points

# The smoothing and the mask are computed on reduced pictures. In these, the outer eye corners are at most
# this far apart, in pixels. At these sizes, blemishes and wrinkles are visible, and large pictures do not
# take longer. Finer detail is not smoothed, and remains as the grain of the skin.
_WORKING_EYE_DISTANCE = 120.0
_MASK_EYE_DISTANCE = 100.0

# Lengths in u, the distance between the outer eye corners.
_DETAIL_RADIUS = 0.055
_EVENING_SIGMA = 0.22
_FEATHER = 0.02

# Fraction of uneven colour that is removed at full intensity. Some unevenness must remain for a natural look.
_EVENING = 0.8

# Rows: R, G, B; columns: luminance, red chrominance, blue chrominance, as in OpenCV's YCrCb conversion.
_TO_RGB = np.array([[1.0, 1.403, 0.0], [1.0, -0.714, -0.344], [1.0, 0.0, 1.773]], np.float32)

# Differences of luminance (0 to 255) well below this are smoothed. Differences well above it are kept as
# edges.
_EDGE_STEP = 14.0

_NOSTRILS = (98, 97, 2, 326, 327, 278, 294, 19, 64, 48)

Plane: TypeAlias = NDArray[np.float32]
"""(H, W): luminance, one chrominance channel or a mask, 0 to 1."""


def smooth_skin(image: Image, landmarks: Points3, strength: float, color_intensity: float) -> Image:
    """Smooth the skin of the face at ``landmarks`` (478, 3) in ``image`` (H, W, 3).

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        Pixels.
    strength : float
        0 to 1: how much uneven luminance to remove (blemishes, pores, shallow wrinkles).
    color_intensity : float
        0 to 1: how much uneven colour to remove (redness, blotches).

    Notes
    -----
    If ``strength`` and ``color_intensity`` are 0, the result is bit-identical to the input. Eyes, brows, lips
    and everything outside the face are bit-identical at any strength. The guided filter (He 2010,
    doi:10.1007/978-3-642-15549-9_1), with the luminance as its own guide, preserves edges.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, ``landmarks`` are not (478, 3) and finite, or ``strength`` or
        ``color_intensity`` is out of range.
    """
    check_image(image)
    check_points(landmarks, 3, "landmarks")
    for name, value in (("strength", strength), ("color_intensity", color_intensity)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must be 0 to 1, not {value}")
    smoothed = image.copy()
    region = _region(landmarks, image.shape[:2])
    if (strength == 0 and color_intensity == 0) or region is None:
        return smoothed
    left, top, width, height = region
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    small, points, unit = _reduced(part, landmarks[:, :2] - (left, top))
    mask = _skin_mask(small, points, unit)
    smoothed[top : top + height, left : left + width] = _smoothed(
        part, small, mask, unit, strength, color_intensity
    )
    return smoothed


def smooth_within(
    image: Image, mask: Mask, landmarks: Points3, strength: float, color_intensity: float
) -> Image:
    """Smooth the skin where ``mask`` (H, W) is above 0, like `smooth_skin` does.

    ``landmarks`` (478, 3) are those of the face to which the skin belongs. They define the size of blemishes.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or ``landmarks`` are not (478, 3) and finite.
    """
    check_image(image)
    check_points(landmarks, 3, "landmarks")
    small, _, unit = _reduced(image, landmarks[:, :2])
    reduced = cv2.resize(mask, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    return _smoothed(image, small, np.asarray(reduced, np.float32), unit, strength, color_intensity)


def _smoothed(
    part: Image,
    small: NDArray[np.float32],
    mask: Plane,
    unit: float,
    strength: float,
    color_intensity: float,
) -> Image:
    """Return ``part`` of a picture, smoothed where the ``mask`` of its reduced copy ``small`` is above 0."""
    colors = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), np.float32)
    change = np.zeros_like(colors)
    if strength > 0:
        luma = np.ascontiguousarray(colors[:, :, 0])
        even = _guided(luma, max(1, round(_DETAIL_RADIUS * unit)))
        change[:, :, 0] = (even - luma) * (mask * np.float32(255.0 * strength))
    if color_intensity > 0:
        even = _mean_within(colors[:, :, 1:], mask, _EVENING_SIGMA * unit)
        weight = mask * np.float32(255.0 * _EVENING * color_intensity)
        change[:, :, 1:] = (even - colors[:, :, 1:]) * weight[:, :, None]
    # The conversion from YCrCb to RGB is linear, so it can convert differences.
    difference = cv2.transform(change, _TO_RGB)
    if difference.shape[:2] != part.shape[:2]:
        difference = cv2.resize(difference, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(part, difference, dtype=cv2.CV_8U), np.uint8)


def skin_mask(image: Image, landmarks: Points3, seen: NDArray[np.bool_] | None = None) -> Mask:
    """Return the skin mask (H, W) of the face at ``landmarks``: 0 for no skin, 1 for skin.

    The mask is the face oval without eyes, brows, lips and nostrils, with soft edges, times the similarity of
    each pixel's colour to the cheeks. Hair, beards, glasses and other things in front of the face are left
    out if their colour differs from the colour of the cheeks.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        Pixels.
    seen : (478,) bool, optional
        Whether the image shows the surface at each landmark. By default, every landmark inside the
        image counts as seen.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or ``landmarks`` are not (478, 3) and finite.
    """
    check_image(image)
    check_points(landmarks, 3, "landmarks")
    mask = np.zeros(image.shape[:2], dtype=np.float32)
    region = _region(landmarks, image.shape[:2])
    if region is None:
        return mask
    left, top, width, height = region
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    small, points, unit = _reduced(part, landmarks[:, :2] - (left, top))
    mask[top : top + height, left : left + width] = cv2.resize(
        _skin_mask(small, points, unit, seen), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return mask


def _plane(array: NDArray[Any]) -> Plane:
    return np.asarray(array, dtype=np.float32)


def _region(landmarks: Points3, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height of the part with the face, or None if no face is in the picture."""
    oval = landmarks[list(FACE_OVAL), :2]
    # Morphological operations repeat the border pixels outwards. This is right where the picture's edge cuts
    # the face, but wrong at the edge of the face. So add a margin.
    margin = 2 + 0.05 * np.ptp(oval, axis=0)
    low = np.maximum(np.floor(oval.min(axis=0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(oval.max(axis=0) + margin).astype(int), (shape[1] - 1, shape[0] - 1))
    width, height = int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1
    if width < 2 or height < 2:
        return None
    return int(low[0]), int(low[1]), width, height


def _reduced(part: Image, points: Points2) -> tuple[NDArray[np.float32], Points2, float]:
    """Return ``part`` reduced (float32, 0 to 1), the landmarks in it, and the size of the face in it.

    The size is the distance between the outer eye corners, in pixels.
    """
    unit = float(np.linalg.norm(points[LEFT_EYE_OUTER_CORNER] - points[RIGHT_EYE_OUTER_CORNER]))
    # In a turned head, the distance of the eyes is foreshortened, but the height of the oval is not.
    unit = max(unit, float(np.ptp(points[list(FACE_OVAL), 1])) / 3.0, 1.0)
    scale = min(1.0, _WORKING_EYE_DISTANCE / unit)
    height, width = part.shape[:2]
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = part if scale == 1.0 else cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    factors = np.array([size[0] / width, size[1] / height])
    return small.astype(np.float32) / np.float32(255.0), (points + 0.5) * factors - 0.5, unit * scale


def _skin_mask(
    small: NDArray[np.float32], points: Points2, unit: float, seen: NDArray[np.bool_] | None = None
) -> Plane:
    """Return the skin mask (H, W), computed at a smaller size and enlarged, because its edges are soft."""
    height, width = small.shape[:2]
    scale = _MASK_EYE_DISTANCE / unit
    if scale >= 1.0:
        return _small_mask(small, points, unit, seen)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.float32)
    factors = np.array([size[0] / width, size[1] / height])
    coarse = _small_mask(smaller, (points + 0.5) * factors - 0.5, unit * scale, seen)
    return _plane(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def _small_mask(
    small: NDArray[np.float32], points: Points2, unit: float, seen: NDArray[np.bool_] | None
) -> Plane:
    # Shrink the oval and grow the features by the reach of the blur, plus one pixel for the enlargement.
    # So the mask is exactly 0 outside the oval and on the features.
    radius = max(1, round(_FEATHER * unit))
    reach = int(np.ceil(2 * radius * 2**0.5)) + 1
    shape = small.shape[:2]
    oval = _plane(cv2.erode(_filled(shape, points, [FACE_OVAL]), _disc(reach)))
    features = _filled(
        shape,
        points,
        [
            LEFT_EYE,
            RIGHT_EYE,
            LIPS_OUTER,
            LEFT_EYEBROW_UPPER + LEFT_EYEBROW_LOWER[::-1],
            RIGHT_EYEBROW_UPPER + RIGHT_EYEBROW_LOWER[::-1],
            _NOSTRILS,
        ],
    )
    features = _plane(cv2.dilate(features, _disc(reach + max(1, round(0.01 * unit)))))
    mask = _blurred(oval, radius) * (1.0 - _blurred(features, radius)) * _likelihood(small, points, seen)
    # Rounding can leave values around 1e-7 where the mask should be 0.
    mask[mask < 1e-3] = 0.0
    return _plane(mask)


def _blurred(plane: Plane, radius: int) -> Plane:
    """Blur ``plane`` with two boxes in turn. Together they reach twice ``radius`` along each axis."""
    size = (2 * radius + 1, 2 * radius + 1)
    return _plane(cv2.blur(cv2.blur(plane, size), size))


def _filled(shape: tuple[int, ...], points: Points2, rings: list[tuple[int, ...]]) -> Plane:
    plane = np.zeros(shape, dtype=np.float32)
    for ring in rings:
        corners = np.rint(points[list(ring)]).astype(np.int32)
        cv2.fillPoly(plane, [cv2.convexHull(corners)], (1.0,))
    return plane


def _disc(radius: int) -> NDArray[np.uint8]:
    disc: NDArray[np.uint8] = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)
    ).astype(np.uint8)
    return disc


def _likelihood(small: NDArray[np.float32], points: Points2, seen: NDArray[np.bool_] | None) -> Plane:
    """Return the similarity (H, W) to the colour of the cheeks: 1 if equal, 0 if very different."""
    colors = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    height, width = small.shape[:2]
    cheeks = np.array(LEFT_CHEEK + RIGHT_CHEEK)
    at = np.rint(points[cheeks if seen is None else cheeks[seen[cheeks]]]).astype(int)
    at = at[(at[:, 0] >= 0) & (at[:, 1] >= 0) & (at[:, 0] < width) & (at[:, 1] < height)]
    if len(at) == 0:
        return np.ones((height, width), dtype=np.float32)
    samples = cv2.blur(colors, (5, 5))[at[:, 1], at[:, 0]]
    middle = np.median(samples, axis=0)
    spread = 1.4826 * np.median(np.abs(samples - middle), axis=0)
    # Luminance may differ a lot, because light on skin is uneven; chrominance differs little.
    tolerance = np.maximum(3.0 * spread, (0.22, 0.04, 0.04))
    distance = (((colors - middle) / tolerance) ** 2).sum(axis=2)
    # 1 up to one tolerance, 0 from three tolerances on.
    likelihood: Plane = np.clip((9.0 - distance) / 8.0, 0.0, 1.0).astype(np.float32)
    # Blur, so that single odd pixels, which are blemishes, stay in the mask. Hair and glasses are larger.
    return _plane(cv2.blur(likelihood, (3, 3)))


def _guided(plane: Plane, radius: int) -> Plane:
    """Smooth ``plane`` with the guided filter, with the plane as its own guide."""
    size = (2 * radius + 1, 2 * radius + 1)
    epsilon = (_EDGE_STEP / 255.0) ** 2
    mean = cv2.blur(plane, size)
    variance = np.maximum(cv2.blur(plane * plane, size) - mean * mean, 0.0)
    slope = variance / (variance + epsilon)
    return _plane(cv2.blur(slope, size) * plane + cv2.blur(mean - slope * mean, size))


def _mean_within(planes: NDArray[np.float32], mask: Plane, sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian mean of ``planes`` (H, W, 2), weighted by ``mask``; ``sigma`` is in pixels.

    The mean is computed on a reduced picture, in which ``sigma`` is two pixels.
    """
    height, width = mask.shape
    factor = min(1.0, 2.0 / sigma)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    weighted = np.concatenate([planes, np.ones_like(planes[:, :, :1])], axis=2) * mask[:, :, None]
    coarse = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), sigma * factor)
    mean = coarse[:, :, :2] / np.maximum(coarse[:, :, 2:], 1e-6)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
