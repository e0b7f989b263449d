"""Removal of eyebrows: skin in their place."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.signal import fftconvolve
from scipy.sparse.linalg import spsolve

from emulator.face.displacement import smoothstep
from emulator.face.head_frame import HeadFrame, head_frame
from emulator.face.landmarks import (
    FACE_OVAL,
    LEFT_EYE,
    LEFT_EYEBROW_LOWER,
    LEFT_EYEBROW_UPPER,
    RIGHT_EYE,
    RIGHT_EYEBROW_LOWER,
    RIGHT_EYEBROW_UPPER,
)
from emulator.face.skin import skin_mask
from emulator.face.types import Image, Mask, Points2, Points3, check_image

# All lengths here are in u, the distance between the outer eye corners.

# Largest distance of the hairs of an eyebrow from its landmarks. Skin within the second distance of the eye
# stays as it is.
_BEYOND, _FROM_EYE = 0.075, 0.045

# How far the new skin extends beyond the outline of the landmarks, because the far eyebrow of a turned head
# is at this outline.
_OUTSIDE = 0.04

# Everything within `_CORE` of the landmarks is replaced. Beyond twice this distance, places that are brighter
# than the new skin stay, because hairs are darker. `_LIGHT` has differences in grey levels: a place is
# replaced up to the first, and stays from the second on.
_CORE = 0.015
_LIGHT = (8.0, 26.0)

# Width of the soft edge of the new skin.
_FEATHER = 0.035

# Margin around the eyebrow in which the colours of the skin are measured.
_AROUND = 0.22

# Maximum number of pixels per u in the reduced picture, for which the colours of the skin are computed.
_WORKING_UNIT = 100.0

# Minimum number of pixels per u in the picture for which the skin mask is computed.
_LEAST_UNIT = 100.0

# The weight of the colours of the picture, against the smoothness of the new colours.
_FIDELITY = 4.0

# Standard deviation of the blur that separates the texture of the skin from its colours.
_TEXTURE_SIGMA = 0.05

# Landmarks around which texture is sampled, the best first: on the forehead, and on the cheeks. Then the side
# of the square sample, and the mean of the skin mask from which a sample is good enough.
_SAMPLES, _SAMPLE_SIDE, _SAMPLE_SKIN = (151, 337, 108, 280, 50, 425, 205), 0.2, 0.85

# Differences from the smooth colours beyond this number of standard deviations are not texture.
_MOST_TEXTURE = 2.5

# Seed of the noise from which texture is made.
_SEED = 1

# An eyebrow stays if hair or a hat covers it. This is so if the mean of the skin mask, within `_ABOVE` above
# the eyebrow, is below the first number of `_COVERED`.
_ABOVE = 0.1
_COVERED = (0.15, 0.3)


def remove_eyebrows(image: Image, landmarks: Points3, strength: float) -> Image:
    """Return ``image`` (H, W, 3) with skin in place of the eyebrows of the face at ``landmarks`` (478, 3).

    The colours of the new skin continue the colours around the eyebrow as smoothly as possible. Its texture
    comes from the forehead. With a ``strength`` between 0 and 1, the eyebrows remain visible through the new
    skin. An eyebrow that hair or a hat covers stays as it is.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or the landmarks are not (478, 3) and finite, or define no head.
    """
    check_image(image)
    changed = image.copy()
    if strength == 0:
        return changed
    frame = head_frame(landmarks)
    unit = frame.unit
    skin = _skin(image, landmarks, unit)
    sample = _sample(image, skin, landmarks, unit)
    noise = np.random.default_rng(_SEED)
    for upper, lower, eye in (
        (LEFT_EYEBROW_UPPER, LEFT_EYEBROW_LOWER, LEFT_EYE),
        (RIGHT_EYEBROW_UPPER, RIGHT_EYEBROW_LOWER, RIGHT_EYE),
    ):
        brow = landmarks[[*upper, *lower[::-1]], :2]
        place = _place(brow, (_BEYOND + _FEATHER + _AROUND) * unit, image.shape[:2])
        if place is None:
            continue
        oval = landmarks[list(FACE_OVAL), :2]
        rings = tuple(ring - _corner(place) for ring in (brow, landmarks[list(eye), :2], oval))
        mask, known = _masks(skin[place], rings, frame)
        part = changed[place].astype(np.float32)
        colors = _colors(part, known, unit)
        mask *= _not_brighter(part, colors, _distance(skin[place].shape, rings[0]) / unit)
        new = colors + _texture(sample, part.shape[:2], noise)
        part += strength * mask[:, :, None] * (new - part)
        changed[place] = np.clip(np.rint(part), 0, 255).astype(np.uint8)
    return changed


def _skin(image: Image, landmarks: Points3, unit: float) -> Mask:
    """Return the skin mask (H, W) of a face.

    The soft edges of `skin_mask` are a few pixels wide, and cover all the skin around the eyebrows of a small
    face. So the mask of a small face is computed in an enlarged picture.
    """
    if unit >= _LEAST_UNIT:
        return skin_mask(image, landmarks)
    skin = np.zeros(image.shape[:2], np.float32)
    place = _place(landmarks[:, :2], unit / 2, image.shape[:2])
    if place is not None:
        factor = _LEAST_UNIT / unit
        enlarged = cv2.resize(image[place], None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        height, width = skin[place].shape
        factors = np.array([enlarged.shape[1] / width, enlarged.shape[0] / height, factor])
        points = (landmarks - (*_corner(place), 0.0) + 0.5) * factors - 0.5
        mask = skin_mask(np.asarray(enlarged, np.uint8), points)
        skin[place] = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return skin


def _masks(skin: Mask, rings: Sequence[Points2], frame: HeadFrame) -> tuple[Mask, Mask]:
    """Return two masks (H, W): the share of new skin in the result, and where the colours of skin are known.

    ``rings`` are the points (N, 2) around the eyebrow, the eye and the face. If hair or a hat covers the skin
    above the eyebrow, the first mask is 0.
    """
    (brow, eye, oval), unit = rings, frame.unit
    to_brow, to_eye = _distance(skin.shape, brow) / unit, _distance(skin.shape, eye) / unit
    mask = smoothstep((_BEYOND + _FEATHER - to_brow) / _FEATHER) * smoothstep((to_eye - _FROM_EYE) / _FEATHER)
    mask *= smoothstep((_OUTSIDE + _FEATHER - _distance(skin.shape, oval) / unit) / _FEATHER)
    known = np.where(mask > 0.0, 0.0, skin).astype(np.float32)
    down, across = np.indices(skin.shape)
    up = frame.to_picture(np.array([[0.0, 1.0, 0.0]]))[0, :2] / unit**2
    height = (across - brow[:, 0].mean()) * up[0] + (down - brow[:, 1].mean()) * up[1]
    near = (mask == 0.0) & (to_brow < _BEYOND + _FEATHER + _ABOVE) & (height > 0.0)
    low, high = _COVERED
    share = float(known[near].mean()) if near.any() else 0.0
    return np.asarray(mask * smoothstep(np.array((share - low) / (high - low))), np.float32), known


def _not_brighter(
    part: NDArray[np.float32], colors: NDArray[np.float32], to_brow: NDArray[np.float32]
) -> Mask:
    """Return 0 where ``part`` (H, W, 3) is brighter than ``colors`` (H, W, 3) beside the eyebrow, else 1.

    Hairs are darker than skin, so brighter places are not hairs, but for example a lit temple.
    """
    brighter = (part - colors).mean(axis=2, dtype=np.float32)
    low, high = np.float32(_LIGHT[0]), np.float32(_LIGHT[1])
    beside = smoothstep((to_brow - _CORE) / _CORE)
    kept: Mask = beside * smoothstep((brighter - low) / (high - low))
    return np.float32(1.0) - kept


def _corner(place: tuple[slice, slice]) -> tuple[int, int]:
    return place[1].start, place[0].start


def _place(points: Points2, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Return the rows and columns around ``points``, or None if they are outside the picture."""
    low = np.maximum(np.floor(points.min(axis=0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0) + margin).astype(int) + 1, shape[::-1])
    if (high - low < 4).any():
        return None
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _distance(shape: tuple[int, ...], ring: Points2) -> NDArray[np.float32]:
    """Return the distance (H, W) in pixels to the convex hull of ``ring``."""
    plane = np.ones(shape, np.uint8)
    cv2.fillConvexPoly(plane, cv2.convexHull(np.rint(ring).astype(np.int32)), (0,))
    if plane.all():
        # No pixel of the part is in the hull, so use the distance to its centre.
        plane = np.ones(shape, np.uint8)
        centre = np.clip(np.rint(ring.mean(axis=0)).astype(int), 0, (shape[1] - 1, shape[0] - 1))
        plane[centre[1], centre[0]] = 0
    return np.asarray(cv2.distanceTransform(plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _colors(part: NDArray[np.float32], known: Mask, unit: float) -> NDArray[np.float32]:
    """Return smooth colours (H, W, 3) that continue the ``part`` where ``known`` (H, W) is 0.

    The colours f minimise the sum of ``_FIDELITY * known * (f - part)^2`` over all pixels and of the squared
    differences between neighbours.
    """
    height, width = known.shape
    scale = min(1.0, _WORKING_UNIT / unit)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float64)
    weight = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float64).ravel()
    # The small weight of all pixels makes the equations solvable if no skin is known.
    system = _laplacian(size[1], size[0]) + sparse.diags_array(_FIDELITY * weight + 1e-9)
    solved = spsolve(sparse.csc_array(system), weight[:, None] * _FIDELITY * small.reshape(-1, 3))
    smooth = solved.reshape(size[1], size[0], 3).astype(np.float32)
    return np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _laplacian(rows: int, columns: int) -> sparse.csr_array:
    """Return the graph Laplacian (N, N) of a grid of pixels, in which each has up to four neighbours."""

    def line(count: int) -> sparse.csr_array:
        step = sparse.eye_array(count - 1, count, k=1) - sparse.eye_array(count - 1, count)
        return sparse.csr_array(step.T @ step)

    down = sparse.kron(line(rows), sparse.eye_array(columns))
    across = sparse.kron(sparse.eye_array(rows), line(columns))
    return sparse.csr_array(down + across)


