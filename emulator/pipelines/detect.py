"""Detection of faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emulator.face.attributes import face_attributes
from emulator.face.box import Box
from emulator.face.errors import NoFaceFound
from emulator.face.face_state import face_state
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import Picture, decode_picture
from emulator.pipelines.options import ImageRules, LocatedFace, LocatedFaces, LocateOptions


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


def locate_faces(data: bytes, options: LocateOptions) -> LocatedFaces:
    """Return the landmarks of every face, and describe the largest faces. A picture can have no face.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    """
    picture = decode_picture(data, options.rules)
    image, left, top = _searched(picture, options.region)
    least = max(options.shortest_face, options.shortest_fraction * min(picture.width, picture.height))
    faces = [
        face
        for face in detector().detect(image)
        if min(face.box.width, face.box.height) * picture.reduction >= least
    ]
    described = faces[: options.described]
    person = detector().coarse_person(image) if described else None
    located: list[LocatedFace] = []
    for face in faces:
        landmarks = (face.landmarks + np.array([left + 0.5, top + 0.5, 0.0])) * picture.reduction
        landmarks[:, :2] += np.array(picture.corner) - 0.5
        box = Box(face.box.left + left, face.box.top + top, face.box.width, face.box.height)
        found = LocatedFace(landmarks, box.enlarged(picture.reduction, picture.corner))
        if person is not None and len(located) < len(described):
            state = face_state(image, face.landmarks)
            found = replace(found, state=state, attributes=face_attributes(image, face.landmarks, person))
        located.append(found)
    return LocatedFaces(picture.width, picture.height, tuple(located))


def _searched(picture: Picture, region: Box | None) -> tuple[Image, int, int]:
    """Return the part of a picture to search, and x and y of its first pixel in ``picture.image``."""
    image = picture.in_srgb()
    if region is None:
        return image, 0, 0
    height, width = image.shape[:2]
    start = np.array([region.left, region.top]) - picture.corner
    end = start + np.array([region.width, region.height])
    left, top = np.clip(np.floor(start / picture.reduction), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.ceil(end / picture.reduction).astype(int)
    right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
    return np.ascontiguousarray(image[top:bottom, left:right]), int(left), int(top)
