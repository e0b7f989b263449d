"""Beautification of the people in a picture: their skin, their eyebrows and the shape of their faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from emulator.face.attributes import has_glasses
from emulator.face.background import person_share
from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.eyebrows import remove_eyebrows
from emulator.face.head_frame import head_frame
from emulator.face.person_skin import person_skin, united
from emulator.face.reshape import reshape_field
from emulator.face.skin import smooth_within
from emulator.face.types import Image, Mask, Points3
from emulator.face.warp import warp_image
from emulator.face.whitening import whiten

# How much of `smooth_within` the parameter ``smoothing`` uses. More would remove the pores, and the colour of
# the cheeks.
_SMOOTHING, _EVENING = 0.85, 0.4

# Angles between the direction of the face and the camera, in degrees. Up to the first, the shape changes
# fully. From the second on, it does not change.
_TURN_DEG = (25.0, 42.0)


def beautify(
    image: Image, faces: Sequence[Points3], parameters: BeautyParameters, segment: Callable[[Image], Mask]
) -> Image:
    """Return ``image`` (H, W, 3) with all ``faces`` beautified, at the same size.

    Without a face, only the whitening applies, to the whole picture. Eyebrows of people with glasses are not
    removed, because parts of the frame would be removed with them.

    Parameters
    ----------
    image : (H, W, 3) uint8
    faces : sequence of (478, 3) float64
        Landmarks of the faces, in pixels.
    parameters : BeautyParameters
        If all are 0, the result is a bit-identical copy.
    segment : callable
        Returns the mask (H, W) of people in a picture, 0 to 1; see `FaceDetector.segment_person`.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or landmarks are not (478, 3) and finite, or define no head.
    """
    if not faces:
        return whiten(image, parameters.whitening, None)
    # The landmarks belong to the input, so the colours change before the shape does.
    result = _smoothed(image, faces, parameters.smoothing, segment)
    if parameters.remove_eyebrows:
        for landmarks in faces:
            if not has_glasses(image, landmarks):
                result = remove_eyebrows(result, landmarks, parameters.remove_eyebrows)
    if parameters.whitening:
        skin = [person_skin(result, landmarks, segment, features=True) for landmarks in faces]
        result = whiten(result, parameters.whitening, united(skin, image.shape))
    return _reshaped(result, image, faces, parameters, segment)


def _smoothed(
    image: Image, faces: Sequence[Points3], smoothing: float, segment: Callable[[Image], Mask]
) -> Image:
    """Return a copy of ``image`` with smoother skin."""
    result = image.copy()
    for landmarks in faces if smoothing else ():
        skin = person_skin(image, landmarks, segment, features=False)
        if skin is not None:
            result[skin.rows, skin.columns] = smooth_within(
                np.ascontiguousarray(result[skin.rows, skin.columns]),
                skin.mask,
                landmarks - (skin.columns.start, skin.rows.start, 0.0),
                _SMOOTHING * smoothing,
                _EVENING * smoothing,
            )
    return result


def _reshaped(
    image: Image,
    original: Image,
    faces: Sequence[Points3],
    parameters: BeautyParameters,
    segment: Callable[[Image], Mask],
) -> Image:
    """Return ``image`` with the shape of all faces changed. ``original`` is the picture with its own colours.

    Each face has its own field, and the fields are applied one after the other: the sum of two fields could
    fold where they overlap. A field is zero on the other faces, so no face is resampled twice.
    """
    for index, landmarks in enumerate(faces):
        shape = parameters.shape(_towards_camera(landmarks))
        if shape.is_zero:
            continue
        others = [*faces[:index], *faces[index + 1 :]]
        field = reshape_field(landmarks, shape, (image.shape[0], image.shape[1]), others)
        image = warp_image(image, field, person_share(original, landmarks, field, segment))
    return image


def _towards_camera(landmarks: Points3) -> float:
    """Return the share of the reshape for a head: 1 from the front, and 0 if it is turned far.

    In a turned head, the outline on the far side is close to the nose, and would become uneven.
    """
    # z points away from the camera, and the head's z axis out of the face.
    turn_deg = float(np.degrees(np.arccos(np.clip(-head_frame(landmarks).axes[2, 2], -1.0, 1.0))))
    begin, end = _TURN_DEG
    return float(np.clip((end - turn_deg) / (end - begin), 0.0, 1.0))
