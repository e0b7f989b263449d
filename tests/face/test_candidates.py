from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.face.box import Box
from emulator.face.candidates import (
    CROP_VARIANTS,
    LOOK_CROP,
    MESH_CROP,
    PLAIN,
    Candidate,
    CropSize,
    CropVariant,
    Place,
    around,
    box_around,
    in_image,
    moved,
    overlap,
    same_place,
    shows_part,
    surroundings,
    tiles,
    turn_matrix,
    turned,
    upright_crop,
    without_duplicates,
)
from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import FACE_OVAL, LANDMARK_COUNT, SURFACE_COUNT
from emulator.face.types import Points3

numbers = st.floats(-200.0, 200.0)
sides = st.floats(1.0, 200.0)
boxes = st.builds(Box, numbers, numbers, sides, sides)
places = st.builds(lambda x, y, side, roll: Place(Box(x, y, side, side), roll), numbers, numbers, sides,
                   st.floats(-3.0, 3.0))  # fmt: skip


def frontal_face(scale: float = 10.0, right: float = 300.0, down: float = 300.0) -> Points3:
    """Return landmarks (478, 3) of an upright face; ``scale`` is in pixels per centimetre."""
    landmarks = np.zeros((LANDMARK_COUNT, 3))
    landmarks[:SURFACE_COUNT] = canonical_mesh().vertices * (1.0, -1.0, -1.0)
    return landmarks * scale + (right, down, 0.0)


def square(x: float, y: float, side: float) -> Box:
    """Return the square with the centre (x, y)."""
    return Box(x - side / 2, y - side / 2, side, side)


@given(boxes, boxes)
def test_the_overlap_is_symmetric_and_1_only_for_equal_boxes(first: Box, second: Box) -> None:
    assert 0.0 <= overlap(first, second) <= 1.0 + 1e-12
    assert overlap(first, second) == pytest.approx(overlap(second, first))
    assert overlap(first, first) == pytest.approx(1.0)
    assert same_place(first, second) == same_place(second, first)


def test_the_overlap_is_the_intersection_over_the_union() -> None:
    assert overlap(Box(0, 0, 4, 2), Box(2, 0, 4, 2)) == pytest.approx(4 / 12)
    assert overlap(Box(0, 0, 4, 2), Box(1, 0, 2, 2)) == pytest.approx(4 / 8)
    assert overlap(Box(0, 0, 4, 2), Box(4, 0, 4, 2)) == 0.0
    assert overlap(Box(0, 0, 1, 1), Box(3, 5, 1, 1)) == 0.0


def test_boxes_inside_each_other_are_at_the_same_place_only_if_they_are_alike() -> None:
    assert same_place(Box(0, 0, 10, 10), Box(1, 1, 8, 8))
    assert not same_place(Box(0, 0, 10, 10), Box(2, 2, 6, 6))


@given(st.lists(st.builds(Candidate, places, st.floats(0.0, 1.0)), max_size=8))
def test_of_candidates_at_one_place_the_best_is_kept(candidates: list[Candidate]) -> None:
    kept = without_duplicates(candidates)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    for number, one in enumerate(kept):
        assert not any(same_place(one.place.box, other.place.box) for other in kept[:number])
    for one in candidates:
        assert any(
            other.score >= one.score and (other == one or same_place(one.place.box, other.place.box))
            for other in kept
        )


def test_a_box_on_the_middle_of_a_face_shows_a_part_of_it() -> None:
    face = frontal_face()
    whole = box_around(face)
    for x, y in ((0.5, 0.5), (0.3, 0.35), (0.7, 0.35), (0.5, 0.8)):
        part = square(whole.left + x * whole.width, whole.top + y * whole.height, 0.3 * whole.width)
        assert shows_part(part, face)


def test_a_box_in_a_corner_of_a_faces_box_is_outside_the_face() -> None:
    face = frontal_face()
    whole = box_around(face)
    for x, y in product((0.08, 0.92), (0.08, 0.92)):
        beside = square(whole.left + x * whole.width, whole.top + y * whole.height, 0.15 * whole.width)
        assert not shows_part(beside, face)


def test_a_box_that_is_mostly_outside_a_faces_box_does_not_show_a_part_of_it() -> None:
    face = frontal_face()
    whole = box_around(face)
    chin = whole.left + whole.width / 2, whole.top + 0.98 * whole.height
    assert not shows_part(square(*chin, 0.4 * whole.width), face)
    assert not shows_part(square(*chin, 4.0 * whole.width), face)


def test_the_corners_of_the_box_of_a_face_are_outside_its_outline() -> None:
    face = frontal_face()
    outline = face[list(FACE_OVAL), :2]
    area = 0.5 * abs(
        np.sum(outline[:, 0] * np.roll(outline[:, 1], -1) - outline[:, 1] * np.roll(outline[:, 0], -1))
    )
    whole = box_around(face)
    assert 0.6 < area / (whole.width * whole.height) < 0.9


