"""Random face shapes with realistic variation, as the head model's 80 identity coefficients."""

from __future__ import annotations

from functools import cache

import numpy as np

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    CHIN_TIP,
    LEFT_CHEEK,
    LEFT_EYE_OUTER_CORNER,
    LEFT_EYEBROW,
    LEFT_LOWER_LID,
    LEFT_NOSE_WING,
    LEFT_UPPER_LID,
    LOWER_LIP_OUTER,
    NOSE_BASE,
    NOSE_BRIDGE,
    NOSE_TIP,
    RIGHT_CHEEK,
    RIGHT_EYE_OUTER_CORNER,
    RIGHT_EYEBROW,
    RIGHT_LOWER_LID,
    RIGHT_NOSE_WING,
    RIGHT_UPPER_LID,
    SURFACE_COUNT,
    UPPER_LIP_OUTER,
)
from emulator.face.synthetic.color import Floats
from emulator.face.types import Points3

LIMIT = 2.5
"""The largest absolute value of a random coefficient."""

# Fraction of the mean difference between men and women that is applied.
_DIMORPHISM = 0.8

_RIDGE_CM = 1.0


def draw_identity(rng: np.random.Generator, masculinity: float) -> Floats:
    """Return random identity coefficients (80,): about N(0, 1), clipped at ``LIMIT``.

    Parameters
    ----------
    rng : Generator
    masculinity : float
        Positive for men, negative for women; `draw_person` passes -1.7 to 1.4. It shifts the face
        along the average difference between men and women (L. G. Farkas, Anthropometry of the Head
        and Face, 1994). Half of the people are men, so the shift increases the overall spread of a
        coefficient. To keep it at about 1, the spread around the shift is reduced.
    """
    shift = _masculine()
    own = np.sqrt(1.0 - np.minimum(shift**2, 0.5))
    found: Floats = np.clip(
        masculinity * shift + own * rng.standard_normal(identity.IDENTITY_COUNT), -LIMIT, LIMIT
    )
    return found


@cache
def _masculine() -> Floats:
    """Return the coefficients (80,) of the average difference of men from the mean face.

    Most of the difference is in the coarse modes.
    """
    fields, means = traits()
    modes = identity.identity_modes()
    rest = canonical_mesh().vertices
    field = np.tensordot(means, fields, axes=1)
    exact = identity.coefficients(rest + field)
    # A ridge penalty keeps modes with a small deviation in real faces from taking extreme coefficients.
    ridge = modes.deviations_cm**2 / (modes.deviations_cm**2 + _RIDGE_CM**2)
    shift: Floats = np.clip(_DIMORPHISM * ridge * exact, -0.7, 0.7)
    return shift


