"""Chooses the identity modes, and measures the detector: ``python -m laboratory.observability``.

Writes ``emulator/face/data/identity_modes.npz`` and ``detector_error.npz``, in half an hour on
two cores.

1. People are drawn whose faces vary in every smooth way, in three poses each, half of the pictures
   with an expression, and detected. By regression, what each variation does to the detected
   landmarks; the rest is error.
2. The modes: where faces vary and the detector tells. Linear algebra on the variations'
   covariance and on what the detector says of them gives the covariance of what can be recovered
   of a face, and its principal components are the modes. Manifold harmonics fill up the 80.
3. People are drawn with these modes, and the detector's answer to each and its errors are measured
   again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.detector_error import DetectorError, pose_terms, within_person_fields
from emulator.face.expression import expression_fields
from emulator.face.fit import landmark_weights
from emulator.face.identity import (
    IDENTITY_COUNT,
    IdentityModes,
    mirrored_field,
    orthonormal,
    similarity_fields,
)
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.pose import pose_from_rotation, similarity_transform
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_shape
from emulator.face.synthetic.shape import LIMIT, traits
from emulator.face.types import Matrix, Points3
from laboratory import DATA

Floats = NDArray[np.float64]

_VARIED_PEOPLE = range(500_000, 500_800)
_PEOPLE_OF_MODES = range(600_000, 600_600)
_LOOKS = 4

# How heads vary in the first step: traits (nose, jaw, lips ...) a little less than they do, and all
# harmonics, by 2 millimetres a vertex together; little where a face lacks symmetry, and in depth.
_TRAITS = 0.85
_HARMONICS_CM = 0.2
_HARMONICS_EXPONENT = 0.75
_EVEN_FACTORS = (0.7, 0.9, 0.6)
_ODD_FACTORS = (0.28, 0.28, 0.2)
_ROUGHEST = 5e-3
_MOST_VARIATIONS = {1.0: 110, -1.0: 80}

# Pictures of faces that act say less of a face at rest: they weigh less.
_ACTING_WEIGHT = 0.35
_RIDGE = 15.0

# Heads differ by 2.9 millimetres a vertex: as much as what the detector sees of photographed people.
# All but 3 % of it lies in the modes that are seen.
_TOTAL_CM = 0.29
_SEEN_MODES = 16
_UNSEEN_SHARE = 0.03
# Between variations as they are (1) and all alike (0): what is told well but varies little gets in.
_TEMPER = 0.6
_ODD_GAIN = 6.0
_RELIABILITY_POWER = 1.5
_UNSEEN_FACTORS = (1.0, 1.0, 0.1)
_UNSEEN_ODD = 0.5
_UNSEEN_EXPONENT = 0.6
# A harmonic of which less than this is left beside earlier modes says nothing of its own.
_INDEPENDENT = 0.6

# Directions in which landmarks are looked at, even and odd; and what is expected of a detector that
# was never asked: it moves this much of a mode across the line of sight.
_DIRECTIONS = {1.0: 56, -1.0: 34}
_EXPECTED_RESPONSE = 0.7
_RESPONSE_SPREAD = 0.1
_RESPONSE_NOISE = 0.09


@dataclass(frozen=True, eq=False)
class Sights:
    """What was seen of drawn people: N pictures. 1404 is 468 landmarks times x, y, z.

    Attributes
    ----------
    true, seen : (N, 1404) float64
        The head's deviation from the canonical one, at rest, and that of the detected landmarks, cm
        in model space, without moving, turning and scaling.
    pose_deg : (N, 2) float64
        Yaw and pitch, as detected.
    person : (N,) int64
    at_rest : (N,) bool
    """

    true: Floats
    seen: Floats
    pose_deg: Floats
    person: NDArray[np.int64]
    at_rest: NDArray[np.bool_]

    def mirrored_too(self) -> Sights:
        """Return these and their mirror images."""
        return Sights(
            np.concatenate([self.true, _mirror_images(self.true)]),
            np.concatenate([self.seen, _mirror_images(self.seen)]),
            np.concatenate([self.pose_deg, self.pose_deg * (-1.0, 1.0)]),
            np.concatenate([self.person, self.person]),
            np.concatenate([self.at_rest, self.at_rest]),
        )


# --- 1. Looking at people ---------------------------------------------------------------------


def variations() -> Floats:
    """Return fields (F, 1404), cm: a standard deviation each of how heads vary in the first step."""
    canonical = canonical_data()
    harmonics, sizes = [], []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        for axis in range(3):
            field = _along(harmonic, axis)
            factors = _EVEN_FACTORS if _parity(field) > 0 else _ODD_FACTORS
            harmonics.append(field)
            sizes.append(factors[axis] * frequency**-_HARMONICS_EXPONENT)
    scale = _HARMONICS_CM * np.sqrt(SURFACE_COUNT) / np.linalg.norm(sizes)
    smooth = np.array(harmonics) * (scale * np.array(sizes))[:, None, None]
    found: Floats = np.concatenate([smooth, _TRAITS * traits()[0]]).reshape(-1, 3 * SURFACE_COUNT)
    return found


def varied_head(rng: np.random.Generator) -> Points3:
    """Return a head's deviation (468, 3), cm, for the first step."""
    all_fields = variations()
    count = len(traits()[0])
    amounts = np.concatenate(
        [
            np.clip(rng.standard_normal(len(all_fields) - count), -2.5, 2.5),
            np.clip(rng.standard_normal(count), -2.2, 2.2),
        ]
    )
    return _unmoved(amounts @ all_fields).reshape(SURFACE_COUNT, 3)


