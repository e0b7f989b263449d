from __future__ import annotations

from dataclasses import astuple, fields, replace
from functools import cache

import numpy as np
import pytest
from canonical_landmarks import canonical_landmarks
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.face.fit import HeadFit, fit_head
from emulator.face.landmarks import CHIN_TIP, mirrored_landmarks
from emulator.face.measurement import measure_proportions, upright
from emulator.face.proportions import Proportions

SCALE = 20.0
LANDMARKS = canonical_landmarks(SCALE)
ANGLES = [field.name for field in fields(Proportions) if field.name.endswith(("angle", "rise", "slope"))]


@cache
def canonical_fit() -> HeadFit:
    return fit_head(LANDMARKS)


def fit_like(scale: float = SCALE, roll: float = 0.0) -> HeadFit:
    """Return a fit with this scale and roll. Nothing else of it is used."""
    fit = canonical_fit()
    return replace(fit, camera=replace(fit.camera, scale=scale), pose=replace(fit.pose, roll=roll))


def noisy(seed: int) -> NDArray[np.float64]:
    return LANDMARKS + np.random.default_rng(seed).normal(0.0, 2.0, LANDMARKS.shape)


@given(st.integers(0, 1000), st.floats(0.05, 50), st.floats(-60, 60), st.floats(-1000, 1000))
@settings(max_examples=25, deadline=None)
def test_size_place_and_roll_of_the_face_do_not_matter(
    seed: int, scale: float, roll: float, shift: float
) -> None:
    landmarks = noisy(seed)
    before = measure_proportions(landmarks, fit_like())
    angle = np.radians(roll)
    # A positive roll is clockwise in the picture.
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = landmarks * scale
    moved[:, :2] = landmarks[:, :2] @ turn + (shift, -shift)
    after = measure_proportions(moved, fit_like(SCALE * scale, roll))
    np.testing.assert_allclose(astuple(after), astuple(before), rtol=1e-6, atol=1e-6)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_mirror_image_swaps_the_sides(seed: int) -> None:
    before = measure_proportions(noisy(seed), fit_like())
    after = measure_proportions(mirrored_landmarks(noisy(seed), 401), fit_like())
    for field in fields(Proportions):
        other = field.name
        if other.startswith(("right_", "left_")):
            side, _, rest = other.partition("_")
            other = f"{'left' if side == 'right' else 'right'}_{rest}"
        assert getattr(after, other) == pytest.approx(getattr(before, field.name), abs=1e-6)


def test_lengths_are_in_centimetres_and_add_up() -> None:
    face = measure_proportions(LANDMARKS, fit_like())
    # The pupils of the canonical head are 6.3 cm apart.
    eye = (face.right_eye_width + face.left_eye_width) / 2
    assert face.inner_eye_distance + eye == pytest.approx(6.3, abs=0.25)
    assert face.right_eye_width == pytest.approx(face.left_eye_width)
    across = face.right_eye_margin + face.left_eye_margin + 2 * eye + face.inner_eye_distance
    assert face.jaw_width < face.cheek_width
    assert across == pytest.approx(face.cheek_width, abs=0.3)
    nose_to_chin = (LANDMARKS[CHIN_TIP, 1] - LANDMARKS[2, 1]) / SCALE
    assert face.lower_face == pytest.approx(nose_to_chin)
    assert face.face_height == face.forehead + face.midface + face.lower_face
    for field in fields(Proportions):
        if field.name not in ANGLES:
            assert 0.2 < getattr(face, field.name) < 15


def moved(indices: list[int], by: tuple[float, float]) -> Proportions:
    """Return the proportions with some landmarks moved by centimetres, x right and y down."""
    landmarks = LANDMARKS.copy()
    landmarks[indices, :2] += SCALE * np.array(by)
    return measure_proportions(landmarks, fit_like())


def test_each_measurement_follows_its_landmarks() -> None:
    face = measure_proportions(LANDMARKS, fit_like())
    smile = moved([61, 291], (0.0, -0.5))
    assert smile.mouth_corner_angle < face.mouth_corner_angle - 5
    chin = moved([CHIN_TIP], (0.0, 0.5))
    assert chin.lower_face == pytest.approx(face.lower_face + 0.5)
    assert chin.chin_height == pytest.approx(face.chin_height + 0.5)
    assert chin.chin_angle < face.chin_angle
    assert moved([102], (-0.3, 0.0)).nose_width == pytest.approx(face.nose_width + 0.3)
    assert moved([0, 13], (0.0, -0.2)).lip_thickness == pytest.approx(face.lip_thickness)
    assert moved([17], (0.0, 0.2)).lip_thickness == pytest.approx(face.lip_thickness + 0.1)
    wide = moved([33], (-0.2, 0.0))
    assert wide.right_eye_width == pytest.approx(face.right_eye_width + 0.2)
    assert wide.left_eye_width == face.left_eye_width
    assert wide.right_eye_margin == pytest.approx(face.right_eye_margin - 0.2, abs=0.02)
    # The outer end of a brow is between two landmarks.
    assert moved([70, 46, 300, 276], (0.0, -1.0)).brow_slope > face.brow_slope + 10
    assert moved([105, 334], (0.0, -0.4)).brow_rise > face.brow_rise + 5
    assert moved([2], (0.0, 0.5)).pupils_angle < face.pupils_angle
    assert moved([172], (-0.4, 0.0)).jaw_width == pytest.approx(face.jaw_width + 0.4)
    assert moved([172], (-0.4, 0.0)).right_jaw_angle < face.right_jaw_angle
    assert moved([172], (-0.4, 0.0)).left_jaw_angle == face.left_jaw_angle


def test_upright_points_have_the_middle_of_the_face_vertical() -> None:
    fit = fit_like(roll=90.0)
    np.testing.assert_allclose(upright(np.array([[0.0, 1.0]]), fit), [[1.0, 0.0]], atol=1e-12)
