from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.face import identity
from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.detector_error import detector_error
from emulator.face.fit import HeadFit, fit_head, fit_views
from emulator.face.landmarks import (
    LANDMARK_COUNT,
    LOWER_LIP_INNER,
    MIRROR,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    mirrored_landmarks,
)
from emulator.face.likely_shape import evidence, likely_shape, observed_shape
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.types import Points3

MIRRORED = list(MIRROR[:SURFACE_COUNT])


def seen(vertices: Points3, yaw: float = 0.0, pitch: float = 0.0) -> Points3:
    """Return the landmarks of a head, as a detector without errors reports them."""
    camera = WeakPerspective(20.0, rotation_matrix(Pose(yaw, pitch, 7.0)), np.array([320.0, 260.0]))
    landmarks = np.zeros((LANDMARK_COUNT, 3))
    landmarks[:SURFACE_COUNT] = camera.project(vertices)
    return landmarks


def somebody(seed: int) -> Points3:
    """Return the vertices of a random head."""
    return identity.mesh(np.random.default_rng(seed).normal(size=identity.IDENTITY_COUNT)).vertices


def rms_mm(offsets: Points3) -> float:
    return 10 * float(np.sqrt((offsets**2).sum(axis=1).mean()))


def moved(shift: NDArray[np.float64]) -> Points3:
    """Return the displacement of the likely shape (468, 3) for a shift (L,) of the evidence."""
    model = likely_shape()
    offset: Points3 = np.tensordot(model.slopes @ shift, model.fields, axes=1)
    return offset


def test_the_mean_head_is_symmetric_and_closed_at_the_lips() -> None:
    mean = likely_shape().mean
    np.testing.assert_array_equal(mean[MIRRORED] * (-1, 1, 1), mean)
    gaps = mean[list(UPPER_LIP_INNER[1:-1]), 1] - mean[list(LOWER_LIP_INNER[1:-1]), 1]
    np.testing.assert_allclose(gaps, 0.03, atol=1e-6)


def test_the_fields_are_orthonormal() -> None:
    fields = likely_shape().fields.reshape(len(likely_shape().fields), -1)
    np.testing.assert_allclose(fields @ fields.T, np.eye(len(fields)), atol=1e-3)


def test_the_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        likely_shape().mean[0] = 0.0


def test_canonical_landmarks_give_no_deviation() -> None:
    fits = [fit_head(seen(canonical_mesh().vertices))]
    np.testing.assert_allclose(evidence(fits), 0.0, atol=1e-7)
    # The landmarks differ from the mean head. A tenth of that is added.
    assert rms_mm(observed_shape(fits) - likely_shape().mean) < 0.1 * rms_mm(
        canonical_mesh().vertices - likely_shape().mean
    )


def test_a_shift_of_all_landmarks_that_comes_from_the_look_of_a_picture_hardly_moves_the_shape() -> None:
    bias = detector_error().bias[0]
    in_landmarks = rms_mm(np.tensordot(bias, detector_error().directions, axes=1))
    assert rms_mm(moved(bias)) < 0.15 * in_landmarks
    # A difference between people of the same size moves the shape.
    turned = np.roll(bias, 1)
    assert rms_mm(moved(turned)) > 3 * rms_mm(moved(bias))


@pytest.mark.parametrize("yaw", [-25, 0, 30])
def test_the_mirror_image_of_a_person_has_the_mirror_image_of_the_shape(yaw: float) -> None:
    landmarks = seen(somebody(4), yaw, 5)
    shape = observed_shape([fit_head(landmarks)])
    image = observed_shape([fit_head(mirrored_landmarks(landmarks, 640))])
    assert rms_mm(image[MIRRORED] * (-1, 1, 1) - shape) < 0.02


def test_the_same_view_three_times_gives_the_shape_of_one_view() -> None:
    landmarks = seen(somebody(6), 10, 5)
    once, thrice = (observed_shape(fit_views([landmarks] * count)) for count in (1, 3))
    np.testing.assert_allclose(thrice, once, atol=1e-12)


def test_a_view_with_a_higher_misfit_counts_less() -> None:
    rng = np.random.default_rng(3)
    good = seen(somebody(6), -10)
    bad = seen(somebody(6), 10) + rng.normal(scale=4.0, size=(LANDMARK_COUNT, 3))
    fits = fit_views([good, bad])
    first, second = (evidence([fit]) for fit in fits)
    weights = np.array([1 / fit.misfit for fit in fits])
    np.testing.assert_allclose(
        evidence(fits), (weights[0] * first + weights[1] * second) / weights.sum(), atol=1e-12
    )


@pytest.mark.parametrize("yaw", [-25, 0, 40])
def test_a_tenth_of_the_detail_is_added_across_the_line_of_sight(yaw: float) -> None:
    rng = np.random.default_rng(2)
    landmarks = seen(somebody(6), yaw, 5)
    fit = fit_head(landmarks + rng.normal(size=landmarks.shape))
    added = observed_shape([fit]) - _likely(fit)
    sight = fit.camera.rotation[2]
    # Up to the small rotation that aligns the landmarks with the likely shape.
    assert rms_mm(np.outer(added @ sight, sight)) < 0.1 * rms_mm(added)
    assert 0.0 < rms_mm(added) < 0.1 * rms_mm(fit.landmarks_cm - _likely(fit))


def _likely(fit: HeadFit) -> Points3:
    return likely_shape().mean + moved(evidence([fit]))


def test_a_smile_in_the_picture_is_in_the_shape() -> None:
    resting, smiling = (
        observed_shape([fit_head(seen(canonical_mesh().vertices + gap * canonical_data().mouth_opening))])
        for gap in (0.0, 0.7)
    )
    corners = [61, 291]
    width = [float(np.ptp(shape[corners, 0])) for shape in (resting, smiling)]
    assert width[1] > width[0] + 0.1
