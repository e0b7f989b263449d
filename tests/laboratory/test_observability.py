"""Tests of the mode choice on simulated landmarks, which depend on the heads by a known rule."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.detector_error import pose_terms
from emulator.face.identity import IDENTITY_COUNT, IdentityModes, mirrored_field
from emulator.face.landmarks import SURFACE_COUNT
from laboratory.modes import choose_modes
from laboratory.response import measured_error
from laboratory.sights import Observations, head_of_modes, variations, varied_head

BLIND = canonical_mesh().vertices[:, 1] > 3.0
"""The forehead: the simulated detector leaves these landmarks at the mean head."""


def observations_of(heads: np.ndarray[tuple[int, ...], np.dtype[np.float64]], gain: float) -> Observations:
    """Return detections with response ``gain`` across the line of sight, and 0 in depth and in `BLIND`."""
    rng = np.random.default_rng(1)
    count = len(heads)
    answer = gain * heads * (1.0, 1.0, 0.0)
    answer[:, BLIND] = 0.0
    seen = answer + 0.1 * rng.standard_normal(heads.shape)
    pose = rng.uniform(-30, 30, (count, 2)) * (1.0, 0.5)
    person = np.repeat(np.arange(count // 3), 3)
    return Observations(
        heads.reshape(count, -1), seen.reshape(count, -1), pose, person, np.arange(count) % 3 > 0
    )


@cache
def varied_observations() -> Observations:
    heads = np.array([varied_head(np.random.default_rng(seed)) for seed in range(200)])
    return observations_of(np.repeat(heads, 3, axis=0), 0.8)


@cache
def varied_modes() -> IdentityModes:
    return choose_modes(varied_observations())


def test_heads_vary_by_about_three_millimetres_a_vertex_and_the_same_seed_draws_the_same() -> None:
    heads = varied_observations().neutral[::3].reshape(-1, SURFACE_COUNT, 3)
    assert 0.25 < np.sqrt((heads**2).sum(axis=2).mean()) < 0.35
    np.testing.assert_array_equal(
        varied_head(np.random.default_rng(3)), varied_head(np.random.default_rng(3))
    )
    assert len(variations()) == 60 * 3 + 24


def test_the_first_modes_are_those_that_the_detector_observes() -> None:
    modes = varied_modes()
    flat = modes.modes.reshape(IDENTITY_COUNT, -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(IDENTITY_COUNT), atol=1e-12)
    for mode, parity in zip(modes.modes, modes.parities, strict=True):
        np.testing.assert_array_equal(mirrored_field(mode), parity * mode)
    assert (np.diff(modes.deviations_cm) <= 0).all()
    assert (modes.deviations_cm**2).sum() == pytest.approx(SURFACE_COUNT * 0.29**2, rel=0.02)
    depth = (modes.modes[..., 2] ** 2).sum(axis=1)
    usual = (varied_observations().neutral.reshape(-1, SURFACE_COUNT, 3)[..., 2] ** 2).sum() / (
        varied_observations().neutral ** 2
    ).sum()
    # The simulated detector does not respond to depth.
    assert np.average(depth, weights=modes.deviations_cm**2) < 0.6 * usual


def test_the_response_and_the_errors_of_a_simulated_detector_are_recovered() -> None:
    modes = varied_modes()
    heads = np.array([head_of_modes(modes, np.random.default_rng(seed)) for seed in range(200)])
    observations = observations_of(np.repeat(heads, 3, axis=0), 0.8)
    powers = pose_terms(observations.pose_deg[:, 0], observations.pose_deg[:, 1])
    error = measured_error(observations, modes)
    directions = error.directions.reshape(len(error.directions), -1)
    answer = 0.8 * modes.modes * modes.deviations_cm[:, None, None] * (1.0, 1.0, 0.0)
    answer[:, BLIND] = 0.0
    expected = directions @ answer.reshape(IDENTITY_COUNT, -1).T
    off = np.linalg.norm(error.response - expected, axis=0) / np.linalg.norm(expected, axis=0)
    assert off[:8].max() < 0.1
    # The simulated detector has no bias by pose, and its errors are independent between pictures.
    np.testing.assert_allclose(powers @ error.bias, 0, atol=0.1)
    assert np.trace(error.lasting) < 0.25 * np.trace(error.at_rest)
