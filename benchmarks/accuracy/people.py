"""Synthetic people, their pictures, and measures of error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import LEFT_EYE_OUTER_CORNER, RIGHT_EYE_OUTER_CORNER
from emulator.face.likely_shape import likely_shape
from emulator.face.pose import similarity_transform
from emulator.face.synthetic import (
    Expression,
    SyntheticFace,
    SyntheticFaceSpec,
    render_face,
    render_shape,
)
from emulator.face.synthetic.person import draw_person
from emulator.face.types import Points3
from emulator.pipelines.core import detector
from emulator.pipelines.options import ImageRules
from emulator.pipelines.reconstruct import CROPS

Floats = NDArray[np.float64]

FIRST_SEED = 900_000
MILLIMETRES = 10.0
JPEG = ImageRules(frozenset({"jpeg"}))

say = partial(print, flush=True)
"""Print a line, and flush it at once, because some tables take minutes."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A picture of a synthetic person, and the landmarks detected in it."""

    synthetic: SyntheticFace
    landmarks: Points3 | None


@cache
def observe(
    person: int,
    yaw: float,
    *,
    with_expression: bool = False,
    around_mean: bool = False,
    crops: int = CROPS,
) -> Observation:
    """Render a synthetic person and detect the landmarks.

    Pitch and roll are random, and the expression, too, if ``with_expression`` is true. The person, the yaw
    and ``with_expression`` determine the seed. With ``around_mean``, the shape is a deviation from the mean
    of people, on which the OBJ is based, and not from the canonical mesh.
    """
    rng = np.random.default_rng([person, round(yaw * 10) + 900, with_expression])
    expression = Expression()
    if with_expression:
        smile, open_mouth, lids, brows = rng.random(4) * (rng.random(4) < 0.5)
        expression = Expression(smile, 0.6 * open_mouth, 0.5 * lids, brows)
    spec = SyntheticFaceSpec(
        seed=FIRST_SEED + person,
        yaw=yaw,
        pitch=rng.uniform(-10, 10),
        roll=rng.uniform(-10, 10),
        expression=expression,
        width=480,
        height=480,
    )
    around = true_shape(person, around_mean=True) if around_mean else None
    synthetic = render_face(spec) if around is None else render_shape(spec, around)
    found = detector().detect(synthetic.image, crops=crops)
    return Observation(synthetic, found[0].landmarks if len(found) == 1 else None)


def true_shape(person: int, *, around_mean: bool = False) -> Points3:
    """Return a synthetic person's vertices (468, 3) without expression, in cm."""
    drawn = draw_person(SyntheticFaceSpec(seed=FIRST_SEED + person))
    vertices = identity.mesh(drawn.identity_coefficients).vertices
    return vertices + likely_shape().mean - canonical_mesh().vertices if around_mean else vertices


def eye_distance(landmarks: Points3) -> float:
    """Return the distance between the outer corners of the eyes, in pixels."""
    return float(np.linalg.norm(landmarks[RIGHT_EYE_OUTER_CORNER, :2] - landmarks[LEFT_EYE_OUTER_CORNER, :2]))


def shape_error_mm(shape: Points3, truth: Points3) -> float:
    """Return the mean distance of corresponding vertices, in mm, after a similarity transform aligns them."""
    scale, rotation, translation = similarity_transform(shape, truth)
    moved = scale * shape @ rotation.T + translation
    return float(np.linalg.norm(moved - truth, axis=1).mean()) * MILLIMETRES
