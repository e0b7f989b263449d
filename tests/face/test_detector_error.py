from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import detector_error, pose_terms, within_person_fields
from emulator.face.identity import IDENTITY_COUNT, mirrored_field, similarity_fields


def test_directions_are_orthonormal_and_even_or_odd_and_move_turn_and_scale_nothing() -> None:
    directions = detector_error().directions
    flat = directions.reshape(len(directions), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-5)
    similarity = similarity_fields(canonical_mesh().vertices).reshape(7, -1)
    np.testing.assert_allclose(flat @ similarity.T, 0, atol=1e-5)
    for direction in directions:
        image = mirrored_field(direction)
        np.testing.assert_array_equal(image, np.sign(np.vdot(image, direction)) * direction)


def test_covariances_are_symmetric_and_faces_that_act_err_more() -> None:
    error = detector_error()
    count = len(error.directions)
    assert error.response.shape == (count, IDENTITY_COUNT)
    for covariance in (error.at_rest, error.acting, error.lasting):
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-5)
        assert np.linalg.eigvalsh(covariance).min() > -1e-4
    # The lasting error is a part of the error.
    assert 0 < np.trace(error.lasting) < np.trace(error.at_rest) < np.trace(error.acting)


def test_even_and_odd_directions_are_independent() -> None:
    """A mirrored picture gives mirrored landmarks, so even and odd directions are independent."""
    error = detector_error()
    parity = np.array([np.sign(np.vdot(mirrored_field(field), field)) for field in error.directions])
    even, odd = parity > 0, parity < 0
    for covariance in (error.at_rest, error.acting, error.lasting):
        np.testing.assert_allclose(covariance[np.ix_(even, odd)], 0, atol=1e-5)
    # Only the second and the fifth pose term change sign with the yaw.
    turned = np.isin(np.arange(len(error.bias)), (1, 4))
    np.testing.assert_allclose(error.bias[np.ix_(turned, even)], 0, atol=1e-5)
    np.testing.assert_allclose(error.bias[np.ix_(~turned, odd)], 0, atol=1e-5)


def test_pose_terms_are_powers_of_yaw_and_pitch() -> None:
    np.testing.assert_array_equal(pose_terms(np.array(0.0), np.array(0.0)), [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(pose_terms(np.array([60.0]), np.array([-15.0])), [[1, 2, 4, -1, -2, 1]])


def test_the_variation_of_photographs_falls_with_the_frequency() -> None:
    sizes = np.linalg.norm(within_person_fields(), axis=(1, 2))
    assert sizes[:3].max() == sizes.max()
    assert sizes[-3:].max() < 0.3 * sizes.max()


def test_arrays_are_read_only() -> None:
    for field in fields(detector_error()):
        with pytest.raises(ValueError, match="read-only"):
            getattr(detector_error(), field.name)[0] = 0
