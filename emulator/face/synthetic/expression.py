"""Expressions of a synthetic face: smile, open mouth, closed eyes, raised brows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    LEFT_CHEEK,
    LEFT_EYEBROW,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LIPS_INNER,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    RIGHT_CHEEK,
    RIGHT_EYEBROW,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.synthetic.color import Floats
from emulator.face.types import Points3


@dataclass(frozen=True)
class Expression:
    """The strengths of the parts of an expression, from 0 (at rest) to 1.

    Attributes
    ----------
    smile : float
        Moves the corners of the mouth out and up, and the cheeks with them.
    open_mouth : float
        Opens the jaw about the axis through the ears; by 18 degrees at 1.
    closed_eyes : float
        Lowers the upper lids; at 1 they touch the lower ones.
    raised_brows : float
        Raises the brows, and the forehead with them; by 0.75 cm at 1.
    """

    smile: float = 0.0
    open_mouth: float = 0.0
    closed_eyes: float = 0.0
    raised_brows: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} must be 0 to 1, not {value}")


_JAW_DEG = 18.0


def expressed(face: Points3, expression: Expression) -> Points3:
    """Apply the expression to the surface landmarks (468, 3) in model space, in centimetres.

    If all strengths of the expression are 0, the result is a bit-identical copy.
    """
    moved = face.copy()
    if expression.raised_brows:
        brows = face[[*LEFT_EYEBROW, *RIGHT_EYEBROW]]
        moved[:, 1] += expression.raised_brows * 0.75 * _near(face, brows, 0.9)
    if expression.smile:
        moved += expression.smile * _smile(face)
    if expression.open_mouth:
        moved = _with_open_jaw(face, moved, expression.open_mouth)
    if expression.closed_eyes:
        moved = _with_closed_eyes(moved, expression.closed_eyes)
    return moved


def _near(face: Points3, points: Points3, radius_cm: float) -> Floats:
    distance = np.linalg.norm(face[:, np.newaxis] - np.atleast_2d(points), axis=2).min(axis=1)
    bump: Floats = np.exp(-((distance / radius_cm) ** 2) / 2)
    return bump


def _smile(face: Points3) -> Points3:
    field = np.zeros_like(face)
    middle = face[LIPS_INNER[5], 0]
    half = abs(face[UPPER_LIP_OUTER[0], 0] - middle)
    for corner, cheek in ((UPPER_LIP_OUTER[0], RIGHT_CHEEK), (UPPER_LIP_OUTER[-1], LEFT_CHEEK)):
        side = np.sign(face[corner, 0])
        # Points of the lips near the corner move most, points in the middle move little.
        lips = np.clip(np.abs(face[:, 0] - middle) / half, 0.0, 1.0) ** 1.5
        pull = _near(face, face[corner], 1.5) * np.where(face[:, 0] * side > 0, np.maximum(lips, 0.15), 0.15)
        field += pull[:, np.newaxis] * np.array([0.8 * side, 0.7, -0.45])
        raised = _near(face, face[list(cheek)].mean(axis=0), 1.5)
        field += raised[:, np.newaxis] * np.array([0.1 * side, 0.3, 0.28])
    lower = _near(face, face[[*LEFT_LOWER_LID[2:-2], *RIGHT_LOWER_LID[2:-2]]], 0.4)
    field[:, 1] += 0.1 * lower
    # A smile stretches the upper lip thin over the teeth.
    field[:, 1] -= 0.1 * _near(face, face[list(UPPER_LIP_OUTER[3:-3])], 0.4) * 0.6
    return field


def _with_open_jaw(face: Points3, moved: Points3, amount: float) -> Points3:
    """Return ``moved`` with lower lip, chin and part of the cheeks turned about the axis through the ears."""
    axis = face[[234, 454]].mean(axis=0) + np.array([0.0, -0.5, -0.5])
    mouth = face[list(LIPS_INNER)].mean(axis=0)
    below = np.clip((mouth[1] + 0.2 - face[:, 1]) / 1.6, 0.0, 1.0)
    share = below * np.clip((face[:, 2] - axis[2] - 1.0) / 4.0, 0.0, 1.0)
    lower = [*LOWER_LIP_INNER[1:-1], *LOWER_LIP_OUTER[1:-1]]
    share[lower] = np.clip(1.15 - 0.35 * (np.abs(face[lower, 0]) / 2.2) ** 2, 0.0, 1.0)
    # Vertices above the line between the lips do not move. Take this line from the canonical mesh,
    # because closed lips may overlap in other faces.
    rest = canonical_mesh().vertices
    edge = rest[list(UPPER_LIP_INNER)]
    line = np.interp(rest[:, 0], edge[:, 0], edge[:, 1])
    over_lips = (rest[:, 0] > edge[0, 0]) & (rest[:, 0] < edge[-1, 0]) & (rest[:, 2] > edge[0, 2] - 1.0)
    above = over_lips & (rest[:, 1] >= line - 1e-9)
    above[lower] = False
    under = over_lips & ~above & (_near(rest, rest[lower], 0.35) > 0.3)
    under[lower] = False
    share[under] = np.maximum(share[under], 0.95)
    share[above] = 0.0
    share[list(UPPER_LIP_OUTER)] = 0.0
    share[[UPPER_LIP_INNER[0], UPPER_LIP_INNER[-1]]] = 0.3
    angle = np.radians(_JAW_DEG) * amount * share
    offset = moved - axis
    turned = moved.copy()
    turned[:, 1] = axis[1] + np.cos(angle) * offset[:, 1] - np.sin(angle) * offset[:, 2]
    turned[:, 2] = axis[2] + np.sin(angle) * offset[:, 1] + np.cos(angle) * offset[:, 2]
    # The corners of the mouth move inwards as it opens.
    pinch = amount * 0.25 * _near(face, face[[UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]]], 0.9)
    turned[:, 0] -= np.sign(face[:, 0]) * pinch
    return turned


def _with_closed_eyes(face: Points3, amount: float) -> Points3:
    """Return the face with the upper lids lowered. The skin above the lids follows, less with distance."""
    moved = face.copy()
    for upper, lower in ((LEFT_UPPER_LID, LEFT_LOWER_LID), (RIGHT_UPPER_LID, RIGHT_LOWER_LID)):
        down = face[list(lower)] + np.array([0.0, 0.0, 0.06]) - face[list(upper)]
        down[[0, -1]] = 0.0
        lid = face[list(upper)]
        near = np.linalg.norm(face[:, np.newaxis] - lid, axis=2)
        closest, distance = near.argmin(axis=1), near.min(axis=1)
        above = face[:, 1] >= lid[closest, 1] - 1e-9
        share = np.where(above, np.exp(-((distance / 0.28) ** 2) / 2), 0.0)
        share[list(lower)] = 0.0
        share[list(upper)] = 1.0
        moved += amount * share[:, np.newaxis] * down[closest]
    return moved
