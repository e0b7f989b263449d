"""Measurement of a face in a picture."""

from __future__ import annotations

import cv2
import numpy as np

from emulator.face.detection import Face
from emulator.face.errors import NoFaceFound
from emulator.face.fit import fit_head
from emulator.face.measurement import measure_proportions
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg
from emulator.pipelines.options import MeasuredFace, MeasureOptions


def measure_face(data: bytes, options: MeasureOptions) -> MeasuredFace:
    """Measure the largest face in a picture.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound
        If there is no face that is large enough.
    """
    picture = decode_picture(data, options.rules)
    image = picture.in_srgb()
    least = max(options.shortest_face, options.shortest_fraction * min(picture.width, picture.height))
    face = next(iter(detector().detect(image)), None)
    if face is None or min(face.box.width, face.box.height) * picture.reduction < least:
        raise NoFaceFound
    fit = fit_head(face.landmarks)
    if not fit.is_of_a_face:
        raise NoFaceFound
    # Pixel centres are at integers, so the corner of a picture is at -0.5.
    landmarks = (face.landmarks + np.array([0.5, 0.5, 0.0])) * picture.reduction
    landmarks[:, :2] += np.array(picture.corner) - 0.5
    return MeasuredFace(
        width=picture.width,
        height=picture.height,
        landmarks=landmarks,
        pose=fit.pose,
        proportions=measure_proportions(face.landmarks, fit),
        straightened=encode_jpeg(_straightened(image, face, fit.pose.roll)) if options.straighten else None,
    )


def _straightened(image: Image, face: Face, roll_deg: float) -> Image:
    """Return ``image`` turned around the middle of a face, so that a head with this roll is upright."""
    height, width = image.shape[:2]
    centre = (face.box.left + face.box.width / 2, face.box.top + face.box.height / 2)
    # Positive angles turn counter-clockwise, and a positive roll is clockwise.
    turn = cv2.getRotationMatrix2D(centre, roll_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_CUBIC), np.uint8)