@given(st.floats(-3.0, 3.0))
def test_the_roll_and_the_size_of_a_place_follow_the_landmarks(radians: float) -> None:
    face = frontal_face(right=0.0, down=0.0)
    rolled = face.copy()
    rolled[:, :2] = face[:, :2] @ turn_matrix(radians).T
    upright, place = around(face), around(rolled)
    assert place.roll == pytest.approx(upright.roll + radians, abs=1e-9)
    assert place.box.width == place.box.height == pytest.approx(upright.box.width)
    centre = np.array([upright.box.left, upright.box.top]) + upright.box.width / 2
    expected = turn_matrix(radians) @ centre
    assert (place.box.left + place.box.width / 2, place.box.top + place.box.width / 2) == pytest.approx(
        tuple(expected.tolist())
    )


@given(places)
def test_the_plain_variant_changes_nothing(place: Place) -> None:
    assert moved(place, PLAIN) == place


@given(places, st.floats(-10.0, 10.0))
def test_a_turned_place_has_a_roll_within_half_a_turn(place: Place, radians: float) -> None:
    result = turned(place, radians)
    assert result.box == place.box
    assert abs(result.roll) <= np.pi
    assert np.exp(1j * result.roll) == pytest.approx(np.exp(1j * (place.roll + radians)))


def test_every_two_crop_variants_are_mirror_images() -> None:
    for first, second in (CROP_VARIANTS[:2], CROP_VARIANTS[2:]):
        assert (first.right, first.down, first.size, first.roll) == (
            -second.right, second.down, second.size, -second.roll,
        )  # fmt: skip
        assert first.mirrored != second.mirrored


@given(places, st.sampled_from([MESH_CROP, LOOK_CROP]))
def test_a_crop_is_centred_on_its_place_and_upright(place: Place, size: CropSize) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    _, to_image = upright_crop(surroundings(image, place), place, size)
    centre = to_image @ (*np.full(2, (size.pixels - 1) / 2), 1.0)
    assert centre == pytest.approx(
        (place.box.left + place.box.width / 2, place.box.top + place.box.height / 2), abs=1e-6
    )
    along = to_image[:, 0]
    assert np.hypot(*along) * size.pixels == pytest.approx(size.boxes * place.box.width)
    assert np.exp(1j * np.arctan2(along[1], along[0])) == pytest.approx(np.exp(1j * place.roll))


@pytest.mark.parametrize("variant", [PLAIN, *CROP_VARIANTS])
@pytest.mark.parametrize("size", [MESH_CROP, LOOK_CROP])
def test_the_surroundings_contain_each_crop_variant(variant: CropVariant, size: CropSize) -> None:
    """A crop from the surroundings has the same pixels as a crop from the whole picture."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (400, 500, 3), dtype=np.uint8), (0, 0), 3)
    place = Place(Box(180.0, 140.0, 110.0, 110.0), 0.3)
    part = surroundings(np.asarray(image, np.uint8), place)
    crop, to_image = upright_crop(part, moved(place, variant), size)
    shape = size.pixels, size.pixels
    expected = cv2.warpAffine(image, to_image, shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    assert np.abs(crop.astype(int) - expected).max() <= 3


@given(places)
def test_landmarks_of_a_crop_return_to_the_picture(place: Place) -> None:
    _, to_image = upright_crop(surroundings(np.zeros((40, 60, 3), np.uint8), place), place, MESH_CROP)
    normalised = np.random.default_rng(1).random((LANDMARK_COUNT, 3))
    landmarks = in_image(normalised, to_image)
    # Integer coordinates are the centres of pixels in the picture, and the edges of pixels in MediaPipe.
    flat = (landmarks[:, :2] - to_image[:, 2]) @ np.linalg.inv(to_image[:, :2]).T
    np.testing.assert_allclose((flat + 0.5) / MESH_CROP.pixels, normalised[:, :2], atol=1e-6)
    np.testing.assert_allclose(
        landmarks[:, 2], normalised[:, 2] * MESH_CROP.boxes * place.box.width, atol=1e-6
    )


def ends(height: int, width: int, eighths: int) -> Iterator[tuple[int, int, int, int]]:
    for left, top, across, down in tiles(height, width, eighths):
        yield left, top, left + across, top + down


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([(5, 4, 4), (3, 9, 16)]))
def test_tiles_cover_the_picture_and_contain_each_small_face(
    height: int, width: int, kind: tuple[int, int, int]
) -> None:
    eighths, count, part = kind
    found = list(ends(height, width, eighths))
    assert len(found) == count
    assert min(left for left, _, _, _ in found) == min(top for _, top, _, _ in found) == 0
    assert max(right for _, _, right, _ in found) == width
    assert max(bottom for _, _, _, bottom in found) == height
    for low, high, side in ((0, 2, width), (1, 3, height)):
        spans = sorted({(tile[low], tile[high]) for tile in found})
        for (_, end), (start, _) in pairwise(spans):
            # Neighbours share enough for a face of this size, except for rounding to pixels.
            assert end - start >= side / part - 2
