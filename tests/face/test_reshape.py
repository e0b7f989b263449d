from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.displacement import MINIMUM_JACOBIAN, DisplacementField, minimum_jacobian
from emulator.face.head_frame import head_frame
from emulator.face.landmarks import (
    FACE_OVAL,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    MIRROR,
    UPPER_LIP_INNER,
    mirrored_landmarks,
)
from emulator.face.motions import LIP_PARAMETERS, MOTIONS
from emulator.face.reshape import displaced_landmarks, reshape_field
from emulator.face.reshape_parameters import ONE_SIDED, ReshapeParameters
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_face
from emulator.face.types import Image, Points3
from emulator.face.warp import warp_image
from laboratory.proportions import PROPORTIONS, REACH, outline_motion, teeth_stretch

NAMES = tuple(field.name for field in fields(ReshapeParameters))
EXTREMES = [
    dict.fromkeys(NAMES, 1.0),
    {name: 0.0 if name in ONE_SIDED else -1.0 for name in NAMES},
    {name: 1.0 if name in ONE_SIDED else -1.0 for name in NAMES},
]


@pytest.fixture(scope="module")
def image() -> Image:
    astronaut: Callable[[], Image] = skimage.data.astronaut
    return astronaut()


@pytest.fixture(scope="module")
def landmarks(image: Image) -> Points3:
    return MediaPipeDetector().detect(image)[0].landmarks


def size(image: Image) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def reshape(
    image: Image, landmarks: Points3, parameters: ReshapeParameters, others: Sequence[Points3] = ()
) -> Image:
    """Return ``image`` with the whole displacement field applied, also in the background."""
    return warp_image(image, reshape_field(landmarks, parameters, size(image), others))


# The smooth field flattens such a sharp motion in the picture, so the landmarks move farther.
ASKED_FOR_MORE = {"lip_peak": 1.26}


def values_of(name: str) -> tuple[float, ...]:
    return (0.5, 1.0) if name in ONE_SIDED else (-1.0, -0.5, 0.5, 1.0)


def change(landmarks: Points3, name: str, value: float) -> float:
    frame = head_frame(landmarks)
    moved = displaced_landmarks(landmarks, ReshapeParameters(**{name: value}))
    return PROPORTIONS[name].change(frame.to_head(landmarks), frame.to_head(moved))


def carried_by_the_field(landmarks: Points3, field: DisplacementField) -> Points3:
    """Return the positions of the landmarks' content in the new picture, by inverting the field."""
    moved = landmarks.copy()
    for _ in range(30):
        moved[:, :2] = landmarks[:, :2] - field.at(moved[:, :2])
    return moved


def test_every_parameter_has_motions_and_a_quantity() -> None:
    assert len(NAMES) == 25
    assert set(NAMES) == set(MOTIONS) == set(PROPORTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_changes_its_quantity_by_the_intended_amount(landmarks: Points3, name: str) -> None:
    wanted = PROPORTIONS[name].at_100 * ASKED_FOR_MORE.get(name, 1.0)
    for value in values_of(name):
        assert change(landmarks, name, value) == pytest.approx(value * wanted, rel=0.12)


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_moves_with_the_landmarks(image: Image, landmarks: Points3, name: str) -> None:
    proportion = PROPORTIONS[name]
    frame = head_frame(landmarks)
    for value in values_of(name):
        field = reshape_field(landmarks, ReshapeParameters(**{name: value}), size(image))
        assert MINIMUM_JACOBIAN < minimum_jacobian(field) < 1.0
        moved = carried_by_the_field(landmarks, field)
        changed = proportion.change(frame.to_head(landmarks), frame.to_head(moved))
        # The lips of an open mouth slide over the teeth, which costs a part of the effect.
        least = 0.65 if name == "lip_peak" else 0.7
        assert least < changed / (value * proportion.at_100) < 1.2


def test_the_parameters_of_a_family_add_up(landmarks: Points3) -> None:
    for family in (
        {"face_width": 0.4, "jaw": 0.3, "face_reshape_left": -0.3, "chin_length": 0.5},
        {"eye_size_left": 0.5, "eye_width": -0.3, "eye_distance": 0.4, "eye_angle": 0.6},
        {"nose_size": 0.4, "nose_lift": 0.3, "nose_wing": -0.5, "nose_bridge_width": 0.6, "nose_tip": 0.3},
        {"lip_size": 0.3, "lip_width": 0.4, "lip_height_top": 0.4, "lip_peak": 0.4},
    ):
        together = displaced_landmarks(landmarks, ReshapeParameters(**family)) - landmarks
        alone = [
            displaced_landmarks(landmarks, ReshapeParameters(**{name: value})) - landmarks
            for name, value in family.items()
        ]
        assert together == pytest.approx(np.sum(alone, axis=0), abs=1e-9)


def test_no_two_parameters_have_the_same_effect(landmarks: Points3) -> None:
    effects = [
        (displaced_landmarks(landmarks, ReshapeParameters(**{name: 1.0})) - landmarks).ravel()
        for name in NAMES
    ]
    directions = np.array([effect / np.linalg.norm(effect) for effect in effects])
    alike = np.abs(directions @ directions.T) - np.eye(len(NAMES))
    # Nose size and nose wings are most alike, because the wings are the widest part of the nose.
    assert alike.max() < 0.95


def test_other_faces_stay_as_they_are(image: Image, landmarks: Points3) -> None:
    unit = head_frame(landmarks).unit
    beside = landmarks + np.array([2.0 * unit, 0.0, 0.0])
    parameters = ReshapeParameters(**EXTREMES[0])
    inside = np.zeros(size(image), np.uint8)
    hull = cv2.convexHull(np.rint(beside[list(FACE_OVAL), :2]).astype(np.int32))
    cv2.fillConvexPoly(inside, hull, (1,))
    alone = reshape(image, landmarks, parameters)
    assert (alone != image)[inside > 0].any()
    protected = reshape(image, landmarks, parameters, [beside])
    assert np.array_equal(protected[inside > 0], image[inside > 0])
    assert minimum_jacobian(reshape_field(landmarks, parameters, size(image), [beside])) > MINIMUM_JACOBIAN


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("_left", "_right"))])
def test_a_parameter_of_one_side_does_not_change_the_other_side(
    image: Image, landmarks: Points3, name: str
) -> None:
    # Take the sides from the mesh, because the midline of an asymmetric face is not straight.
    x = canonical_mesh().vertices[:, 0]
    other = np.concatenate([x <= 0, np.arange(468, 478) < 473])
    if name.endswith("_right"):
        other = np.array(MIRROR)[np.flatnonzero(other)]
        other = np.isin(np.arange(478), other)
    for value in (-1.0, 1.0):
        parameters = ReshapeParameters(**{name: value})
        moved = displaced_landmarks(landmarks, parameters)
        assert np.array_equal(moved[other], landmarks[other])
        assert not np.array_equal(moved[~other], landmarks[~other])
        field = reshape_field(landmarks, parameters, size(image))
        # Beyond the line from the top of the forehead to the tip of the chin, no pixel changes.
        (top_x, top_y), (chin_x, chin_y) = landmarks[10, :2], landmarks[152, :2]
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        to_the_left = x - (top_x + (y - top_y) * (chin_x - top_x) / (chin_y - top_y))
        resting = to_the_left <= 0 if name.endswith("_left") else to_the_left >= 0
        changed = (warp_image(image, field) != image).any(axis=2)
        assert not changed[resting].any()
        assert changed[~resting].any()


