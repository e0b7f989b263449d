"""Encoded pictures of synthetic faces, with their ground truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulator.face.synthetic import SyntheticFaceSpec, ground_truth, render_backdrop, render_people
from emulator.face.synthetic.named import NAMED_FACES
from emulator.pipelines.encoding import encode_as


@dataclass(frozen=True)
class FacePicture:
    """An encoded picture and its ground truth as JSON."""

    data: bytes
    truth: str


class UnknownFace(LookupError):
    """The test face does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no test face {self.name!r}; choose one of {', '.join(NAMED_FACES)}"


def draw_faces(specs: Sequence[SyntheticFaceSpec], picture_format: str = "jpeg") -> FacePicture:
    """Return a picture (``jpeg`` or ``png``) of the faces. Without faces, it shows an empty room."""
    faces = render_people(specs) if specs else ()
    image = faces[0].image if faces else render_backdrop(SyntheticFaceSpec(background="window"))
    truth = json.dumps(ground_truth(faces)) + "\n"
    return FacePicture(encode_as(picture_format, image), truth)


def named_face(name: str, picture_format: str = "jpeg") -> FacePicture:
    """Return the test face ``name``.

    Raises
    ------
    UnknownFace
        If there is no test face of that name.
    """
    if name not in NAMED_FACES:
        raise UnknownFace(name)
    face = NAMED_FACES[name]
    picture = draw_faces(face.people, picture_format)
    if face.damage == "truncated":
        # The header is complete, but the pixels are not.
        return replace(picture, data=picture.data[: len(picture.data) // 3])
    if face.damage == "no_picture":
        return FacePicture(b"This is not a picture, whatever its name says.\n", picture.truth)
    return picture


def draw_test_face(name: str, picture_format: str) -> bytes:
    """Return the file of the test face ``name``."""
    return named_face(name, picture_format).data


def list_test_faces() -> dict[str, str]:
    """Return what each test face shows, by name."""
    return {name: face.shows for name, face in NAMED_FACES.items()}
