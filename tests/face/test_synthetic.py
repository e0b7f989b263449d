from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import get_args

import cv2
import numpy as np
import pytest

from emulator.face import identity
from emulator.face.detection import MediaPipeDetector
from emulator.face.landmarks import CHIN, CHIN_TIP, LIPS_OUTER, MIDLINE, NOSE_BASE
from emulator.face.pose import rotation_matrix
from emulator.face.synthetic import (
    HAIR_COLORS,
    Expression,
    HairType,
    SyntheticFaceSpec,
    ground_truth,
    render_backdrop,
    render_face,
    render_people,
)
from emulator.face.synthetic.named import NAMED_FACES
from emulator.face.synthetic.person import draw_person

SMALL = SyntheticFaceSpec(seed=3, yaw=10.0, width=160, height=200)


face_of = cache(render_face)
"""Draws a face that several tests use, once."""


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.mark.parametrize(("seed", "yaw", "limit"), [(0, 0.0, 0.03), (1, -30.0, 0.045), (2, 15.0, 0.035)])
def test_the_detector_finds_the_face_where_it_is(
    detector: MediaPipeDetector, seed: int, yaw: float, limit: float
) -> None:
    face = render_face(SyntheticFaceSpec(seed=seed, yaw=yaw, width=480, height=480))
    (found,) = detector.detect(face.image)
    error = np.linalg.norm(found.landmarks[:468, :2] - face.landmarks[:, :2], axis=1).mean()
    assert error / np.linalg.norm(face.landmarks[33] - face.landmarks[263]) < limit


def test_equal_specs_give_equal_pictures_bit_for_bit() -> None:
    first, second = face_of(SMALL), render_face(replace(SMALL))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_the_landmarks_are_the_projected_mesh() -> None:
    face = render_face(replace(SMALL, yaw=20.0, pitch=-10.0, roll=5.0))
    mesh = identity.mesh(face.identity_coefficients)
    np.testing.assert_array_equal(face.landmarks, face.camera.project(mesh.vertices[:468]))
    np.testing.assert_array_equal(face.camera.rotation, rotation_matrix(face.pose))
    assert (face.pose.yaw, face.pose.pitch, face.pose.roll) == (20.0, -10.0, 5.0)
    assert face.box.left == face.landmarks[:, 0].min()
    assert face.box.height == pytest.approx(np.ptp(face.landmarks[:, 1]))


def test_a_resting_face_has_the_specified_width() -> None:
    face = render_face(replace(SMALL, yaw=0.0, face_fraction=0.3))
    assert face.box.width == pytest.approx(0.3 * SMALL.width)
    assert face.image.shape == (200, 160, 3)


def test_setting_an_attribute_does_not_change_the_others() -> None:
    free = face_of(SMALL)
    fixed = render_face(replace(SMALL, skin_tone=9, hair_color="blond", hair_type="bald", glasses=True))
    np.testing.assert_array_equal(free.identity_coefficients, fixed.identity_coefficients)
    np.testing.assert_array_equal(free.landmarks, fixed.landmarks)
    assert (fixed.person.skin_tone, fixed.person.hair_color) == (9, "blond")
    assert (fixed.person.hair_type, fixed.person.glasses) == ("bald", True)
    assert (free.image != fixed.image).any()


def test_an_identity_can_be_given_and_a_drawn_one_is_bounded() -> None:
    coefficients = tuple(np.linspace(-1, 1, identity.IDENTITY_COUNT).tolist())
    face = render_face(replace(SMALL, identity_coefficients=coefficients))
    np.testing.assert_array_equal(face.identity_coefficients, coefficients)
    assert np.abs(face_of(SMALL).identity_coefficients).max() <= 2.5


def test_a_darker_tone_gives_a_darker_cheek() -> None:
    brightness = []
    for tone in (1, 4, 7, 10):
        face = render_face(replace(SMALL, skin_tone=tone, yaw=0.0))
        x, y = np.rint(face.landmarks[50, :2]).astype(int)
        brightness.append(face.image[y, x].mean())
    assert brightness == sorted(brightness, reverse=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"skin_tone": 11},
        {"hair_color": "green"},
        {"hair_type": "plaits"},
        {"width": 0},
        {"face_fraction": 0.0},
        {"seed": -1},
        {"gender": "other"},
        {"light": "disco"},
        {"background": "moon"},
        {"blur": -0.1},
        {"yaw": float("nan")},
        {"identity_coefficients": (1.0,)},
    ],
)
def test_invalid_specifications_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not "):
        SyntheticFaceSpec(**changes)  # type: ignore[arg-type]  # wrong on purpose


def test_synthetic_people_vary_about_as_much_as_real_people() -> None:
    coefficients = np.array(
        [draw_person(SyntheticFaceSpec(seed=seed)).identity_coefficients for seed in range(200)]
    )
    assert 0.6 < coefficients.std(axis=0).mean() < 1.4
    assert np.abs(coefficients.mean(axis=0)).max() < 0.6
    # No two people are very similar: their distance is at least half the median.
    distances = np.linalg.norm(coefficients[:, None] - coefficients, axis=2)[np.triu_indices(200, 1)]
    assert distances.min() > 0.5 * np.median(distances)