def test_zero_returns_the_input_bit_for_bit(image: Image, landmarks: Points3) -> None:
    result = reshape(image, landmarks, ReshapeParameters())
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)
    assert np.array_equal(displaced_landmarks(landmarks, ReshapeParameters()), landmarks)


@pytest.mark.parametrize("values", EXTREMES)
def test_all_parameters_at_once_do_not_fold_the_picture(
    image: Image, landmarks: Points3, values: dict[str, float]
) -> None:
    assert (
        minimum_jacobian(reshape_field(landmarks, ReshapeParameters(**values), size(image)))
        > MINIMUM_JACOBIAN
    )


@pytest.mark.parametrize("values", EXTREMES)
def test_pixels_far_from_the_head_stay_bit_for_bit(
    image: Image, landmarks: Points3, values: dict[str, float]
) -> None:
    before = image.copy(), landmarks.copy()
    result = reshape(image, landmarks, ReshapeParameters(**values))
    assert result.shape == image.shape
    assert result.dtype == np.uint8
    assert np.array_equal(image, before[0])
    assert np.array_equal(landmarks, before[1])
    unit = head_frame(landmarks).unit
    oval = landmarks[list(FACE_OVAL), :2]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    outside = (
        (x < oval[:, 0].min() - REACH * unit)
        | (x > oval[:, 0].max() + REACH * unit)
        | (y > oval[:, 1].max() + REACH * unit)
    )
    assert outside.mean() > 0.3
    assert np.array_equal(result[outside], image[outside])
    inside = (slice(int(oval[:, 1].min()), int(oval[:, 1].max())), slice(190, 255))
    assert (result[inside] != image[inside]).any(axis=2).mean() > 0.9


