from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emulator.face.pose import (
    Pose,
    WeakPerspective,
    pose_from_rotation,
    rotation_matrix,
    similarity_transform,
)
from emulator.face.types import Matrix, Points3

NOSE = np.array([0.0, 0.0, 1.0])
TOP = np.array([0.0, 1.0, 0.0])

poses = st.builds(Pose, yaw=st.floats(-179, 179), pitch=st.floats(-89, 89), roll=st.floats(-179, 179))
seeds = st.integers(0, 2**32 - 1)


def random_rotation(rng: np.random.Generator, dimensions: int) -> Matrix:
    orthogonal = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    if np.linalg.det(orthogonal) < 0:
        orthogonal[:, 0] *= -1
    return orthogonal


def test_a_zero_pose_is_exactly_the_identity() -> None:
    np.testing.assert_array_equal(rotation_matrix(Pose(0, 0, 0)), np.eye(3))


def test_yaw_to_the_persons_left_moves_the_nose_to_the_pictures_right() -> None:
    np.testing.assert_allclose(rotation_matrix(Pose(90, 0, 0)) @ NOSE, [1, 0, 0], atol=1e-15)


def test_pitch_up_moves_the_nose_up() -> None:
    np.testing.assert_allclose(rotation_matrix(Pose(0, 90, 0)) @ NOSE, [0, 1, 0], atol=1e-15)


def test_roll_to_the_persons_left_shoulder_moves_the_top_to_the_pictures_right() -> None:
    np.testing.assert_allclose(rotation_matrix(Pose(0, 0, 90)) @ TOP, [1, 0, 0], atol=1e-15)


@given(poses)
def test_pose_survives_the_round_trip(pose: Pose) -> None:
    rotation = rotation_matrix(pose)
    found = pose_from_rotation(rotation)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(
        (found.yaw, found.pitch, found.roll), (pose.yaw, pose.pitch, pose.roll), atol=1e-9
    )


@pytest.mark.parametrize("pitch", [-90, 90])
def test_straight_up_or_down_still_gives_the_same_rotation(pitch: float) -> None:
    rotation = rotation_matrix(Pose(25, pitch, 40))
    np.testing.assert_allclose(rotation_matrix(pose_from_rotation(rotation)), rotation, atol=1e-12)


@given(poses, st.floats(-90, 90))
def test_turning_the_picture_changes_the_roll_alone(pose: Pose, angle_deg: float) -> None:
    turned = pose_from_rotation(rotation_matrix(Pose(0, 0, angle_deg)) @ rotation_matrix(pose))
    assert turned.yaw == pytest.approx(pose.yaw, abs=1e-9)
    assert turned.pitch == pytest.approx(pose.pitch, abs=1e-9)
    assert (turned.roll - pose.roll - angle_deg + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)


@given(poses)
def test_a_mirrored_head_has_the_opposite_yaw_and_roll(pose: Pose) -> None:
    mirror = np.diag([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        mirror @ rotation_matrix(pose) @ mirror,
        rotation_matrix(Pose(-pose.yaw, pose.pitch, -pose.roll)),
        atol=1e-15,
    )


@given(seeds, st.integers(2, 4), st.floats(1e-3, 1e3))
def test_similarity_transform_recovers_a_known_one(seed: int, dimensions: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rotation = random_rotation(rng, dimensions)
    translation = rng.normal(size=dimensions) * 100
    src = rng.normal(size=(12, dimensions))
    weights = rng.uniform(0.1, 1, 12)
    dst = scale * src @ rotation.T + translation
    found_scale, found_rotation, found_translation = similarity_transform(src, dst, weights)
    assert found_scale == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(found_rotation, rotation, atol=1e-9 * max(1, 1 / scale))
    np.testing.assert_allclose(found_translation, translation, atol=1e-9 * max(1, scale))


@given(seeds)
def test_points_without_weight_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    src, dst = rng.normal(size=(2, 9, 3))
    weights = np.array([1.0] * 6 + [0.0] * 3)
    whole = similarity_transform(src, dst, weights)
    part = similarity_transform(src[:6], dst[:6])
    assert whole[0] == pytest.approx(part[0])
    np.testing.assert_allclose(whole[1], part[1], atol=1e-9)
    np.testing.assert_allclose(whole[2], part[2], atol=1e-9)


def test_similarity_transform_returns_no_reflection() -> None:
    src = np.random.default_rng(0).normal(size=(20, 3))
    _, rotation, _ = similarity_transform(src, src * (-1, 1, 1))
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_similarity_transform_refuses_invalid_points_and_weights() -> None:
    points = np.zeros((4, 3))
    with pytest.raises(ValueError, match="different"):
        similarity_transform(points, points)
    with pytest.raises(ValueError, match="both"):
        similarity_transform(points, points[:3])
    with pytest.raises(ValueError, match="weights"):
        similarity_transform(points, points, np.zeros(4))


@given(poses, arrays(np.float64, (5, 3), elements=st.floats(-50, 50)), st.floats(0.5, 200))
def test_unproject_undoes_project(pose: Pose, vertices: Points3, scale: float) -> None:
    camera = WeakPerspective(scale, rotation_matrix(pose), np.array([320.0, 240.0]))
    before = vertices.copy()
    np.testing.assert_allclose(camera.unproject(camera.project(vertices)), vertices, atol=1e-9)
    np.testing.assert_array_equal(vertices, before)


def test_project_has_x_right_y_down_and_z_away() -> None:
    camera = WeakPerspective(10.0, np.eye(3), np.array([100.0, 50.0]))
    np.testing.assert_array_equal(
        camera.project(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])), [[100, 50, 0], [110, 30, -30]]
    )


near = st.builds(Pose, yaw=st.floats(-8, 8), pitch=st.floats(-8, 8), roll=st.floats(-8, 8))


@given(poses, near, st.floats(0.9, 1.1), seeds)
def test_refined_recovers_the_camera_and_ignores_depths(
    pose: Pose, off: Pose, growth: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(60, 3)) * (7.0, 9.0, 4.0)
    truth = WeakPerspective(20.0, rotation_matrix(pose), np.array([320.0, 240.0]))
    start = WeakPerspective(
        20.0 * growth, rotation_matrix(off) @ truth.rotation, truth.translation + rng.normal(size=2) * 9
    )
    found = start.refined(vertices, truth.project(vertices)[:, :2], rng.uniform(0.1, 1.0, 60))
    np.testing.assert_allclose(found.project(vertices)[:, :2], truth.project(vertices)[:, :2], atol=1e-3)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-12)


@given(near, seeds)
def test_no_camera_nearby_is_better_than_the_refined_one(off: Pose, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(60, 3)) * (7.0, 9.0, 4.0)
    pixels = 20.0 * vertices[:, :2] * (1, -1) + rng.normal(size=(60, 2)) * 5
    weights = rng.uniform(0.1, 1.0, 60)

    def misfit(camera: WeakPerspective) -> float:
        return float(weights @ ((camera.project(vertices)[:, :2] - pixels) ** 2).sum(axis=1))

    best = WeakPerspective(20.0, rotation_matrix(off), np.zeros(2)).refined(vertices, pixels, weights, 12)
    for _ in range(20):
        turn = rotation_matrix(Pose(*rng.normal(scale=0.2, size=3)))
        other = WeakPerspective(
            best.scale * float(np.exp(rng.normal(scale=0.002))),
            turn @ best.rotation,
            best.translation + rng.normal(scale=0.1, size=2),
        )
        assert misfit(best) < misfit(other)