def _texture(
    sample: NDArray[np.float32] | None, shape: tuple[int, ...], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return texture (H, W, 3) like a ``sample``, with a mean of 0.

    White noise is filtered with the sample (Galerne et al. 2011, doi:10.1109/TIP.2010.2052822). The result
    has the spectrum of the sample, but random phases, so no detail of the sample, such as a wrinkle, is
    repeated.
    """
    if sample is None:
        return np.zeros((*shape, 3), np.float32)
    height, width = sample.shape[:2]
    noise = generator.standard_normal((shape[0] + height - 1, shape[1] + width - 1), np.float32)
    # One channel at a time, in single precision, to bound the memory for pictures of 4096 pixels.
    kernels = np.split(sample / np.float32((height * width) ** 0.5), 3, axis=2)
    channels = [fftconvolve(noise, kernel[:, :, 0], mode="valid") for kernel in kernels]
    return np.asarray(np.stack(channels, axis=-1), np.float32)


def _sample(image: Image, skin: Mask, landmarks: Points3, unit: float) -> NDArray[np.float32] | None:
    """Return a sample (S, S, 3) of the texture of the skin, with a mean of 0, or None if there is no skin."""
    most, found = 0.0, None
    for index in _SAMPLES:
        place = _place(landmarks[[index], :2], _SAMPLE_SIDE * unit / 2, image.shape[:2])
        if place is None:
            continue
        share = float(skin[place].mean())
        if share > most:
            most, found = share, place
        if share >= _SAMPLE_SKIN:
            break
    if found is None:
        return None
    part, weight = image[found].astype(np.float32), skin[found][:, :, None]
    sigma = max(_TEXTURE_SIGMA * unit, 0.8)
    weighted = np.asarray(cv2.GaussianBlur(np.concatenate([part * weight, weight], axis=2), (0, 0), sigma))
    detail = (part - weighted[:, :, :3] / np.maximum(weighted[:, :, 3:], 1e-3)) * weight
    limit = _MOST_TEXTURE * 1.4826 * np.median(np.abs(detail), axis=(0, 1))
    detail = np.clip(detail, -limit, limit)
    return np.asarray(detail - detail.mean(axis=(0, 1)), np.float32)
