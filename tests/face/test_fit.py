from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.face import identity
from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.detector_error import detector_error
from emulator.face.expression import expression_fields
from emulator.face.fit import (
    HeadFit,
    _solver,
    camera_on,
    fit_head,
    fit_pose,
    fit_views,
    landmark_weights,
)
from emulator.face.identity import IDENTITY_COUNT
from emulator.face.landmarks import LANDMARK_COUNT, MIRROR, SURFACE_COUNT, mirrored_landmarks
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.types import Points3

poses = st.builds(Pose, yaw=st.floats(-60, 60), pitch=st.floats(-40, 40), roll=st.floats(-170, 170))
scales = st.floats(2, 100)
seeds = st.integers(0, 2**32 - 1)


def seen(vertices: Points3, camera: WeakPerspective) -> Points3:
    """Return the landmarks of a head. The irises, which the fit does not use, are placed at the eyes."""
    landmarks = np.zeros((LANDMARK_COUNT, 3))
    landmarks[:SURFACE_COUNT] = camera.project(vertices)
    landmarks[SURFACE_COUNT:] = landmarks[[159] * 5 + [386] * 5]
    return landmarks


def as_detected(coefficients: NDArray[np.float64]) -> Points3:
    """Return a head's vertices (468, 3) as a detector without noise reports them, with too little shape."""
    error = detector_error()
    return canonical_mesh().vertices + np.tensordot(error.response @ coefficients, error.directions, axes=1)


def camera_with(pose: Pose, scale: float) -> WeakPerspective:
    return WeakPerspective(scale, rotation_matrix(pose), np.array([320.0, 260.0]))


def somebody(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=IDENTITY_COUNT)


def angle_deg(first: Points3, second: Points3) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(first @ second.T) - 1) / 2, -1, 1))))


def misfit_cm(fit: HeadFit, vertices: Points3) -> float:
    return float(np.sqrt(((fit.mesh.vertices - vertices) ** 2).sum(axis=1).mean()))


@settings(deadline=None)
@given(poses, scales)
def test_the_canonical_head_is_recovered_exactly(pose: Pose, scale: float) -> None:
    camera = camera_with(pose, scale)
    fit = fit_head(seen(canonical_mesh().vertices, camera))
    np.testing.assert_allclose(fit.identity_coefficients, 0, atol=1e-9)
    assert fit.camera.scale == pytest.approx(scale, rel=1e-10)
    np.testing.assert_allclose(fit.camera.rotation, camera.rotation, atol=1e-10)
    np.testing.assert_allclose(fit.camera.translation, camera.translation, atol=1e-7)
    np.testing.assert_allclose(fit.landmarks_cm, canonical_mesh().vertices, atol=1e-9)
    np.testing.assert_allclose(
        (fit.pose.yaw, fit.pose.pitch, fit.pose.roll), (pose.yaw, pose.pitch, pose.roll), atol=1e-7
    )


@settings(deadline=None)
@given(seeds, poses, scales)
def test_the_camera_of_a_known_head_is_recovered_and_its_coefficients_are_shrunk(
    seed: int, pose: Pose, scale: float
) -> None:
    truth = somebody(seed)
    camera = camera_with(pose, scale)
    fit = fit_head(seen(as_detected(truth), camera))
    assert angle_deg(fit.camera.rotation, camera.rotation) < 0.02
    assert fit.camera.scale == pytest.approx(scale, rel=5e-4)
    # The posterior mean is A @ truth, and A is symmetric with eigenvalues from 0 to 1.
    posterior_mean = fit.identity_coefficients / _solver().widening
    assert 0 < posterior_mean @ truth < truth @ truth


def test_known_heads_are_recovered_from_the_landmarks_that_a_detector_returns() -> None:
    rng = np.random.default_rng(0)
    by_size = identity.identity_modes().deviations_cm
    correlations, errors = [], []
    for seed in range(200):
        truth = somebody(seed)
        pose = Pose(rng.uniform(-60, 60), rng.uniform(-40, 40), rng.uniform(-170, 170))
        fit = fit_head(seen(as_detected(truth), camera_with(pose, 20.0)))
        head = identity.mesh(truth).vertices
        average = fit_head(seen(canonical_mesh().vertices, camera_with(pose, 20.0)))
        correlations.append(np.corrcoef(by_size * fit.identity_coefficients, by_size * truth)[0, 1])
        errors.append(misfit_cm(fit, head) / misfit_cm(average, head))
    assert np.median(correlations) > 0.96
    assert min(correlations) > 0.74
    assert np.median(errors) < 0.31
    assert max(errors) < 0.68


