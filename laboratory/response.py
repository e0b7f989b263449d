"""The detector's response to the identity modes, and its errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.face.detector_error import DetectorError, pose_terms, within_person_fields
from emulator.face.expression import expression_fields
from emulator.face.identity import IDENTITY_COUNT, IdentityModes
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.types import Matrix
from laboratory.deviations import Floats, half, unmoved
from laboratory.sights import Observations

# Numbers of even (1) and odd (-1) directions in which landmarks are measured.
_DIRECTIONS = {1.0: 56, -1.0: 34}
# Prior of the response: the detected landmarks move by the fraction `_EXPECTED_RESPONSE` of a mode's
# displacement across the line of sight, with the standard deviation `_RESPONSE_SPREAD`. `_RESPONSE_NOISE` is
# the measurement noise, which determines the weight of the prior.
_EXPECTED_RESPONSE = 0.7
_RESPONSE_SPREAD = 0.1
_RESPONSE_NOISE = 0.09


def measured_error(observations: Observations, modes: IdentityModes) -> DetectorError:
    """Measure the detector's response to ``modes``, and its errors.

    The response is computed by a regression on coefficients and pose, with a prior. The errors are
    cross-validated: they are measured on people who are not in the regression.
    """
    both = observations.with_mirror_images()
    scaled = (modes.modes * modes.deviations_cm[:, None, None]).reshape(IDENTITY_COUNT, -1)
    coefficients = both.neutral @ (scaled / modes.deviations_cm[:, None] ** 2).T
    across = unmoved((scaled.reshape(-1, SURFACE_COUNT, 3) * (1.0, 1.0, 0.0)).reshape(IDENTITY_COUNT, -1))
    weight, powers = both.weight(), pose_terms(*both.pose_deg.T)
    directions = _directions(both, across)
    seen = both.detected @ directions.T
    guess = _EXPECTED_RESPONSE * across @ directions.T
    design = np.concatenate([powers, coefficients], axis=1)
    doubt = _RESPONSE_NOISE / (modes.deviations_cm * _RESPONSE_SPREAD) ** 2
    ridge = np.diag(np.concatenate([np.full(powers.shape[1], 1e-6), doubt]))

    def slopes(rows: NDArray[np.bool_]) -> Matrix:
        known, goal = design[rows] * weight[rows], (seen - coefficients @ guess)[rows] * weight[rows]
        return np.asarray(np.linalg.solve(known.T @ known + ridge, known.T @ goal))

    errors = np.zeros_like(seen)
    people = np.unique(both.person)
    for fold in range(4):
        left_out = np.isin(both.person, people[fold::4])
        errors[left_out] = (seen - coefficients @ guess - design @ slopes(~left_out))[left_out]
    found = slopes(np.ones(len(seen), bool))
    kinds = [errors[kind].T @ errors[kind] / kind.sum() for kind in (both.at_rest, ~both.at_rest)]
    return DetectorError(
        directions=directions.reshape(-1, SURFACE_COUNT, 3),
        bias=found[: powers.shape[1]],
        response=(found[powers.shape[1] :] + guess).T,
        at_rest=kinds[0],
        acting=kinds[1],
        lasting=_lasting(errors, both),
    )


def _directions(both: Observations, across: Floats) -> Floats:
    """Return the L orthonormal directions (L, 1404) in which the positions of landmarks are measured."""
    seen, weight = both.without_pose(), both.weight()
    expressions = unmoved(expression_fields().reshape(-1, 3 * SURFACE_COUNT))
    within = unmoved(within_person_fields().reshape(-1, 3 * SURFACE_COUNT))
    found = []
    for parity, count in _DIRECTIONS.items():
        samples = [
            half(seen, parity) * weight / np.sqrt(len(seen)),
            0.3 * half(expressions, parity),
            0.3 * half(within, parity),
            half(across, parity),
        ]
        axes = np.linalg.svd(np.concatenate(samples), full_matrices=False)[2][:count]
        found.append(half(axes, parity))
    return np.concatenate(found)


def _lasting(errors: Floats, both: Observations) -> Matrix:
    """Return the covariance (L, L) between the errors in two pictures of a person without expression."""
    total, pairs = np.zeros((errors.shape[1], errors.shape[1])), 0
    images = np.arange(len(errors)) >= len(errors) // 2
    for person in np.unique(both.person):
        for image in (False, True):
            rows = errors[(both.person == person) & both.at_rest & (images == image)]
            together = rows.sum(axis=0)
            total += np.outer(together, together) - rows.T @ rows
            pairs += len(rows) * (len(rows) - 1)
    values, vectors = np.linalg.eigh((total + total.T) / (2 * pairs))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