def test_the_seed_decides_unset_attributes_and_hair_depends_on_gender() -> None:
    people = [draw_person(SyntheticFaceSpec(seed=seed)) for seed in range(300)]
    assert {person.skin_tone for person in people} == set(range(1, 11))
    assert {person.hair_type for person in people} == set(get_args(HairType))
    assert {person.hair_color for person in people} == set(HAIR_COLORS)
    assert 10 < sum(person.glasses for person in people) < 80
    assert all(person.beard == 0 for person in people if person.gender == "female")
    long = [person.gender for person in people if person.hair_type.startswith(("long", "ponytail"))]
    assert long.count("female") > 4 * long.count("male")


@pytest.mark.parametrize(
    ("name", "indices", "direction"),
    [
        ("smile", (61, 291), (0, -1)),
        ("open_mouth", (152, 14, 17), (0, 1)),
        ("closed_eyes", (159, 386), (0, 1)),
        ("raised_brows", (105, 334), (0, -1)),
    ],
)
def test_an_expression_moves_its_features_but_not_the_nose(
    name: str, indices: tuple[int, ...], direction: tuple[int, int]
) -> None:
    spec = replace(SMALL, yaw=0.0)
    rest = face_of(spec)
    moved = face_of(replace(spec, expression=Expression(**{name: 1.0})))
    by = (moved.landmarks - rest.landmarks)[:, :2] / rest.camera.scale
    assert (by[list(indices)] @ direction > 0.3).all()
    # The jaw moves nothing above the mouth, and no expression moves rigid points.
    assert np.abs(by[[6, 168, 10, 33, 263]]).max() < 0.35
    np.testing.assert_array_equal(moved.identity_coefficients, rest.identity_coefficients)
    assert (moved.image != rest.image).any()


def test_closed_eyes_are_closed() -> None:
    face = face_of(replace(SMALL, yaw=0.0, expression=Expression(closed_eyes=1.0)))
    gaps = face.landmarks[[159, 386], 1] - face.landmarks[[145, 374], 1]
    assert np.abs(gaps).max() < 0.02 * face.camera.scale


def test_an_expression_beyond_its_limits_is_refused() -> None:
    with pytest.raises(ValueError, match="smile"):
        Expression(smile=1.5)


def test_several_people_are_drawn_at_their_specified_places(detector: MediaPipeDetector) -> None:
    faces = render_people(NAMED_FACES["two-faces"].people)
    assert faces[0].image is faces[1].image
    found = detector.detect(faces[0].image)
    assert len(found) == 2
    for face in faces:
        error = min(
            np.linalg.norm(one.landmarks[:468, :2] - face.landmarks[:, :2], axis=1).mean() for one in found
        )
        assert error / np.linalg.norm(face.landmarks[33] - face.landmarks[263]) < 0.04


def test_an_empty_list_of_people_is_refused() -> None:
    with pytest.raises(ValueError, match="none"):
        render_people([])


def test_a_backdrop_shows_no_face(detector: MediaPipeDetector) -> None:
    image = render_backdrop(SyntheticFaceSpec(background="window"))
    assert image.shape == (640, 640, 3)
    assert not detector.detect(image)


def test_a_blurred_face_is_where_the_sharp_one_is_and_has_no_edges_left() -> None:
    sharp, soft = face_of(SMALL), render_face(replace(SMALL, blur=0.2))
    np.testing.assert_array_equal(sharp.landmarks, soft.landmarks)
    steps = [np.abs(np.diff(face.image.astype(int), axis=1)).max() for face in (sharp, soft)]
    assert steps[1] < 0.1 * steps[0]


@pytest.mark.parametrize("light", ["left", "right"])
def test_light_from_a_side_lights_that_side(light: str) -> None:
    face = render_face(replace(SMALL, yaw=0.0, light=light, skin_tone=4))  # type: ignore[arg-type]
    cheeks = [
        face.image[tuple(np.rint(face.landmarks[index, 1::-1]).astype(int))].mean() for index in (50, 280)
    ]
    assert (cheeks[0] > cheeks[1]) == (light == "left")


def test_the_ground_truth_can_be_written_and_gives_the_same_face_again() -> None:
    face = face_of(SMALL)
    truth = json.loads(json.dumps(ground_truth([face])))
    (known,) = truth["faces"]
    assert (truth["width"], truth["height"]) == (160, 200)
    assert known["attributes"]["skin_tone"] == face.person.skin_tone
    assert known["pose_deg"] == {"yaw": 10.0, "pitch": 0.0, "roll": 0.0}
    camera = known["camera"]
    vertices = identity.mesh(np.array(known["identity_coefficients"])).vertices[:468]
    turned = vertices @ np.array(camera["rotation"]).T * camera["pixels_per_cm"] * (1, -1, -1)
    turned[:, :2] += camera["origin"]
    np.testing.assert_allclose(turned, known["landmarks"], atol=0.02)


@pytest.mark.parametrize(("seed", "yaw"), [(300, 0.0), (304, -25.0)])
def test_a_mask_is_one_piece_with_its_loops_and_no_skin_shows_through_it(seed: int, yaw: float) -> None:
    bare = render_face(
        SyntheticFaceSpec(seed=seed, yaw=yaw, glasses=False, width=480, height=480, face_fraction=0.6)
    )
    covered = (render_face(replace(bare.spec, covered_mouth=True)).image != bare.image).any(axis=2)
    pieces, _ = cv2.connectedComponents(covered.astype(np.uint8))
    # There is one connected piece, and the rest of the picture.
    assert pieces == 2
    under = [*LIPS_OUTER, *NOSE_BASE, *set(CHIN) & set(MIDLINE) - {CHIN_TIP}]
    columns, rows = np.rint(bare.landmarks[under, :2]).astype(int).T
    assert covered[rows, columns].all()
