"""Detection of faces."""

from __future__ import annotations

from emulator.face.errors import NoFaceFound
from emulator.face.types import Box
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules


def detect_faces(data: bytes, rules: ImageRules) -> tuple[Box, ...]:
    """Return the bounding box of every face in pixels, the largest first.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    NoFaceFound
        If there is no face.
    """
    picture = decode_picture(data, rules)
    faces = detector().detect(picture.image)
    if not faces:
        raise NoFaceFound
    return tuple(face.box.enlarged(picture.reduction, picture.corner) for face in faces)
