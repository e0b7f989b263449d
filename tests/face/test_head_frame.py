from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from emulator.face.canonical import canonical_mesh
from emulator.face.head_frame import check_landmarks, head_frame
from emulator.face.landmarks import LANDMARK_COUNT, SURFACE_COUNT
from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER as LEFT
from emulator.face.landmarks import RIGHT_EYE_OUTER_CORNER as RIGHT
from emulator.face.types import Points3

angles = st.floats(-60.0, 60.0)


def frontal() -> Points3:
    """Return the landmarks (478, 3) of a frontal canonical mesh, with 20 pixels per centimetre."""
    landmarks = np.zeros((LANDMARK_COUNT, 3))
    landmarks[:SURFACE_COUNT] = canonical_mesh().vertices * (20.0, -20.0, -20.0)
    return landmarks


def test_the_axes_of_a_frontal_head_are_those_of_the_picture() -> None:
    landmarks = frontal()
    frame = head_frame(landmarks)
    # x to the person's left, which is right in the picture; y up; z towards the camera.
    np.testing.assert_allclose(frame.axes[0], [1.0, 0.0, 0.0], atol=1e-6)
    assert frame.axes[1] @ [0.0, -1.0, 0.0] > 0.98
    assert frame.axes[2] @ [0.0, 0.0, -1.0] > 0.98
    np.testing.assert_allclose(frame.origin, (landmarks[LEFT] + landmarks[RIGHT]) / 2)
    assert frame.unit == pytest.approx(np.linalg.norm(landmarks[LEFT] - landmarks[RIGHT]))


@given(angles, angles, angles, st.floats(0.1, 10.0), st.floats(-500.0, 500.0))
def test_the_axes_turn_with_the_head(
    yaw: float, pitch: float, roll: float, size: float, shift: float
) -> None:
    turn = Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).as_matrix()
    before = head_frame(frontal())
    after = head_frame(size * frontal() @ turn.T + [shift, -shift, 2.0 * shift])
    np.testing.assert_allclose(after.axes, before.axes @ turn.T, atol=1e-7)
    np.testing.assert_allclose(after.axes @ after.axes.T, np.eye(3), atol=1e-9)
    assert after.unit == pytest.approx(size * before.unit)
    np.testing.assert_allclose(
        after.to_head(size * frontal() @ turn.T + [shift, -shift, 2.0 * shift]),
        before.to_head(frontal()),
        atol=1e-6,
    )


def test_the_outer_eye_corners_are_half_a_unit_from_the_origin() -> None:
    points = head_frame(frontal()).to_head(frontal())
    assert np.linalg.norm(points[LEFT]) == pytest.approx(0.5)
    assert points[LEFT, 0] == pytest.approx(0.5, abs=1e-3)
    assert points[RIGHT, 0] == pytest.approx(-0.5, abs=1e-3)


@given(st.integers(0, 1000))
def test_displacements_in_the_picture_and_in_the_head_correspond(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = head_frame(frontal() + rng.normal(0.0, 2.0, (LANDMARK_COUNT, 3)))
    points, vectors = rng.normal(0.0, 100.0, (5, 3)), rng.normal(size=(5, 3))
    moved = frame.to_head(points + frame.to_picture(vectors)) - frame.to_head(points)
    np.testing.assert_allclose(moved, vectors, atol=1e-9)


@pytest.mark.parametrize("scale", [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0)])
def test_landmarks_that_define_no_axes_are_refused(scale: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="no axes"):
        head_frame(frontal() * scale)


@pytest.mark.parametrize(
    "landmarks", [np.zeros((468, 3)), np.zeros((478, 2)), np.full((478, 3), np.nan), np.zeros(478)]
)
def test_other_landmarks_are_refused(landmarks: Points3) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        check_landmarks(landmarks)
    with pytest.raises(ValueError, match="landmarks"):
        head_frame(landmarks)