def test_the_same_input_gives_the_same_bits(image: Image, landmarks: Points3) -> None:
    parameters = ReshapeParameters(**EXTREMES[0])
    assert np.array_equal(reshape(image, landmarks, parameters), reshape(image, landmarks, parameters))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_turned_head_is_reshaped_along_its_own_axes(landmarks: Points3, seed: int) -> None:
    random = np.random.default_rng(seed)
    parameters = _some_parameters(random)
    rotation = Rotation.random(random_state=int(random.integers(2**31))).as_matrix()
    scale, shift = random.uniform(0.2, 5), random.uniform(-300, 300, 3)
    carried = displaced_landmarks(scale * landmarks @ rotation.T + shift, parameters)
    expected = scale * displaced_landmarks(landmarks, parameters) @ rotation.T + shift
    assert np.allclose(carried, expected, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_mirrored_face_with_sides_swapped_is_the_mirrored_result(landmarks: Points3, seed: int) -> None:
    parameters = _some_parameters(np.random.default_rng(seed))
    swapped = replace(
        parameters,
        **{
            f"{stem}_{side}": getattr(parameters, f"{stem}_{other}")
            for stem in ("face_reshape", "chin_reshape", "eye_size")
            for side, other in (("left", "right"), ("right", "left"))
        },
    )
    mirrored = displaced_landmarks(mirrored_landmarks(landmarks, 512), swapped)
    assert np.allclose(
        mirrored, mirrored_landmarks(displaced_landmarks(landmarks, parameters), 512), atol=1e-6
    )


def test_values_out_of_range_are_refused() -> None:
    for bad in ({"jaw": -0.1}, {"cheekbones": 1.01}, {"eye_size_left": -1.5}, {"nose_tip": float("nan")}):
        with pytest.raises(ValueError, match="must be"):
            ReshapeParameters(**bad)


def test_invalid_landmarks_are_refused(image: Image, landmarks: Points3) -> None:
    parameters = ReshapeParameters(jaw=1.0)
    with pytest.raises(ValueError, match="478"):
        reshape(image, landmarks[:468], parameters)
    with pytest.raises(ValueError, match="no face"):
        reshape(image, np.zeros((478, 3)), parameters)


def _some_parameters(random: np.random.Generator) -> ReshapeParameters:
    return ReshapeParameters(
        **{name: float(random.uniform(0.0 if name in ONE_SIDED else -1.0, 1.0)) for name in NAMES}
    )


# Combinations of lip parameters at their limits.
LIPS_AT_LIMITS = [
    *({name: value} for name in sorted(LIP_PARAMETERS) for value in (-1.0, 1.0)),
    *({"lip_width": width, "lip_size": size} for width in (-1.0, 1.0) for size in (-1.0, 1.0)),
    dict.fromkeys(sorted(LIP_PARAMETERS), 1.0),
]


@pytest.fixture(
    scope="module", params=[(3, 0, 0.35), (14, 0, 0.5), (54, 0, 0.3), (20, 20, 0.4), (61, -25, 0.3)]
)
def smiling(request: pytest.FixtureRequest) -> tuple[Image, Points3]:
    seed, yaw, open_mouth = request.param
    expression = Expression(smile=1.0, open_mouth=open_mouth)
    spec = SyntheticFaceSpec(
        seed=seed, yaw=yaw, expression=expression, width=480, height=520, face_fraction=0.5
    )
    picture = render_face(spec).image
    return picture, MediaPipeDetector().detect(picture)[0].landmarks


@pytest.mark.parametrize("values", LIPS_AT_LIMITS, ids=str)
def test_lip_parameters_do_not_change_the_outline_and_the_teeth_of_a_smile(
    smiling: tuple[Image, Points3], values: dict[str, float]
) -> None:
    picture, face = smiling
    field = reshape_field(face, ReshapeParameters(**values), size(picture))
    assert outline_motion(field, face) < 0.007
    assert teeth_stretch(field, face) < 0.25
    assert minimum_jacobian(field) > MINIMUM_JACOBIAN


def test_wide_and_large_lips_slide_over_the_teeth(smiling: tuple[Image, Points3]) -> None:
    picture, face = smiling
    field = reshape_field(face, ReshapeParameters(lip_width=1.0, lip_size=1.0), size(picture))
    assert teeth_stretch(field, face) < 0.07


def test_the_middle_of_an_open_mouth_stays_where_it_is(smiling: tuple[Image, Points3]) -> None:
    picture, face = smiling
    field = reshape_field(face, ReshapeParameters(lip_width=1.0, lip_size=1.0), size(picture))
    middle = face[[13, 14], :2].mean(axis=0, keepdims=True)
    assert np.linalg.norm(field.at(middle)) < 0.003 * head_frame(face).unit


@pytest.mark.parametrize("values", [{"lip_width": 1.0}, {"lip_width": -1.0}, {"lip_size": 1.0}], ids=str)
def test_lips_of_an_open_mouth_still_change(smiling: tuple[Image, Points3], values: dict[str, float]) -> None:
    picture, face = smiling
    frame = head_frame(face)
    (name, value), *_ = values.items()
    moved = carried_by_the_field(face, reshape_field(face, ReshapeParameters(**values), size(picture)))
    change = PROPORTIONS[name].change(frame.to_head(face), frame.to_head(moved))
    assert value * change > 0.75 * abs(PROPORTIONS[name].at_100)


def test_a_closed_mouth_is_reshaped_as_a_whole(landmarks: Points3) -> None:
    frame = head_frame(landmarks)
    closed = frame.to_head(landmarks)
    for upper, lower in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        closed[[upper, lower]] = closed[[upper, lower]].mean(axis=0)
    face = frame.origin + frame.to_picture(closed)
    moved = frame.to_head(displaced_landmarks(face, ReshapeParameters(lip_width=1.0)))
    lips = list(LIPS_OUTER + LIPS_INNER)
    middle = closed[[61, 291], 0].mean()
    np.testing.assert_allclose(moved[lips, 0] - middle, 1.14 * (closed[lips, 0] - middle), atol=1e-9)