def head_of_modes(modes: IdentityModes, rng: np.random.Generator) -> Points3:
    """Return a head's deviation (468, 3), cm, for the third step: 80 coefficients drawn from N(0, 1)."""
    drawn = np.clip(rng.standard_normal(IDENTITY_COUNT), -LIMIT, LIMIT)
    head: Points3 = np.tensordot(drawn * modes.deviations_cm, modes.modes, axes=1)
    return head


def look_at(people: Sequence[int], head: Callable[[np.random.Generator], Points3]) -> Sights:
    """Return what a detector sees of ``people``: to the right, straight, to the left.

    Parameters
    ----------
    people : sequence of int
        Seeds.
    head : callable
        Draws a head's deviation from the canonical one, (468, 3), cm.
    """
    detector = MediaPipeDetector()
    canonical = canonical_mesh().vertices
    rows: list[tuple[Floats, Floats, tuple[float, float], int, bool]] = []
    for person in people:
        rng = np.random.default_rng([person, 77])
        deviation = head(rng)
        yaws = (-rng.uniform(9, 33), rng.uniform(-9, 9), rng.uniform(9, 33))
        for yaw in yaws:
            expression = Expression()
            if rng.random() < 0.5:
                smile, open_mouth, lids, brows = rng.random(4) * (rng.random(4) < 0.5)
                expression = Expression(smile, 0.7 * open_mouth, 0.6 * lids, brows)
            spec = SyntheticFaceSpec(
                seed=person,
                yaw=yaw,
                pitch=rng.uniform(-12, 12),
                roll=rng.uniform(-12, 12),
                expression=expression,
                width=320,
                height=320,
                face_fraction=rng.uniform(0.42, 0.58),
            )
            found = detector.detect(render_shape(spec, canonical + deviation).image, looks=_LOOKS)
            if len(found) != 1:
                continue
            observed = found[0].landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
            scale, rotation, translation = similarity_transform(canonical, observed, landmark_weights())
            carried = (observed - translation) @ rotation / scale
            pose = pose_from_rotation(rotation)
            rows.append(
                (
                    _unmoved(deviation.reshape(-1)),
                    _unmoved((carried - canonical).reshape(-1)),
                    (pose.yaw, pose.pitch),
                    person,
                    expression == Expression(),
                )
            )
    true, seen, pose_deg, person_of, at_rest = zip(*rows, strict=True)
    return Sights(
        np.array(true), np.array(seen), np.array(pose_deg), np.array(person_of, np.int64), np.array(at_rest)
    )


def look_at_all(people: Sequence[int], head: Callable[[np.random.Generator], Points3]) -> Sights:
    """Return ``look_at``, on all processors."""
    shares = [people[start : start + 25] for start in range(0, len(people), 25)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(partial(look_at, head=head), shares))
    return Sights(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Sights))
    )


# --- 2. The modes -----------------------------------------------------------------------------


