"""The motions of the 25 reshape parameters: which landmarks move, in which direction, and how far.

Directions are in the head's own frame; see `emulator.face.head_frame`. Lengths are in u, the distance between
the outer eye corners. The vendor documents what each parameter does and in which direction, but not how far.
This project chose the amounts: with one parameter at its limit, the change is clearly visible, but looks
natural.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MIRROR,
    NOSE_BASE,
    NOSE_TIP,
    RIGHT_EYE,
    RIGHT_EYEBROW,
    RIGHT_IRIS,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)

Side: TypeAlias = Literal["left", "right", "both"]
Vector: TypeAlias = tuple[float, float, float]
"""(x, y, z) along the head's own axes; see `HeadFrame`."""


def _mirrored(left: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(MIRROR[index] for index in left)


def _both(left: tuple[int, ...]) -> tuple[int, ...]:
    return left + _mirrored(left)


_EYES = LEFT_EYE + RIGHT_EYE
_BROWS = LEFT_EYEBROW + RIGHT_EYEBROW
# The ends of the brows towards the nose, which some motions keep still. The outer ends are left out, because
# they are near the outline of the face. If they were kept still, too, the outline of a turned head would have
# a dent there.
_BROW_HEADS = _both((334, 296, 336, 282, 295, 285))
_CHEEKBONES = _both((454, 323, 366, 352, 345, 447, 264, 372))
_JAW_CORNERS = _both((361, 288, 397, 365, 435, 367, 364))
_FACE_SIDES = _both((389, 356, 454, 323, 361, 288, 397, 365))
OVAL_LEFT = FACE_OVAL[1 : FACE_OVAL.index(CHIN_TIP)]
OVAL_RIGHT = _mirrored(OVAL_LEFT)
_CHIN_SIDES = _both((377, 400, 378, 379, 396, 369, 395, 394))
_CHIN_END = (CHIN_TIP, 175, *_both((377, 400, 378, 396, 369)))
_NOSE_WINGS = _both((279, 331, 294, 278, 344, 360, 439, 455, 289, 392, 438, 309, 305, 460, 327))
_NOSE_CREASES = _both((279, 358, 331, 294, 327))
_NOSE_BRIDGE_SIDES = _both((351, 419, 248, 412, 399, 456))
_NOSE_TIP = (1, NOSE_TIP, 19, 94, *_both((274, 275)))
_NOSE_TIP_SIDES = _both((274, 275, 440, 457, 281))
_NOSE_BASE = (2, 94, *_both((326, 328, 290, 250, 458, 370, 462)))
_NOSE_LOWER = (*_NOSE_WINGS, *_NOSE_TIP_SIDES, *_NOSE_BASE, 1, NOSE_TIP, 5, 19)
_NOSE = (*_NOSE_LOWER, 195, 197, *_both((248, 456)))
_LIPS = LIPS_OUTER + LIPS_INNER
# Without the corners, which both lips share.
_LIP_TOP = UPPER_LIP_OUTER[1:-1]
_LIP_BOTTOM = LOWER_LIP_OUTER[1:-1]
# The line where the lips meet, from corner to corner: along the upper lip, and along the lower lip.
_SEAM_TOP = (61, *UPPER_LIP_INNER, 291)
_SEAM_BOTTOM = (61, *LOWER_LIP_INNER, 291)


@dataclass(frozen=True)
class Motion:
    """An affine motion of the surface near a group of landmarks, as a part of a parameter's effect.

    A landmark at p is displaced by ``amount * weight * (shift + gain * (p - c) + turn x (p - c))``.
    ``amount`` is the value of the parameter. The weight depends only on the canonical mesh, so it is the same
    for every face, pose and expression. p and c are positions in the face of the picture. Lengths are in u,
    the distance between the outer eye corners.

    Attributes
    ----------
    core : tuple of int
        The landmarks with full weight.
    reach : float
        Distance from the core, in u, at which the weight is 0.
    still : tuple of int
        Landmarks that should not move: the weight falls to 0 towards them.
    give : float
        Length in u that is added to the distance from ``still``. With a positive value, the landmarks in
        ``still`` move a little, so that the skin between them and the core is compressed less.
    centre : tuple of int
        c is the mean of these landmarks.
    seam : bool
        If true, c is the point on the line through ``centre`` that has the x of the landmark. Only landmarks
        on one side of this line move. ``shift`` points to this side, and is not added.
    side : {'both', 'left', 'right'}
        The side that moves, from the person's point of view. The weight rises from 0 on the midline
        to its full value at a distance of ``ramp``.
    ramp : float
        In u; see ``side``.
    shift : (float, float, float)
        In u, along x, y and z.
    gain : (float, float, float)
        Relative growth along x, y and z.
    turn_deg : float
        Angle of the turn in degrees, positive from x towards y.
    area : bool
        Whether ``gain`` is the growth of an area. If so, lengths grow by the square root of the factor by
        which the area grows.
    mouth : bool
        Whether the motion spares the teeth of an open mouth, so that the lips slide over them.
    """

    core: tuple[int, ...]
    reach: float
    still: tuple[int, ...] = ()
    give: float = 0.0
    centre: tuple[int, ...] = ()
    seam: bool = False
    side: Side = "both"
    ramp: float = 0.1
    shift: Vector = (0.0, 0.0, 0.0)
    gain: Vector = (0.0, 0.0, 0.0)
    turn_deg: float = 0.0
    area: bool = False
    mouth: bool = False


# `Motion.give` between the features and the outline of the face, in u.
_GIVE = 0.12


def _sideways(
    amount: float, core: tuple[int, ...], reach: float, still: tuple[int, ...]
) -> tuple[Motion, ...]:
    """Return the motions of both sides away from the midline by ``amount``.

    The unit of ``amount`` is u, the distance between the outer eye corners.
    """
    return (
        Motion(core, reach, still, _GIVE, side="left", ramp=0.3, shift=(amount, 0.0, 0.0)),
        Motion(core, reach, still, _GIVE, side="right", ramp=0.3, shift=(-amount, 0.0, 0.0)),
    )


_EYE_SIDES: tuple[tuple[Side, tuple[int, ...], tuple[int, ...], float], ...] = (
    ("left", LEFT_EYE, LEFT_IRIS, 1.0),
    ("right", RIGHT_EYE, RIGHT_IRIS, -1.0),
)

# ``eye_width`` does not change the width of the iris. ``eye_height`` and ``eye_size`` also enlarge the iris.
_EYE_WIDTH = tuple(
    Motion(eye, 0.2, _BROWS + iris, centre=eye, side=side, gain=(0.14, 0.0, 0.0))
    for side, eye, iris, _ in _EYE_SIDES
)
_EYE_HEIGHT = tuple(
    Motion(eye, 0.17, _BROWS, centre=eye, side=side, gain=(0.0, 0.22, 0.0)) for side, eye, _, _ in _EYE_SIDES
)
_EYE_DISTANCE = tuple(
    Motion(eye + iris, 0.3, (), centre=eye, side=side, shift=(0.05 * outward, 0.0, 0.0))
    for side, eye, iris, outward in _EYE_SIDES
)
_EYE_ANGLE = tuple(
    Motion(eye + iris, 0.22, (), centre=eye, side=side, turn_deg=5.0 * outward)
    for side, eye, iris, outward in _EYE_SIDES
)
_EYE_SIZE = tuple(
    Motion(eye + iris, 0.22, _BROWS, centre=eye, side=side, gain=(0.26, 0.26, 0.0), area=True)
    for side, eye, iris, _ in _EYE_SIDES
)
_SIDES: tuple[Side, ...] = ("left", "right")
# The sides of the face are 0.75 u from the midline, so a gain of 0.107 moves them by 8 % of u. The
# gain in height is smaller, because the middle of the chin belongs to both sides and does not move.
_FACE_SIZE = tuple(
    Motion(
        oval,
        0.6,
        _EYES + _BROW_HEADS + LIPS_OUTER + _NOSE_CREASES,
        _GIVE,
        centre=(6, 2),
        side=side,
        ramp=0.4,
        gain=(0.107, 0.04, 0.0),
    )
    for side, oval in zip(_SIDES, (OVAL_LEFT, OVAL_RIGHT), strict=True)
)
_CHIN_SIZE = tuple(
    Motion(_CHIN_SIDES, 0.4, LIPS_OUTER, centre=(152,), side=side, gain=(0.17, 0.0, 0.0)) for side in _SIDES
)

MOTIONS: Mapping[str, tuple[Motion, ...]] = MappingProxyType(
    {
        "cheekbones": _sideways(-0.055, _CHEEKBONES, 0.5, _EYES + _BROW_HEADS + _NOSE_CREASES + LIPS_OUTER),
        "jaw": _sideways(-0.08, _JAW_CORNERS, 0.5, (*LIPS_OUTER, 152)),
        "face_reshape_left": _FACE_SIZE[:1],
        "face_reshape_right": _FACE_SIZE[1:],
        "face_width": _sideways(0.10, _FACE_SIDES, 0.6, _EYES + _BROW_HEADS + _NOSE_CREASES + LIPS_OUTER),
        "chin_reshape_left": _CHIN_SIZE[:1],
        "chin_reshape_right": _CHIN_SIZE[1:],
        "chin_length": (Motion(_CHIN_END, 0.5, LIPS_OUTER, shift=(0.0, -0.085, 0.0)),),
        "eye_size_left": _EYE_SIZE[:1],
        "eye_size_right": _EYE_SIZE[1:],
        "eye_width": _EYE_WIDTH,
        "eye_height": _EYE_HEIGHT,
        "eye_distance": _EYE_DISTANCE,
        "eye_angle": _EYE_ANGLE,
        "nose_bridge_width": (
            Motion(_NOSE_BRIDGE_SIDES, 0.2, _EYES, centre=(6, 197, 195), gain=(0.21, 0.0, 0.0)),
        ),
        "nose_lift": (Motion(_NOSE_LOWER, 0.35, (*_EYES, *LIPS_OUTER, 168), shift=(0.0, 0.045, 0.0)),),
        "nose_size": (Motion(_NOSE, 0.25, _EYES + LIPS_OUTER, centre=(197, 2), gain=(0.13, 0.13, 0.13)),),
        "nose_tip": (Motion(_NOSE_TIP, 0.22, _NOSE_CREASES + LIPS_OUTER, shift=(0.0, -0.035, 0.0)),),
        "nose_tip_width": (
            Motion(_NOSE_TIP_SIDES, 0.16, _NOSE_CREASES, centre=(1, 4), gain=(0.18, 0.0, 0.0)),
        ),
        "nose_wing": (Motion(_NOSE_WINGS, 0.2, (*LIPS_OUTER, 1, 4), centre=(1, 2), gain=(0.17, 0.0, 0.0)),),
        "lip_size": (
            Motion(
                _LIPS,
                0.25,
                NOSE_BASE,
                centre=LIPS_INNER,
                gain=(0.26, 0.26, 0.26),
                area=True,
                mouth=True,
            ),
        ),
        "lip_width": (Motion(_LIPS, 0.25, NOSE_BASE, centre=(61, 291), gain=(0.14, 0.0, 0.0), mouth=True),),
        "lip_height_top": (
            Motion(
                _LIP_TOP,
                0.14,
                NOSE_BASE,
                centre=_SEAM_TOP,
                seam=True,
                shift=(0.0, 1.0, 0.0),
                gain=(0.0, 0.36, 0.0),
            ),
        ),
        "lip_height_bottom": (
            Motion(
                _LIP_BOTTOM,
                0.2,
                (),
                centre=_SEAM_BOTTOM,
                seam=True,
                shift=(0.0, -1.0, 0.0),
                gain=(0.0, 0.36, 0.0),
            ),
        ),
        # In the picture, the peaks rise by 3.3 % of u relative to the dip between them. The shifts
        # are a quarter larger, because the smooth field flattens such a sharp motion.
        "lip_peak": (
            Motion((267, 37, 302, 72), 0.13, (0, 13, *NOSE_BASE), shift=(0.0, 0.025, 0.0)),
            Motion((0, 11), 0.1, (267, 37, *UPPER_LIP_INNER, *NOSE_BASE), shift=(0.0, -0.0165, 0.0)),
        ),
    }
)
"""The motions of each of the 25 parameters at the value 1."""

LIP_PARAMETERS = frozenset(name for name in MOTIONS if name.startswith("lip_"))
"""The parameters that change only the lips, and not the outline of the face."""
