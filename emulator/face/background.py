"""Keeps the background still while a reshape moves the person in front of it.

A reshape moves the face, and hair, ears and neck with it. The background should stay. So the displacement
field is multiplied by a share: 1 on the person, and 0 on the background. From the new outline of the person
to a distance of `_REACH` outside the old outline, the share falls from 1 to 0. This strip of background is
stretched where the person gets narrower, and compressed where the person gets wider.

The result is still one continuous map that does not fold. So hair keeps its soft edge, no edge appears
twice, and a wrong mask does not leave a copy of anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.displacement import DisplacementField, disc, smoothstep
from emulator.face.head_frame import head_unit
from emulator.face.landmarks import FACE_OVAL
from emulator.face.later import Later, when_needed
from emulator.face.types import Image, Mask, Points2, Points3, check_image
from emulator.face.warp import Share, lattice, lattice_pitch, on_lattice

Plane: TypeAlias = NDArray[np.float32]

# All lengths here are in u, the distance between the outer eye corners.

# How far the segmented part of the picture extends beyond the face's outline. The field ends at 0.72 u, but
# the model needs more of the hair and the shoulders to recognise them.
_SURROUNDINGS = 1.5

# Distances from the outline of the face at which the field is examined, and the displacement in pixels below
# which a motion does not matter.
_RINGS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
_VISIBLE = 0.5

# Distance from the person beyond which the background does not move.
_REACH = 0.08

# The width of the strip around the outline that moves with the person, so that a soft edge is not stretched.
_RIM = 0.006

# Distance beyond the field up to which the share is computed, because doubt about the mask spreads.
_MARGIN = 0.3

# Minimum width of the strip in which the share falls, in working pixels. It applies where a person becomes
# wider by about `_REACH` or more. A narrower strip would be a jump, which folds. A wider one moves more of
# the background.
_LEAST_STRIP = 1.2

# Number of working pixels per u, or a little more. The model's mask has no finer details.
_WORKING_UNIT = 100.0

# The side of the model's input, in pixels.
_MODEL_SIDE = 256

# A place belongs to a person if the model's mask is above this. The limit is below 0.5, because the mask is
# low at thin hair.
_PERSON = 0.3

# Standard deviation of the blur that removes the steps of the distance from the outline.
_OUTLINE_BLUR = 0.012

# The mask is in doubt in areas that are wider than twice the radius, and in which its values are between
# these limits. There, and within the margin around them, the share is 1. Over the distance of the fade, the
# share falls to its usual value.
_DOUBTFUL = (0.15, 0.85)
_DOUBT_RADIUS, _DOUBT_MARGIN, _DOUBT_FADE = 0.05, 0.15, 0.15

# If the mean of the mask over the face is lower than this, the segmentation failed.
_LEAST_FACE = 0.5

# The smallest Jacobian determinant. Where it is lower, the share is moved towards 1, the unchanged field.
_LEAST_JACOBIAN = 0.15
_ROUNDING = 1e-6
_UNFOLDING_ROUNDS = 8

# Distance from a fold within which the share is moved, in working pixels. It must be as large as the largest
# displacement of a working pixel, because the share changes there.
_RELIEF_RADIUS = 8


class _Moved(NamedTuple):
    """The displacements (h, w) of working pixels along x and along y, in working pixels."""

    x: Plane
    y: Plane


def person_share(
    image: Image,
    landmarks: Points3,
    field: DisplacementField,
    segment: Callable[[Image], Mask],
) -> Share | None:
    """Return how much of ``field`` to apply at each place, so that the background stays.

    Parameters
    ----------
    image : (H, W, 3) uint8
    landmarks : (478, 3) float64
        The face that ``field`` reshapes, in pixels.
    field : DisplacementField
    segment : callable
        Returns the mask (H, W) of people in a picture, 0 to 1; see `FaceDetector.segment_person`.

    Returns
    -------
    Share or None
        None if the whole field must be used unchanged, because it does not reach beyond the outline of the
        face, or because the segmentation does not find the face.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or if ``field`` is for another size.
    """
    check_image(image)
    if image.shape[:2] != field.shape:
        raise ValueError(f"the field is for {field.shape}, the image is {image.shape[:2]}")
    return share_of_people(landmarks, field, lambda: people_around(image, landmarks, segment))


def people_around(image: Image, landmarks: Points3, segment: Callable[[Image], Mask]) -> Share:
    """Return the mask of people around a face, for `share_of_people`.

    The parameters are those of `person_share`.
    """
    return _segmented(image, landmarks[list(FACE_OVAL), :2], head_unit(landmarks), segment)


def share_of_people(
    landmarks: Points3, field: DisplacementField, people: Callable[[], Share], later: Later = when_needed
) -> Share | None:
    """Return the share as `person_share` does.

    ``people`` returns the result of `people_around` for the picture. It is only called if it is needed.
    ``later`` computes a part of the share, the distance to the outline of the person.
    """
    frame_unit = head_unit(landmarks)
    oval = landmarks[list(FACE_OVAL), :2]
    rows, columns = field.pixels
    margin = _MARGIN * frame_unit
    low = np.maximum(np.array([columns.start, rows.start]) - margin, 0.0)
    high = np.minimum(np.array([columns.stop, rows.stop]) + margin, (field.shape[1] - 1, field.shape[0] - 1))
    if not _reaches_outside(field, oval, frame_unit) or (high <= low).any():
        return None
    # The working pixels are the lattice of the resampling. So the displacements that are checked for folds
    # are those that the picture gets.
    pitch = lattice_pitch(field, frame_unit / _WORKING_UNIT)
    unit = frame_unit / pitch
    (_, x), (_, y) = (
        lattice(start, stop, pitch)
        for start, stop in zip(low.astype(int).tolist(), (high + 1.0).astype(int).tolist(), strict=True)
    )
    origin = float(x[0]), float(y[0])
    person = people().sampled(x, y)

    face = np.zeros(person.shape, np.uint8)
    cv2.fillPoly(face, [np.rint((oval - origin) / pitch).astype(np.int32)], (1,))
    if not face.any() or cv2.mean(person, face)[0] < _LEAST_FACE:
        return None
    # This is mostly OpenCV, which does not need Python's lock. In two threads, the rest would not be faster.
    outside = later(lambda: _outside((person > _PERSON) | (face > 0), unit))
    doubt = _doubt(person, face, unit)
    # From here on, only the working pixels that the field moves count.
    _, _, x, y, displacements = on_lattice(field, pitch)
    left, top = (round((first - corner) / pitch) for first, corner in zip((x[0], y[0]), origin, strict=True))
    moved = _Moved(*(displacements / np.float32(pitch)))
    share = _share(outside(), moved, left, top, unit)
    share += (1.0 - share) * doubt[top : top + len(y), left : left + len(x)]
    return Share((float(x[0]), float(y[0])), (pitch, pitch), _unfolded(share, moved))


def _reaches_outside(field: DisplacementField, oval: Points2, unit: float) -> bool:
    """Return whether the field visibly moves anything just outside the face with the outline ``oval``."""
    if field.is_zero:
        return False
    outward = oval - oval.mean(axis=0)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    rings = (oval + distance * unit * outward for distance in _RINGS)
    return any((np.linalg.norm(field.at(ring), axis=1) > _VISIBLE).any() for ring in rings)


def _segmented(image: Image, oval: Points2, unit: float, segment: Callable[[Image], Mask]) -> Share:
    """Return the mask of people around the face with the outline ``oval``."""
    low = np.maximum(np.floor(oval.min(axis=0) - _SURROUNDINGS * unit).astype(int), 0)
    high = np.ceil(oval.max(axis=0) + _SURROUNDINGS * unit).astype(int) + 1
    part, factor = image[low[1] : high[1], low[0] : high[0]], 1
    # OpenCV halves pictures ten times as fast as it reduces them by other factors.
    while min(part.shape[:2]) >= 2 * _MODEL_SIDE:
        rows, columns = part.shape[0] // 2, part.shape[1] // 2
        even = part[: 2 * rows, : 2 * columns]
        part = np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        factor *= 2
    height, width = part.shape[:2]
    shrinks = max(height, width) > _MODEL_SIDE
    reduced = cv2.resize(
        part, (_MODEL_SIDE, _MODEL_SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    pitch = factor * width / _MODEL_SIDE, factor * height / _MODEL_SIDE
    # The first value is at the centre of the first reduced pixel.
    origin = float(low[0] + (pitch[0] - 1.0) / 2), float(low[1] + (pitch[1] - 1.0) / 2)
    return Share(origin, pitch, segment(np.asarray(reduced, np.uint8)))


def _outside(person: NDArray[np.bool_], unit: float) -> Plane:
    """Return the distance to the outline of ``person``, in working pixels, negative on the person."""
    inside = person.astype(np.uint8)
    distance = cv2.subtract(
        cv2.distanceTransform(1 - inside, cv2.DIST_L2, cv2.DIST_MASK_5),
        cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_5),
    )
    return np.asarray(cv2.GaussianBlur(distance, (0, 0), max(_OUTLINE_BLUR * unit, 0.5)), np.float32)


def _share(outside: Plane, moved: _Moved, left: int, top: int, unit: float) -> Plane:
    """Return the share (h, w) of the displacements ``moved`` to apply at each working pixel.

    ``outside`` is the distance to the person's outline. The displacements begin at its column ``left`` and
    its row ``top``. The distance at a pixel's source is the pixel's distance to the outline of the reshaped
    person.
    """
    rows, columns = moved.x.shape
    to_person = cv2.remap(
        outside,
        moved.x + np.arange(left, left + columns, dtype=np.float32),
        moved.y + np.arange(top, top + rows, dtype=np.float32)[:, None],
        interpolation=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    outside = outside[top : top + rows, left : left + columns]
    to_person = np.maximum(to_person - np.float32(_RIM * unit), 0.0)
    strip = np.float32(_LEAST_STRIP)
    room = np.maximum(np.float32(_REACH * unit) - outside, np.maximum(strip - to_person, 0.0))
    share: Plane = room / np.maximum(room + to_person, np.float32(1e-6))
    # On the reshaped person, the share is exactly 1.
    share[to_person == 0] = 1.0
    return share


def _doubt(person: Mask, face: NDArray[np.uint8], unit: float) -> Plane:
    """Return the doubt about the mask around each pixel, from 0 (no doubt) to 1."""
    # Every other pixel has all the details of the model's mask.
    rows, columns = person.shape
    person, face, unit = person[::2, ::2], face[::2, ::2], unit / 2
    low, high = _DOUBTFUL
    doubtful = ((person > low) & (person < high)) | ((face > 0) & (person <= _PERSON))
    wide = cv2.erode(doubtful.astype(np.uint8), disc(max(1, round(_DOUBT_RADIUS * unit))), borderValue=(0,))
    if not wide.any():
        return np.zeros((rows, columns), np.float32)
    away = cv2.distanceTransform(1 - wide, cv2.DIST_L2, cv2.DIST_MASK_5) / unit
    doubt = smoothstep((_DOUBT_RADIUS + _DOUBT_MARGIN + _DOUBT_FADE - away) / _DOUBT_FADE)
    return np.asarray(cv2.resize(doubt, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)


def _unfolded(share: Plane, moved: _Moved) -> Plane:
    """Return the share, moved towards 1 around places where the shared displacements would fold.

    If they still fold after the last round, the share is 1 everywhere.
    """
    least = _LEAST_JACOBIAN
    for round_ in range(_UNFOLDING_ROUNDS + 1):
        jacobian = _jacobian(share * moved.x, share * moved.y)
        if not (jacobian < least).any():
            return share
        if round_ == 0:
            # The field itself may be a little below the limit between the points at which it was checked.
            least = min(least, float(_jacobian(moved.x, moved.y).min()) - _ROUNDING)
        folds = jacobian < least
        if not folds.any():
            return share
        relief = np.zeros(share.shape, np.float32)
        relief[:-1, :-1] = folds
        relief = np.asarray(cv2.dilate(relief, disc(_RELIEF_RADIUS)), np.float32)
        relief = np.asarray(cv2.GaussianBlur(relief, (0, 0), _RELIEF_RADIUS / 2), np.float32)
        share = share + (1.0 - share) * relief
    return np.ones_like(share)


def _jacobian(x: Plane, y: Plane) -> Plane:
    """Return the smallest Jacobian determinants (h - 1, w - 1) between the pixels.

    The displacements ``x`` and ``y`` (h, w) are interpolated linearly between the pixels. Within a cell of
    four pixels, the determinant is smallest at one of the corners.
    """
    one = np.float32(1.0)
    x_along_x, y_along_x = x[:, 1:] - x[:, :-1] + one, y[:, 1:] - y[:, :-1]
    x_along_y, y_along_y = x[1:] - x[:-1], y[1:] - y[:-1] + one
    smallest = np.full((len(x) - 1, x.shape[1] - 1), np.inf, np.float32)
    for row in (slice(None, -1), slice(1, None)):
        for column in (slice(None, -1), slice(1, None)):
            corner = x_along_x[row] * y_along_y[:, column]
            corner -= x_along_y[:, column] * y_along_x[row]
            np.minimum(smallest, corner, out=smallest)
    return smallest