def choose_modes(sights: Sights) -> IdentityModes:
    """Return the 80 modes: what the detector tells of varied heads, then the coarsest harmonics."""
    information = _information(sights)
    main: list[tuple[float, float, Points3]] = []
    for parity, (basis, sizes, told) in information.items():
        tempered = sizes**_TEMPER
        tempered *= np.linalg.norm(sizes) / np.linalg.norm(tempered)
        # Of a variation that is told with a ratio r of signal to noise, r / (1 + r) is recovered.
        ratios, axes = np.linalg.eigh(tempered[:, None] * told * tempered)
        ratios = np.maximum(ratios, 1e-4)
        scaled = tempered[:, None] * axes
        recovered, components = np.linalg.eigh((scaled * (ratios / (1.0 + ratios))) @ scaled.T)
        gain = 1.0 if parity > 0 else _ODD_GAIN
        for variance, component in zip(gain * recovered, components.T, strict=True):
            ratio = max(float(component @ told @ component * variance), 1e-3)
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
    # What is seen least still varies as much as what is not seen.
    variances = np.maximum.accumulate(variances[::-1])[::-1]
    parities = np.array([parity for _, parity, _ in chain(seen, unseen)])
    modes = orthonormal(np.array([field for _, _, field in chain(seen, unseen)]), parities)
    return IdentityModes(modes, np.sqrt(variances), parities)


def _information(sights: Sights) -> dict[float, tuple[Floats, Floats, Matrix]]:
    """Return, by parity, variations (K, 1404), how far heads go (K,) cm, and what is told of them.

    The variations are orthonormal. What is told (K, K) is Fisher's information, 1/cm2: the mean over
    faces at rest and others. Two halves of the people give one factor each, so that what a half has by
    chance does not count.
    """
    both = sights.mirrored_too()
    all_fields = _unmoved(variations())
    found: dict[float, tuple[Floats, Floats]] = {}
    for parity, most in _MOST_VARIATIONS.items():
        _, sizes, axes = np.linalg.svd(_half(all_fields, parity), full_matrices=False)
        count = min(int((sizes > sizes[0] * _ROUGHEST).sum()), most)
        found[parity] = axes[:count], sizes[:count]
    weight = np.where(both.at_rest, 1.0, _ACTING_WEIGHT)[:, None]
    powers = pose_terms(both.pose_deg[:, 0], both.pose_deg[:, 1])
    seen = both.seen - powers @ np.linalg.lstsq(powers * weight, both.seen * weight, rcond=None)[0]
    axes = np.linalg.svd(seen, full_matrices=False)[2][:100]
    answers = seen @ axes.T
    amounts = both.true @ np.concatenate([basis for basis, _ in found.values()]).T
    ridge = np.diag(_RIDGE / np.concatenate([sizes for _, sizes in found.values()]) ** 2)
    one = np.isin(both.person, np.unique(both.person)[::2])
    slopes, errors = [], np.zeros_like(answers)
    for half in (one, ~one):
        amount, answer = amounts[half] * weight[half], answers[half] * weight[half]
        slope = np.linalg.solve(amount.T @ amount + ridge, amount.T @ answer)
        errors[~half] = answers[~half] - amounts[~half] @ slope
        slopes.append(slope)
    told = np.zeros((amounts.shape[1], amounts.shape[1]))
    least = 0.0
    for kind in (both.at_rest, ~both.at_rest):
        covariance = errors[kind].T @ errors[kind] / kind.sum()
        least = least or 3e-3 * float(np.diag(covariance).mean())
        precision = np.linalg.inv(covariance + least * np.eye(len(covariance)))
        crossed = slopes[0] @ precision @ slopes[1].T
        own = slopes[0] @ precision @ slopes[0].T
        # A little of what chance adds keeps apart what is hardly told.
        told += 0.5 * (0.85 * (crossed + crossed.T) / 2 + 0.15 * own)
    result, start = {}, 0
    for parity, (basis, sizes) in found.items():
        part = slice(start, start + len(basis))
        result[parity] = basis, sizes, told[part, part]
        start += len(basis)
    return result


def _harmonics_beside(taken: Floats) -> list[tuple[float, float, Points3]]:
    """Return the harmonics that 80 modes lack beside ``taken`` (M, 468, 3): variance, parity, field."""
    canonical = canonical_data()
    candidates = []
    for harmonic, frequency in zip(canonical.harmonics, canonical.frequencies, strict=True):
        for axis in range(3):
            field = _along(harmonic, axis)
            parity = _parity(field)
            factor = _UNSEEN_FACTORS[axis] * (1.0 if parity > 0 else _UNSEEN_ODD)
            candidates.append((float(factor * frequency**-_UNSEEN_EXPONENT) ** 2, parity, field))
    candidates.sort(key=lambda candidate: -candidate[0])
    used = np.concatenate([similarity_fields(canonical.mesh.vertices), taken]).reshape(-1, 3 * SURFACE_COUNT)
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


