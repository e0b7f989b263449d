"""Detection of faces, and their descriptions."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from emulator.face.box import Box
from emulator.face.errors import ImageTooSmall
from emulator.pipelines.detect import locate_faces
from emulator.pipelines.options import ImageRules, LocatedFaces, LocateOptions

FACES = Path(__file__).parents[2] / "fixtures" / "faces"
EVERYBODY = LocateOptions(ImageRules(frozenset({"jpeg"})), shortest_face=0, shortest_fraction=0)


@pytest.fixture(scope="module")
def crowd() -> LocatedFaces:
    return locate_faces((FACES / "crowd.jpg").read_bytes(), EVERYBODY)


def test_everybody_is_located_the_largest_first(crowd: LocatedFaces) -> None:
    sizes = [face.box.width * face.box.height for face in crowd.faces]
    assert len(sizes) == 5
    assert sizes == sorted(sizes, reverse=True)
    for face in crowd.faces:
        assert face.landmarks.shape == (478, 3)
        np.testing.assert_allclose(
            face.landmarks[:468, :2].min(axis=0), (face.box.left, face.box.top), atol=0.51
        )


def test_a_picture_without_a_face_is_no_error() -> None:
    found = locate_faces((FACES / "no-face.jpg").read_bytes(), replace(EVERYBODY, described=None))
    assert found.faces == ()
    with PillowImage.open(FACES / "no-face.jpg") as picture:
        assert (found.width, found.height) == picture.size


@pytest.mark.parametrize(("described", "count"), [(0, 0), (2, 2), (None, 5)])
def test_the_largest_faces_are_described(described: int | None, count: int) -> None:
    photo = (FACES / "crowd.jpg").read_bytes()
    found = locate_faces(photo, replace(EVERYBODY, described=described))
    assert [face.state is not None for face in found.faces] == [True] * count + [False] * (5 - count)
    assert [face.attributes is not None for face in found.faces] == [
        face.state is not None for face in found.faces
    ]


def test_small_faces_are_left_out(crowd: LocatedFaces) -> None:
    photo = (FACES / "crowd.jpg").read_bytes()
    side = sorted(min(face.box.width, face.box.height) for face in crowd.faces)[2]
    for options in (
        replace(EVERYBODY, shortest_face=side),
        replace(EVERYBODY, shortest_fraction=side / min(crowd.width, crowd.height)),
    ):
        assert len(locate_faces(photo, options).faces) == 3


def test_only_the_region_is_searched(crowd: LocatedFaces) -> None:
    photo = (FACES / "crowd.jpg").read_bytes()
    wanted = crowd.faces[3]
    box = wanted.box
    region = Box(box.left - 0.3 * box.width, box.top - 0.3 * box.height, 1.6 * box.width, 1.6 * box.height)
    (found,) = locate_faces(photo, replace(EVERYBODY, region=region, described=1)).faces
    # The crop of the face differs, so the landmarks do, a little.
    assert np.abs(found.landmarks - wanted.landmarks)[:, :2].max() < 0.03 * box.width
    assert found.state is not None
    beyond = Box(2.0 * crowd.width, 2.0 * crowd.height, 50.0, 50.0)
    assert locate_faces(photo, replace(EVERYBODY, region=beyond)).faces == ()


@pytest.mark.parametrize("orientation", [1, 6])
def test_places_in_a_reduced_picture_are_in_pixels_of_the_file(orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    with PillowImage.open(FACES / "ok-frontal.jpg") as picture:
        upright = picture.convert("RGB")
    stored = upright.rotate(90, expand=True) if orientation == 6 else upright
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=95, exif=exif)
    (whole,) = locate_faces(buffer.getvalue(), EVERYBODY).faces
    small = replace(EVERYBODY, rules=replace(EVERYBODY.rules, most_pixels=300 * 300))
    reduced = locate_faces(buffer.getvalue(), small)
    assert (reduced.width, reduced.height) == upright.size
    assert np.abs(reduced.faces[0].landmarks - whole.landmarks)[:, :2].max() < 0.02 * whole.box.width


def test_a_picture_that_is_not_accepted_is_refused() -> None:
    rules = replace(EVERYBODY.rules, shortest_side=5000)
    with pytest.raises(ImageTooSmall):
        locate_faces((FACES / "ok-frontal.jpg").read_bytes(), replace(EVERYBODY, rules=rules))
