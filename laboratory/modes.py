"""Choice of the 80 identity modes: 16 that the detector observes (seen), and 64 harmonics (unseen)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from emulator.face.canonical import canonical_mesh
from emulator.face.identity import IDENTITY_COUNT, IdentityModes, orthonormal, similarity_fields
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.types import Matrix, Points3
from laboratory.deviations import Floats, half, harmonic_fields, unmoved
from laboratory.sights import Observations, variations

# Largest numbers of even (1) and odd (-1) variations. Variations smaller than `_ROUGHEST` times the
# largest one are not used.
_MOST_VARIATIONS = {1.0: 110, -1.0: 80}
_ROUGHEST = 5e-3

_RIDGE = 15.0

# Root mean square deviation of heads per vertex, as in the landmarks that are detected in photographs. The
# seen modes have 97 % of the variance.
_TOTAL_CM = 0.29
_SEEN_MODES = 16
_UNSEEN_SHARE = 0.03
# Exponent of the variations' sizes: 1 keeps them, 0 makes them equal. A value below 1 includes variations
# that are small but well observed.
_TEMPER = 0.6
_ODD_GAIN = 6.0
_RELIABILITY_POWER = 1.5
_UNSEEN_FACTORS = (1.0, 1.0, 0.1)
_UNSEEN_ODD = 0.5
_UNSEEN_EXPONENT = 0.6
# Smallest norm of a harmonic after the earlier modes are removed from it. A harmonic with a smaller norm
# would add too little.
_INDEPENDENT = 0.6


def choose_modes(observations: Observations) -> IdentityModes:
    """Return the 80 modes: the variations that the detector recovers best, then the coarsest harmonics."""
    found = _information(observations)
    main: list[tuple[float, float, Points3]] = []
    for parity, (basis, sizes, information) in found.items():
        tempered = sizes**_TEMPER
        tempered *= np.linalg.norm(sizes) / np.linalg.norm(tempered)
        # With a signal-to-noise ratio r, the share r / (1 + r) of a variation's variance is recovered.
        ratios, axes = np.linalg.eigh(tempered[:, None] * information * tempered)
        ratios = np.maximum(ratios, 1e-4)
        scaled = tempered[:, None] * axes
        recovered, components = np.linalg.eigh((scaled * (ratios / (1.0 + ratios))) @ scaled.T)
        gain = 1.0 if parity > 0 else _ODD_GAIN
        for variance, component in zip(gain * recovered, components.T, strict=True):
            ratio = max(float(component @ information @ component * variance), 1e-3)
            weight = float(variance) * (ratio / (1.0 + ratio)) ** _RELIABILITY_POWER
            main.append((weight, parity, (component @ basis).reshape(SURFACE_COUNT, 3)))
    main.sort(key=lambda entry: -entry[0])
    seen = main[:_SEEN_MODES]
    unseen = _harmonics_beside(np.array([field for _, _, field in seen]))
    total = SURFACE_COUNT * _TOTAL_CM**2
    variances = np.concatenate(
        [
            _shares([entry[0] for entry in seen]) * (1.0 - _UNSEEN_SHARE) * total,
            _shares([entry[0] for entry in unseen]) * _UNSEEN_SHARE * total,
        ]
    )
    # Make the variances non-increasing, so that no seen mode varies less than an unseen one.
    variances = np.maximum.accumulate(variances[::-1])[::-1]
    parities = np.array([parity for _, parity, _ in chain(seen, unseen)])
    modes = orthonormal(np.array([field for _, _, field in chain(seen, unseen)]), parities)
    return IdentityModes(modes, np.sqrt(variances), parities)


def _information(observations: Observations) -> dict[float, tuple[Floats, Floats, Matrix]]:
    """Return for each parity: variations (K, 1404), standard deviations (K,), Fisher information (K, K).

    The variations are orthonormal, the standard deviations are in cm. The Fisher information, in 1/cm2, says
    how precisely detected landmarks determine the variations. It is the mean of two matrices, one for faces
    without and one for faces with an expression. Each matrix is a product of two regressions, one on each
    half of the people, because chance correlations within one half would increase the information.
    """
    both = observations.with_mirror_images()
    all_fields = unmoved(variations())
    found: dict[float, tuple[Floats, Floats]] = {}
    for parity, most in _MOST_VARIATIONS.items():
        _, sizes, axes = np.linalg.svd(half(all_fields, parity), full_matrices=False)
        count = min(int((sizes > sizes[0] * _ROUGHEST).sum()), most)
        found[parity] = axes[:count], sizes[:count]
    weight, seen = both.weight(), both.without_pose()
    axes = np.linalg.svd(seen, full_matrices=False)[2][:100]
    answers = seen @ axes.T
    amounts = both.neutral @ np.concatenate([basis for basis, _ in found.values()]).T
    ridge = np.diag(_RIDGE / np.concatenate([sizes for _, sizes in found.values()]) ** 2)
    one = np.isin(both.person, np.unique(both.person)[::2])
    slopes, errors = [], np.zeros_like(answers)
    for rows in (one, ~one):
        amount, answer = amounts[rows] * weight[rows], answers[rows] * weight[rows]
        slope = np.linalg.solve(amount.T @ amount + ridge, amount.T @ answer)
        errors[~rows] = answers[~rows] - amounts[~rows] @ slope
        slopes.append(slope)
    information = np.zeros((amounts.shape[1], amounts.shape[1]))
    least = 0.0
    for kind in (both.at_rest, ~both.at_rest):
        covariance = errors[kind].T @ errors[kind] / kind.sum()
        least = least or 3e-3 * float(np.diag(covariance).mean())
        precision = np.linalg.inv(covariance + least * np.eye(len(covariance)))
        crossed = slopes[0] @ precision @ slopes[1].T
        own = slopes[0] @ precision @ slopes[0].T
        # Add a small share of the product within one half. It includes chance correlations, but it separates
        # variations that are hardly observed.
        information += 0.5 * (0.85 * (crossed + crossed.T) / 2 + 0.15 * own)
    result, start = {}, 0
    for parity, (basis, sizes) in found.items():
        part = slice(start, start + len(basis))
        result[parity] = basis, sizes, information[part, part]
        start += len(basis)
    return result


def _harmonics_beside(taken: Floats) -> list[tuple[float, float, Points3]]:
    """Return the harmonics that complete the modes ``taken`` (M, 468, 3) to 80: variance, parity, field."""
    candidates = []
    for axis, parity, frequency, field in harmonic_fields():
        factor = _UNSEEN_FACTORS[axis] * (1.0 if parity > 0 else _UNSEEN_ODD)
        candidates.append((float(factor * frequency**-_UNSEEN_EXPONENT) ** 2, parity, field))
    candidates.sort(key=lambda candidate: -candidate[0])
    used = np.concatenate([similarity_fields(canonical_mesh().vertices), taken]).reshape(
        -1, 3 * SURFACE_COUNT
    )
    found: list[tuple[float, float, Points3]] = []
    for variance, parity, field in candidates:
        rest = field.reshape(-1)
        for _ in range(2):
            rest = rest - used.T @ (used @ rest)
        length = float(np.linalg.norm(rest))
        if length < _INDEPENDENT:
            continue
        used = np.concatenate([used, rest[None] / length])
        found.append((variance, parity, rest.reshape(SURFACE_COUNT, 3)))
        if len(taken) + len(found) == IDENTITY_COUNT:
            break
    return found


def _shares(weights: Sequence[float]) -> Floats:
    return np.array(weights) / sum(weights)
