from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import detector_error, error_fields
from emulator.face.identity import mirrored_field, similarity_fields
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.pose import Pose


def test_stored_fields_are_even_or_odd_and_move_turn_and_scale_nothing() -> None:
    similarity = similarity_fields(canonical_mesh().vertices).reshape(7, -1)
    for field in detector_error():
        image = mirrored_field(field)
        sign = np.sign(np.vdot(image, field))
        np.testing.assert_array_equal(image, sign * field)
        assert np.abs(similarity @ field.ravel()).max() < 0.05 * np.linalg.norm(field)


def test_errors_that_depend_on_the_pose_are_found_again() -> None:
    rng = np.random.default_rng(0)
    shape = (SURFACE_COUNT, 3)
    similarity = similarity_fields(canonical_mesh().vertices).reshape(7, -1)

    def field(parity: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        raw = rng.normal(size=shape)
        raw = raw + parity * mirrored_field(raw)
        return np.asarray((raw.ravel() - raw.ravel() @ similarity.T @ similarity).reshape(shape))

    constant, turning = field(1.0), field(-1.0)
    poses = [Pose(yaw, pitch, 0.0) for yaw in (-30, -10, 0, 15, 30) for pitch in (-15, 0, 15)]
    errors = np.array([constant + pose.yaw / 30.0 * turning for pose in poses])
    found = error_fields(errors, poses)
    np.testing.assert_allclose(found[0], constant, atol=1e-8)
    np.testing.assert_allclose(found[4], turning, atol=1e-8)
    np.testing.assert_allclose(found[[1, 2, 3, 5]], 0, atol=1e-8)
    np.testing.assert_allclose(found[6:], 0, atol=1e-6)


def test_fields_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        detector_error()[0] = 0