# --- 3. The detector --------------------------------------------------------------------------


def measured_error(sights: Sights, modes: IdentityModes) -> DetectorError:
    """Return how the detector answers to people of these ``modes``, and how it errs.

    By regression on coefficients and pose, towards a guess; the errors are those of people that
    the regression did not see.
    """
    both = sights.mirrored_too()
    scaled = (modes.modes * modes.deviations_cm[:, None, None]).reshape(IDENTITY_COUNT, -1)
    coefficients = both.true @ (scaled / modes.deviations_cm[:, None] ** 2).T
    across = _unmoved((scaled.reshape(-1, SURFACE_COUNT, 3) * (1.0, 1.0, 0.0)).reshape(IDENTITY_COUNT, -1))
    weight = np.where(both.at_rest, 1.0, _ACTING_WEIGHT)[:, None]
    powers = pose_terms(both.pose_deg[:, 0], both.pose_deg[:, 1])
    directions = _directions(both, powers, weight, across)
    seen = both.seen @ directions.T
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


def _directions(both: Sights, powers: Floats, weight: Floats, across: Floats) -> Floats:
    """Return the orthonormal directions (L, 1404) in which landmarks are looked at."""
    seen = both.seen - powers @ np.linalg.lstsq(powers * weight, both.seen * weight, rcond=None)[0]
    expressions = _unmoved(expression_fields().reshape(-1, 3 * SURFACE_COUNT))
    within = _unmoved(within_person_fields().reshape(-1, 3 * SURFACE_COUNT))
    found = []
    for parity, count in _DIRECTIONS.items():
        samples = [
            _half(seen, parity) * weight / np.sqrt(len(seen)),
            0.3 * _half(expressions, parity),
            0.3 * _half(within, parity),
            _half(across, parity),
        ]
        axes = np.linalg.svd(np.concatenate(samples), full_matrices=False)[2][:count]
        found.append(_half(axes, parity))
    return np.concatenate(found)


def _lasting(errors: Floats, both: Sights) -> Matrix:
    """Return the covariance (L, L) of two pictures' errors of one person at rest."""
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


def main() -> None:
    """Choose the modes, measure the detector, and write the face core's data files."""
    modes = choose_modes(look_at_all(_VARIED_PEOPLE, varied_head))
    with (DATA / "identity_modes.npz").open("wb") as stream:
        np.savez_compressed(
            stream,
            modes=modes.modes.astype(np.float32),
            deviations_cm=modes.deviations_cm,
            parities=modes.parities,
        )
    measured = measured_error(look_at_all(_PEOPLE_OF_MODES, partial(head_of_modes, modes)), modes)
    with (DATA / "detector_error.npz").open("wb") as stream:
        np.savez_compressed(
            stream,
            **{field.name: getattr(measured, field.name).astype(np.float32) for field in fields(measured)},
        )


# --- Fields -----------------------------------------------------------------------------------


def _unmoved(deviations: Floats) -> Floats:
    """Return deviations (..., 1404) without what moving, turning and scaling a head does."""
    similarity = similarity_fields(canonical_mesh().vertices).reshape(7, -1)
    rest: Floats = deviations - deviations @ similarity.T @ similarity
    return rest


def _mirror_images(deviations: Floats) -> Floats:
    """Return deviations (N, 1404) as the mirror shows them."""
    image = deviations.reshape(-1, SURFACE_COUNT, 3)[:, list(MIRROR[:SURFACE_COUNT])] * (-1.0, 1.0, 1.0)
    flat: Floats = image.reshape(len(deviations), -1)
    return flat


def _along(function: Floats, axis: int) -> Points3:
    field = np.zeros((SURFACE_COUNT, 3))
    field[:, axis] = function
    return field


def _parity(field: Points3) -> float:
    return 1.0 if np.array_equal(mirrored_field(field), field) else -1.0


def _half(deviations: Floats, parity: float) -> Floats:
    """Return the even (1) or odd (-1) part of deviations (N, 1404)."""
    half: Floats = (deviations + parity * _mirror_images(deviations)) / 2
    return half


if __name__ == "__main__":
    main()