@cache
def traits() -> tuple[Floats, Floats]:
    """Return displacement fields (K, 468, 3) of K facial traits, and the means (K,) of the traits in men.

    A field is one standard deviation of its trait, in centimetres. The means are in standard
    deviations.
    """
    v = canonical_mesh().vertices[:SURFACE_COUNT]
    x, y = v[:, 0], v[:, 1]
    side = np.tanh(x / 1.0)
    chin, tip = v[CHIN_TIP], v[NOSE_TIP]
    brow = float(v[list(LEFT_EYEBROW), 1].mean())
    mouth = v[[*UPPER_LIP_OUTER, *LOWER_LIP_OUTER]].mean(axis=0)
    corners = v[[UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]]]
    bridge = v[NOSE_BRIDGE[1]]
    zero = np.zeros_like(x)

    def near(points: Points3, radius_cm: float) -> Floats:
        distance = np.linalg.norm(v[:, np.newaxis] - np.atleast_2d(points), axis=2).min(axis=1)
        bump: Floats = np.exp(-((distance / radius_cm) ** 2) / 2)
        return bump

    def move(dx: Floats, dy: Floats, dz: Floats) -> Points3:
        return np.stack([dx, dy, dz], axis=1)

    lower = np.clip((tip[1] - y) / (tip[1] - chin[1]), 0.0, 1.3)
    upper = np.clip((y - brow) / 4.0, 0.0, 1.5)
    jaw = v[[58, 172, 288, 397]]
    eyes = v[[LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER]]
    inner = v[[133, 362]]
    brows = v[[*LEFT_EYEBROW, *RIGHT_EYEBROW]]
    cheeks = v[[*LEFT_CHEEK, *RIGHT_CHEEK]]
    wings = v[[*LEFT_NOSE_WING, *RIGHT_NOSE_WING]]
    upper_lids = v[[*LEFT_UPPER_LID[2:-2], *RIGHT_UPPER_LID[2:-2]]]
    lower_lids = v[[*LEFT_LOWER_LID[2:-2], *RIGHT_LOWER_LID[2:-2]]]
    traits = (
        # Whole face: width, length of the lower third and of the forehead, jaw, chin, sides, cheeks.
        (move(0.045 * x, zero, zero), 0.5),
        (move(zero, -0.42 * lower, zero), 0.5),
        (move(zero, 0.35 * upper, zero), 0.0),
        (move(0.5 * side * near(jaw, 2.0), zero, zero), 1.0),
        (move(0.42 * side * near(chin, 2.0), zero, zero), 0.7),
        (move(zero, -0.2 * near(chin, 1.6), 0.35 * near(chin, 1.6)), 0.6),
        (move(0.35 * side * near(v[[234, 454, 127, 356]], 2.0), zero, zero), 0.0),
        (move(0.25 * side * near(cheeks, 1.0), zero, 0.28 * near(cheeks, 1.2)), -0.5),
        # Nose: width, length, projection, bridge, direction of the tip.
        (move(0.26 * np.tanh(x / 0.5) * near(wings, 0.7), zero, zero), 0.5),
        (move(zero, -0.3 * near(np.vstack([tip, v[list(NOSE_BASE)]]), 1.2), zero), 0.4),
        (move(zero, zero, 0.32 * near(tip, 1.1)), 0.4),
        (move(zero, zero, 0.24 * near(bridge, 1.0)), 0.6),
        (move(zero, 0.22 * near(tip, 0.8), zero), -0.3),
        # Mouth: width, fullness, height, projection.
        (move(0.3 * np.tanh(x / 0.5) * near(corners, 1.0), zero, zero), 0.2),
        (
            move(
                zero,
                0.2 * near(v[list(UPPER_LIP_OUTER[2:-2])], 0.5)
                - 0.22 * near(v[list(LOWER_LIP_OUTER[2:-2])], 0.5),
                0.15 * near(mouth, 1.2),
            ),
            -0.8,
        ),
        (move(zero, 0.22 * near(mouth, 1.8), zero), 0.0),
        (move(zero, zero, 0.25 * near(mouth, 1.6)), 0.0),
        # Eyes: opening, distance, slant, depth.
        (move(zero, 0.11 * near(upper_lids, 0.4) - 0.07 * near(lower_lids, 0.4), zero), -0.7),
        (move(0.18 * side * (near(inner, 1.2) + near(eyes, 1.2)).clip(0, 1), zero, zero), 0.0),
        (move(zero, 0.18 * near(eyes, 0.9) - 0.1 * near(inner, 0.8), zero), -0.2),
        (move(zero, zero, -0.22 * near(np.vstack([eyes, inner]), 1.3)), 0.5),
        # Brows: height, ridge, height of the outer ends.
        (move(zero, 0.26 * near(brows, 0.8), zero), -0.9),
        (move(zero, zero, 0.24 * near(brows, 0.9)), 0.9),
        (move(zero, 0.2 * near(v[[70, 300, 46, 276]], 1.0), zero), -0.3),
    )
    return np.stack([field for field, _ in traits]), np.array([mean for _, mean in traits])
