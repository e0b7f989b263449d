"""Where the faces are."""

from __future__ import annotations

from emulator.face.errors import NoFaceFound
from emulator.face.types import Box
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules


def detect_faces(data: bytes, rules: ImageRules) -> tuple[Box, ...]:
    """Return a box in pixels for every face in the picture, the largest first.

    Raises
    ------
    ImageError
        If the bytes are no acceptable picture.
    NoFaceFound
        If there is none.
    """
    faces = detector().detect(decode_picture(data, rules).image)
    if not faces:
        raise NoFaceFound
    return tuple(face.box for face in faces)