@settings(deadline=None)
@given(seeds, st.floats(-180, 180), st.floats(0.1, 10))
def test_moving_turning_and_scaling_the_picture_changes_the_camera_alone(
    seed: int, turn_deg: float, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    landmarks = seen(identity.mesh(somebody(seed)).vertices, camera_with(Pose(20, -10, 0), 15))
    landmarks += rng.normal(size=landmarks.shape)
    # Pixels have y down, so this rotates clockwise as seen by the viewer.
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = np.array([*rng.normal(size=2) * 100, 0.0])
    before = fit_head(landmarks)
    after = fit_head(factor * landmarks @ turn.T + shift)
    np.testing.assert_allclose(after.identity_coefficients, before.identity_coefficients, atol=1e-7)
    np.testing.assert_allclose(after.landmarks_cm, before.landmarks_cm, atol=1e-7)
    assert after.camera.scale == pytest.approx(factor * before.camera.scale)
    np.testing.assert_allclose(
        after.camera.translation, factor * turn[:2, :2] @ before.camera.translation + shift[:2], atol=1e-6
    )
    assert after.pose.yaw == pytest.approx(before.pose.yaw, abs=1e-6)
    assert after.pose.pitch == pytest.approx(before.pose.pitch, abs=1e-6)
    assert (after.pose.roll - before.pose.roll - turn_deg + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(seeds)
def test_a_mirrored_picture_gives_the_mirrored_head(seed: int) -> None:
    rng = np.random.default_rng(seed)
    landmarks = seen(identity.mesh(somebody(seed)).vertices, camera_with(Pose(25, 5, 10), 15))
    landmarks += rng.normal(size=landmarks.shape)
    fit = fit_head(landmarks)
    image = fit_head(mirrored_landmarks(landmarks, 640))
    np.testing.assert_allclose(
        image.identity_coefficients, identity.mirrored(fit.identity_coefficients), atol=1e-8
    )
    np.testing.assert_allclose(
        (image.pose.yaw, image.pose.pitch, image.pose.roll),
        (-fit.pose.yaw, fit.pose.pitch, -fit.pose.roll),
        atol=1e-8,
    )
    np.testing.assert_allclose(
        image.landmarks_cm, fit.landmarks_cm[list(MIRROR[:SURFACE_COUNT])] * (-1, 1, 1), atol=1e-8
    )


@settings(deadline=None)
@given(seeds)
def test_landmarks_in_model_space_project_back_onto_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    landmarks = seen(identity.mesh(somebody(seed)).vertices, camera_with(Pose(-15, 5, 40), 30))
    landmarks += rng.normal(size=landmarks.shape)
    fit = fit_head(landmarks)
    projected = fit.camera.project(fit.landmarks_cm)
    np.testing.assert_allclose(projected[:, :2], landmarks[:SURFACE_COUNT, :2], atol=1e-9)
    # MediaPipe defines the zero of the landmarks' depth; the camera's zero is at the model's origin.
    depth = projected[:, 2] - landmarks[:SURFACE_COUNT, 2]
    np.testing.assert_allclose(depth, depth[0], atol=1e-9)


def test_three_views_give_one_head_that_is_better_than_that_of_any_single_view() -> None:
    truth = somebody(11)
    rng = np.random.default_rng(5)
    head = identity.mesh(truth)
    views = []
    for yaw in (-30, 0, 30):
        landmarks = seen(as_detected(truth), camera_with(Pose(yaw, 0, 0), 20))
        views.append(landmarks + rng.normal(scale=3.0, size=landmarks.shape))
    fits = fit_views(views)
    for fit, yaw in zip(fits, (-30, 0, 30), strict=True):
        assert fit.mesh is fits[0].mesh
        assert fit.identity_coefficients is fits[0].identity_coefficients
        assert fit.pose.yaw == pytest.approx(yaw, abs=1.5)
    together = misfit_cm(fits[0], head.vertices)
    assert together < min(misfit_cm(fit_head(view), head.vertices) for view in views)


def test_the_same_view_twice_gives_the_same_pose_and_larger_coefficients() -> None:
    landmarks = seen(identity.mesh(somebody(4)).vertices, camera_with(Pose(10, 5, 0), 20))
    one, twice = fit_head(landmarks), fit_views([landmarks, landmarks])
    np.testing.assert_array_equal(twice[0].camera.rotation, twice[1].camera.rotation)
    # With twice the evidence, the coefficients shrink less.
    assert twice[0].identity_coefficients @ one.identity_coefficients > one.identity_coefficients @ (
        one.identity_coefficients
    )


def test_camera_on_projects_a_shape_closer_to_the_landmarks_than_the_camera_of_the_fit() -> None:
    rng = np.random.default_rng(3)
    weights = landmark_weights()
    for yaw in (-30, 0, 15):
        landmarks = seen(identity.mesh(somebody(8)).vertices, camera_with(Pose(yaw, 5, 10), 20))
        fit = fit_head(landmarks + rng.normal(scale=2.0, size=landmarks.shape))
        goal = fit.camera.project(fit.landmarks_cm)[:, :2]
        shape = (fit.mesh.vertices + fit.landmarks_cm) / 2
        off = {
            name: float(weights @ ((camera.project(shape)[:, :2] - goal) ** 2).sum(axis=1))
            for name, camera in (("own", fit.camera), ("on", camera_on(fit, shape)))
        }
        assert off["on"] < off["own"]
        assert angle_deg(camera_on(fit, shape).rotation, fit.camera.rotation) < 2.0


def test_facial_actions_hardly_change_the_identity() -> None:
    leaks = []
    for action in expression_fields():
        fit = fit_head(seen(canonical_mesh().vertices + 2 * action, camera_with(Pose(0, 0, 0), 20)))
        moved = float(np.sqrt(((2 * action) ** 2).sum(axis=1).mean()))
        leaks.append(misfit_cm(fit, canonical_mesh().vertices) / moved)
    assert np.median(leaks) < 0.7


@pytest.mark.parametrize("gap_cm", [0.5, 1.0, 1.5])
def test_a_smile_hardly_changes_the_identity(gap_cm: float) -> None:
    smiling = canonical_mesh().vertices + gap_cm * canonical_data().mouth_opening
    fit = fit_head(seen(smiling, camera_with(Pose(10, 0, 0), 20)))
    smile_cm = float(np.sqrt(((smiling - canonical_mesh().vertices) ** 2).sum(axis=1).mean()))
    assert misfit_cm(fit, canonical_mesh().vertices) < 0.25 * smile_cm
    assert angle_deg(fit.camera.rotation, rotation_matrix(Pose(10, 0, 0))) < 2.0


def test_the_mesh_is_bit_identical_to_that_of_the_coefficients() -> None:
    landmarks = seen(identity.mesh(somebody(3)).vertices, camera_with(Pose(5, 5, 5), 12))
    before = landmarks.copy()
    fit, again = fit_head(landmarks), fit_head(landmarks)
    np.testing.assert_array_equal(landmarks, before)
    np.testing.assert_array_equal(identity.mesh(fit.identity_coefficients).vertices, fit.mesh.vertices)
    np.testing.assert_array_equal(fit.identity_coefficients, again.identity_coefficients)
    np.testing.assert_array_equal(fit.landmarks_cm, again.landmarks_cm)


def test_the_pose_alone_is_bit_identical_to_that_of_the_fit() -> None:
    for seed in range(5):
        yaw, pitch, roll = np.random.default_rng(seed).uniform(-60, 60, 3)
        landmarks = seen(identity.mesh(somebody(seed)).vertices, camera_with(Pose(yaw, pitch, roll), 12))
        assert fit_pose(landmarks) == fit_head(landmarks).pose


def test_an_outlier_among_the_landmarks_hardly_matters() -> None:
    camera = camera_with(Pose(0, 0, 0), 20)
    landmarks = seen(identity.mesh(somebody(1)).vertices, camera)
    astray = landmarks.copy()
    astray[10] += (100.0, -50.0, 30.0)
    assert angle_deg(fit_head(astray).camera.rotation, fit_head(landmarks).camera.rotation) < 0.5


def test_weights_are_symmetric() -> None:
    weights = landmark_weights()
    np.testing.assert_array_equal(weights[list(MIRROR[:SURFACE_COUNT])], weights)
    assert weights.min() > 0
    assert weights.max() == 1


def test_wrong_shapes_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="478"):
        fit_head(np.zeros((SURFACE_COUNT, 3)))
    with pytest.raises(ValueError, match="at least one view"):
        fit_views([])
    for fit in (fit_head, fit_pose):
        with pytest.raises(ValueError, match="finite"):
            fit(np.full((LANDMARK_COUNT, 3), np.inf))
