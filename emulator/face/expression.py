"""Facial expressions: displacement fields for the actions of the muscles.

The fit uses the fields to separate a smile from the identity. The fields are computed, not recorded from
people. Each field moves a few landmarks like an action unit of the Facial Action Coding System (P. Ekman and
W. V. Friesen 1978), and the skin around them follows smoothly.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.face.canonical import Region, canonical_data, canonical_mesh
from emulator.face.landmarks import (
    CHIN,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MIRROR,
    NOSE,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.laplacian import cotangent_weights
from emulator.face.types import Matrix, Points3


class _Action(NamedTuple):
    """Landmarks that move together, in the middle of the face or on its right side.

    The skin within about ``reach_cm`` follows. Each of ``moves_cm`` is a typical displacement of the
    landmarks.
    """

    name: str
    landmarks: tuple[int, ...]
    reach_cm: float
    moves_cm: tuple[tuple[float, float, float], ...]


_MOUTH_CORNER = (61, 78, 185, 146, 191, 95)

# fmt: off
_BOTH_SIDES: Final = (
    _Action("mouth_corner", _MOUTH_CORNER, 1.3, ((0.35, 0, 0), (0, 0.35, 0), (0, 0, 0.35))),
    _Action("mouth_corner_and_cheek", _MOUTH_CORNER, 2.6, ((0.2, 0, 0), (0, 0.2, 0), (0, 0, 0.2))),
    _Action("upper_lip_side", (39, 40, 80, 81), 0.8, ((0, 0.2, 0), (0, 0, 0.15))),
    _Action("lower_lip_side", (181, 91, 88, 178), 0.8, ((0, 0.2, 0), (0, 0, 0.15))),
    _Action("upper_lid", RIGHT_UPPER_LID[2:-2], 0.35, ((0, -0.25, 0),)),
    _Action("lower_lid", RIGHT_LOWER_LID[2:-2], 0.35, ((0, 0.15, 0),)),
    _Action("inner_brow", (107, 55, 66), 1.0, ((0.15, 0, 0), (0, 0.3, 0))),
    _Action("outer_brow", (70, 46, 63, 53), 1.0, ((0, 0.25, 0),)),
    _Action("middle_brow", (105, 52, 66, 65), 1.0, ((0, 0.25, 0),)),
    _Action("cheek", (50, 205, 101, 36), 1.3, ((0.15, 0, 0), (0, 0.25, 0), (0, 0, 0.25))),
    _Action("cheek_puff", (187, 207, 192, 213), 1.3, ((-0.125, 0, 0.2),)),
    _Action("nostril", (48, 64, 49, 102, 98), 0.6, ((0.15, 0, 0), (0, 0.15, 0))),
)
_MIDDLE: Final = (
    _Action("upper_lip", (0, 37, 267, 11, 12, 13), 0.8, ((0, 0.2, 0), (0, 0, 0.15))),
    _Action("lower_lip", (17, 84, 314, 16, 15, 14), 0.8, ((0, 0.2, 0), (0, 0, 0.15))),
    _Action("upper_lip_edge", UPPER_LIP_INNER[1:-1], 0.25, ((0, 0.2, 0),)),
    _Action("lower_lip_edge", LOWER_LIP_INNER[1:-1], 0.25, ((0, 0.2, 0),)),
)
# fmt: on

_JAW: Final = (*LOWER_LIP_INNER[1:-1], *LOWER_LIP_OUTER[1:-1], *CHIN)
_ABOVE_JAW: Final = (*UPPER_LIP_INNER[1:-1], *UPPER_LIP_OUTER[1:-1], *NOSE, *RIGID)

JAW_JOINT_CM: Final = (0.0, -1.0, -0.5)
"""The joint of the jaw in model space. It is in front of the ears and slightly below them."""

_JAW_DROP_RAD = 0.1
_JAW_MOVES_CM = ((0.3, 0.0, 0.0), (0.0, 0.0, 0.25))

# Typical opening of the mouth in a smile.
_SMILE_CM = 0.6


@cache
def expression_fields() -> NDArray[np.float64]:
    """Return read-only displacement fields (E, 468, 3), in cm: typical movements by the muscles and the jaw.

    Fields in the middle of the face are even or odd under left-right reflection, up to rounding. Fields on
    the sides come in mirrored pairs.
    """
    stiffness, mass = _bending()
    vertices = canonical_mesh().vertices
    mirror = np.array(MIRROR[: len(vertices)])
    fields: list[Points3] = []
    for action in (*_MIDDLE, *_BOTH_SIDES):
        follow = _follow(stiffness, mass, action.landmarks, action.reach_cm)
        fields += [follow[:, None] * np.array(move) for move in action.moves_cm]
        if action in _BOTH_SIDES:
            fields += [follow[mirror, None] * np.array(move) * (-1.0, 1.0, 1.0) for move in action.moves_cm]
    jaw = _follow(stiffness, mass, _JAW, 2.5, held=_ABOVE_JAW)[:, None]
    arm = vertices - JAW_JOINT_CM
    drop = np.stack([np.zeros(len(arm)), -arm[:, 2], arm[:, 1]], axis=1) * _JAW_DROP_RAD
    fields.append(jaw * drop)
    fields += [jaw * np.array(move) for move in _JAW_MOVES_CM]
    fields.append(canonical_data().mouth_opening * _SMILE_CM)
    found = np.array(fields)
    found.flags.writeable = False
    return found


def _follow(
    stiffness: Matrix,
    mass: NDArray[np.float64],
    landmarks: Sequence[int],
    reach_cm: float,
    held: Sequence[int] = (),
) -> NDArray[np.float64]:
    """Return smooth weights (468,): 1 at ``landmarks``, 0 at ``held`` and farther than about ``reach_cm``."""
    pins = np.zeros(len(mass))
    pins[[*landmarks, *held]] = 1e3
    target = np.zeros(len(mass))
    target[list(landmarks)] = 1.0
    system = stiffness * reach_cm**4 + np.diag(mass + pins)
    return np.asarray(np.linalg.solve(system, pins * target))


def _bending() -> tuple[Matrix, NDArray[np.float64]]:
    """Return the bending energy (468, 468) of the skin, in 1/cm2, and the area (468,) of each vertex, in cm2.

    The triangles of the eyes and the mouth are left out, so that the lips can move apart.
    """
    canonical = canonical_data()
    triangles = canonical.mesh.triangles[canonical.regions == Region.SKIN]
    weights, mass = cotangent_weights(canonical.mesh.vertices, triangles)
    laplacian: Matrix = -weights.toarray()
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    return laplacian @ (laplacian / mass[:, None]), mass
