from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.landmarks import FACE_OVAL, MIRROR, mirrored_landmarks
from emulator.face.reshape import (
    MOTIONS,
    ONE_SIDED,
    ReshapeParameters,
    displaced_landmarks,
    head_frame,
    reshape,
    reshape_field,
)
from emulator.face.types import Image, Points3
from emulator.face.warp import minimum_jacobian

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


def area(points: Points3, ring: tuple[int, ...]) -> float:
    x, y = points[list(ring), 0], points[list(ring), 1]
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def apart(left: int, right: int, axis: int = 0) -> Callable[[Points3], float]:
    return lambda points: float(points[left, axis] - points[right, axis])


def tilt(points: Points3) -> float:
    """Return how far the left eye is turned outer corner up, in degrees, plus the right eye's."""
    left, right = points[263] - points[362], points[33] - points[133]
    return float(np.rad2deg(np.arctan2(left[1], left[0]) + np.arctan2(right[1], -right[0])))


# What is measured in the head's frame (u), and by how much it grows at 1: a share of itself, or u.
MEASURES: dict[str, tuple[Callable[[Points3], float], str, float]] = {
    "cheekbones": (apart(454, 234), "by", -2 * 0.055),
    "jaw": (apart(397, 172), "by", -2 * 0.08),
    "face_reshape_left": (lambda p: float(p[454, 0]), "by", 0.08),
    "face_reshape_right": (lambda p: -float(p[234, 0]), "by", 0.08),
    "face_width": (apart(454, 234), "by", 2 * 0.10),
    "chin_reshape_left": (apart(378, 152), "times", 0.17),
    "chin_reshape_right": (apart(152, 149), "times", 0.17),
    "chin_length": (lambda p: -float(p[152, 1]), "by", 0.085),
    "eye_size_left": (lambda p: area(p, LEFT_EYE), "times", 0.26),
    "eye_size_right": (lambda p: area(p, RIGHT_EYE), "times", 0.26),
    "eye_width": (apart(263, 362), "times", 0.14),
    "eye_height": (apart(386, 374, 1), "times", 0.22),
    "eye_distance": (lambda p: float(p[list(LEFT_EYE), 0].mean() - p[list(RIGHT_EYE), 0].mean()), "by", 0.10),
    "eye_angle": (tilt, "by", 2 * 5.0),
    "nose_bridge_width": (apart(419, 196), "times", 0.21),
    "nose_lift": (lambda p: float(p[2, 1]), "by", 0.045),
    "nose_size": (apart(279, 49), "times", 0.13),
    "nose_tip": (lambda p: -float(p[4, 1]), "by", 0.035),
    "nose_tip_width": (apart(274, 44), "times", 0.18),
    "nose_wing": (apart(279, 49), "times", 0.17),
    "lip_size": (lambda p: area(p, LIPS_OUTER), "times", 0.26),
    "lip_width": (apart(291, 61), "times", 0.14),
    "lip_height_top": (apart(0, 13, 1), "times", 0.36),
    "lip_height_bottom": (apart(14, 17, 1), "times", 0.36),
    "lip_peak": (lambda p: float((p[267, 1] + p[37, 1]) / 2 - p[0, 1]), "by", 0.033),
}


def measured(landmarks: Points3, name: str, value: float) -> float:
    moved = displaced_landmarks(landmarks, ReshapeParameters(**{name: value}))
    return MEASURES[name][0](head_frame(landmarks).to_head(moved))


def test_every_parameter_has_motions_and_a_measure() -> None:
    assert len(NAMES) == 25
    assert set(NAMES) == set(MOTIONS) == set(MEASURES)


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_moves_what_it_says_by_what_it_says(landmarks: Points3, name: str) -> None:
    before = measured(landmarks, name, 0.0)
    _, how, amount = MEASURES[name]
    for value in (1.0,) if name in ONE_SIDED else (1.0, -1.0):
        change = measured(landmarks, name, value) - before
        if how == "times":
            change /= before
        assert change == pytest.approx(value * amount, rel=0.12)


@pytest.mark.parametrize("name", NAMES)
def test_more_of_a_parameter_is_more_of_its_effect(landmarks: Points3, name: str) -> None:
    values = (0.0, 0.25, 0.5, 0.75, 1.0) if name in ONE_SIDED else (-1.0, -0.5, 0.0, 0.5, 1.0)
    steps = np.diff([measured(landmarks, name, value) for value in values])
    assert (steps * np.sign(MEASURES[name][2]) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_moves_with_the_landmarks(image: Image, landmarks: Points3, name: str) -> None:
    measure, how, amount = MEASURES[name]
    frame = head_frame(landmarks)
    before = measure(frame.to_head(landmarks))
    for value in (1.0,) if name in ONE_SIDED else (1.0, -1.0):
        parameters = ReshapeParameters(**{name: value})
        field = reshape_field(landmarks, parameters, size(image))
        assert 0.3 < minimum_jacobian(field) < 1.0
        # Where the content of each landmark is found in the new picture: the field's inverse.
        moved = displaced_landmarks(landmarks, parameters)
        for _ in range(20):
            moved[:, :2] = landmarks[:, :2] - field.at(moved[:, :2])
        change = measure(frame.to_head(moved)) - before
        if how == "times":
            change /= before
        # Stiffness lets neighbours share, which a small and sharp motion loses some of.
        assert 0.7 < change / (value * amount) < 1.25


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(("_left", "_right"))])
def test_a_side_s_key_leaves_the_other_side(image: Image, landmarks: Points3, name: str) -> None:
    # Sides are the mesh's: in an asymmetric face, the midline is not straight.
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
        assert np.abs(field.at(landmarks[other, :2])).max() < 0.1 * np.abs(field.nodes).max()


def test_zero_returns_the_input_bit_for_bit(image: Image, landmarks: Points3) -> None:
    result = reshape(image, landmarks, ReshapeParameters())
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)
    assert np.array_equal(displaced_landmarks(landmarks, ReshapeParameters()), landmarks)


@pytest.mark.parametrize("values", EXTREMES)
def test_everything_at_once_folds_nothing(image: Image, landmarks: Points3, values: dict[str, float]) -> None:
    assert minimum_jacobian(reshape_field(landmarks, ReshapeParameters(**values), size(image))) > 0.1


@pytest.mark.parametrize("values", EXTREMES)
def test_what_is_far_from_the_head_stays_bit_for_bit(
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
        (x < oval[:, 0].min() - 1.6 * unit)
        | (x > oval[:, 0].max() + 1.6 * unit)
        | (y > oval[:, 1].max() + 1.6 * unit)
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


def test_landmarks_that_are_no_face_are_refused(image: Image, landmarks: Points3) -> None:
    parameters = ReshapeParameters(jaw=1.0)
    with pytest.raises(ValueError, match="478"):
        reshape(image, landmarks[:468], parameters)
    with pytest.raises(ValueError, match="no face"):
        reshape(image, np.zeros((478, 3)), parameters)


def _some_parameters(random: np.random.Generator) -> ReshapeParameters:
    return ReshapeParameters(
        **{name: float(random.uniform(0.0 if name in ONE_SIDED else -1.0, 1.0)) for name in NAMES}
    )
