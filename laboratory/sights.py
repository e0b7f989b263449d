"""Landmarks detected in pictures of synthetic people, who vary in every smooth way or along given modes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.detector_error import pose_terms
from emulator.face.fit import landmark_weights
from emulator.face.identity import IDENTITY_COUNT, IdentityModes
from emulator.face.landmarks import SURFACE_COUNT
from emulator.face.pose import pose_from_rotation, similarity_transform
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_shape
from emulator.face.synthetic.shape import LIMIT, traits
from emulator.face.types import Points3
from laboratory.deviations import Floats, harmonic_fields, mirror_images, unmoved

_CROPS = 4

# Variation of heads in the first step of ``laboratory.observability``: traits (nose, jaw, lips ...) at 85 %
# of their standard deviation, and harmonics with 2 mm per vertex in total. The factors for x, y and z are
# smaller for asymmetric fields and for depth.
_TRAITS = 0.85
_HARMONICS_CM = 0.2
_HARMONICS_EXPONENT = 0.75
_EVEN_FACTORS = (0.7, 0.9, 0.6)
_ODD_FACTORS = (0.28, 0.28, 0.2)

_ACTING_WEIGHT = 0.35


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations of synthetic people in N pictures.

    Attributes
    ----------
    neutral, detected : (N, 1404) float64
        Deviations from the canonical head, for 468 landmarks times x, y, z. ``neutral`` is the deviation of
        the person's true head without expression, even if the picture shows an expression. ``detected`` is
        the deviation of the detected landmarks. Both are in model space, in cm, without the effects of
        translation, rotation and scale.
    pose_deg : (N, 2) float64
        Detected yaw and pitch.
    person : (N,) int64
        The person's seed.
    at_rest : (N,) bool
        Whether the face has no expression.
    """

    neutral: Floats
    detected: Floats
    pose_deg: Floats
    person: NDArray[np.int64]
    at_rest: NDArray[np.bool_]

    def with_mirror_images(self) -> Observations:
        """Return the observations and their mirror images."""
        return Observations(
            np.concatenate([self.neutral, mirror_images(self.neutral)]),
            np.concatenate([self.detected, mirror_images(self.detected)]),
            np.concatenate([self.pose_deg, self.pose_deg * (-1.0, 1.0)]),
            np.concatenate([self.person, self.person]),
            np.concatenate([self.at_rest, self.at_rest]),
        )

    def weight(self) -> Floats:
        """Return the weights (N, 1) of the pictures: lower for faces with an expression."""
        return np.where(self.at_rest, 1.0, _ACTING_WEIGHT)[:, None]

    def without_pose(self) -> Floats:
        """Return ``detected`` (N, 1404) without the part that a regression on the pose predicts."""
        powers, weight = pose_terms(*self.pose_deg.T), self.weight()
        rest: Floats = (
            self.detected - powers @ np.linalg.lstsq(powers * weight, self.detected * weight, rcond=None)[0]
        )
        return rest


def variations() -> Floats:
    """Return the fields (F, 1404) along which heads vary in the first step of ``laboratory.observability``.

    Each field is one standard deviation, in cm.
    """
    harmonics, sizes = [], []
    for axis, parity, frequency, field in harmonic_fields():
        factors = _EVEN_FACTORS if parity > 0 else _ODD_FACTORS
        harmonics.append(field)
        sizes.append(factors[axis] * frequency**-_HARMONICS_EXPONENT)
    scale = _HARMONICS_CM * np.sqrt(SURFACE_COUNT) / np.linalg.norm(sizes)
    smooth = np.array(harmonics) * (scale * np.array(sizes))[:, None, None]
    found: Floats = np.concatenate([smooth, _TRAITS * traits()[0]]).reshape(-1, 3 * SURFACE_COUNT)
    return found


def varied_head(rng: np.random.Generator) -> Points3:
    """Return the deviation (468, 3) of a random head along all ``variations``, in cm."""
    all_fields = variations()
    count = len(traits()[0])
    amounts = np.concatenate(
        [
            np.clip(rng.standard_normal(len(all_fields) - count), -2.5, 2.5),
            np.clip(rng.standard_normal(count), -2.2, 2.2),
        ]
    )
    return unmoved(amounts @ all_fields).reshape(SURFACE_COUNT, 3)


def head_of_modes(modes: IdentityModes, rng: np.random.Generator) -> Points3:
    """Return the deviation (468, 3) of a random head along ``modes``, in cm.

    The 80 coefficients are random: N(0, 1), clipped at ``LIMIT``.
    """
    drawn = np.clip(rng.standard_normal(IDENTITY_COUNT), -LIMIT, LIMIT)
    head: Points3 = np.tensordot(drawn * modes.deviations_cm, modes.modes, axes=1)
    return head


def observe(people: Sequence[int], head: Callable[[np.random.Generator], Points3]) -> Observations:
    """Render each person three times (turned right, frontal, turned left), and detect the landmarks.

    Pictures in which the detector does not find exactly one face are omitted.

    Parameters
    ----------
    people : sequence of int
        Seeds.
    head : callable
        Returns the deviation (468, 3) of a random head from the canonical head, in cm.
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
            found = detector.detect(render_shape(spec, canonical + deviation).image, crops=_CROPS)
            if len(found) != 1:
                continue
            observed = found[0].landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
            scale, rotation, translation = similarity_transform(canonical, observed, landmark_weights())
            carried = (observed - translation) @ rotation / scale
            pose = pose_from_rotation(rotation)
            rows.append(
                (
                    unmoved(deviation.reshape(-1)),
                    unmoved((carried - canonical).reshape(-1)),
                    (pose.yaw, pose.pitch),
                    person,
                    expression == Expression(),
                )
            )
    return Observations(*map(np.array, zip(*rows, strict=True)))


def observe_all(people: Sequence[int], head: Callable[[np.random.Generator], Points3]) -> Observations:
    """Run ``observe`` on all processors."""
    shares = [people[start : start + 25] for start in range(0, len(people), 25)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(partial(observe, head=head), shares))
    return Observations(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Observations))
    )
