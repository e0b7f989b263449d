"""Face reshaping: the motions of 25 parameters, and the warp that combines them.

`MOTIONS` defines for each parameter which region of the canonical mesh moves, in which direction, and
how far at the value 1. Directions are in the head's own frame: x to the person's left, y up, z out of
the face. Lengths are in u, the distance between the outer eye corners (landmarks 33 and 263). So a
tilted or turned head is reshaped in 3D, and the picture shows the projection. The displacements of all
parameters are added, and one smooth field applies them in a single resampling.

The vendor documents what each parameter does and in which direction, but not how far. This project chose the
amounts: with one parameter at its limit, the change is clearly visible, but looks natural.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LANDMARK_COUNT,
    LEFT_EYE,
    LEFT_EYE_OUTER_CORNER,
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
    RIGHT_EYE_OUTER_CORNER,
    RIGHT_EYEBROW,
    RIGHT_IRIS,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.mesh import vertex_normals
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.types import Image, Matrix, Points3, check_image, check_points
from emulator.face.warp import (
    DisplacementField,
    LocalMotion,
    ProtectedArea,
    Window,
    displacement_field,
    warp_image,
)

Side: TypeAlias = Literal["left", "right", "both"]
Vector: TypeAlias = tuple[float, float, float]
"""(x, y, z) along the head's own axes; see `HeadFrame`."""


# --- Landmarks that move together ---------------------------------------------------------------


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
_OVAL_LEFT = FACE_OVAL[1 : FACE_OVAL.index(CHIN_TIP)]
_OVAL_RIGHT = _mirrored(_OVAL_LEFT)
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

# Mirrored pairs of landmarks, on bone and in other places that expressions move least. They define the head's
# x axis.
_RIGID_LEFT = (263, 362, 356, 454, 251, 284, 332, 297, 338, 389, 323, 327, 358)
_RIGID_RIGHT = _mirrored(_RIGID_LEFT)
# The ends of the midline. They define the head's y axis.
_MIDLINE_TOP, _MIDLINE_BOTTOM = FACE_OVAL[0], CHIN_TIP


# --- What each parameter moves ------------------------------------------------------------------


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
        Whether the motion spares the teeth if the mouth is open; see `_sparing_teeth`.
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
    for side, oval in zip(_SIDES, (_OVAL_LEFT, _OVAL_RIGHT), strict=True)
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


# --- The head's frame ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """The position of a head's own coordinate axes in the picture.

    Attributes
    ----------
    origin : (3,) float64
        The midpoint between the outer eye corners, in pixels.
    axes : (3, 3) float64
        Rows: the head's x (person's left), y (up) and z (out of the face) as unit vectors in
        pixel space (x right, y down, z away from the camera).
    unit : float
        Length in pixels of u, the distance between the outer eye corners.
    """

    origin: NDArray[np.float64]
    axes: Matrix
    unit: float

    def to_head(self, points: Points3) -> Points3:
        """Convert positions (N, 3) in pixels to the head's frame, in which 1 means ``unit`` pixels."""
        carried: Points3 = (points - self.origin) @ self.axes.T / self.unit
        return carried

    def to_picture(self, vectors: Points3) -> Points3:
        """Convert displacements (N, 3) along the head's axes, in units of ``unit`` pixels, to pixels."""
        carried: Points3 = vectors @ self.axes * self.unit
        return carried


def head_frame(landmarks: Points3) -> HeadFrame:
    """Return the coordinate axes of the head with ``landmarks`` (478, 3).

    Raises
    ------
    ValueError
        If the landmarks are not (478, 3) and finite, or do not define the axes, for example because all are
        in one place.
    """
    _check_landmarks(landmarks)
    x = (landmarks[list(_RIGID_LEFT)] - landmarks[list(_RIGID_RIGHT)]).sum(axis=0)
    up = landmarks[_MIDLINE_TOP] - landmarks[_MIDLINE_BOTTOM]
    unit = float(np.linalg.norm(landmarks[LEFT_EYE_OUTER_CORNER] - landmarks[RIGHT_EYE_OUTER_CORNER]))
    z = np.cross(x, up)
    lengths = np.linalg.norm(x), np.linalg.norm(z)
    if not (unit > 0 and min(lengths) > 0):
        raise ValueError("the landmarks show no face: they define no axes")
    x, z = x / lengths[0], z / lengths[1]
    axes = np.stack([x, np.cross(z, x), z])
    return HeadFrame((landmarks[LEFT_EYE_OUTER_CORNER] + landmarks[RIGHT_EYE_OUTER_CORNER]) / 2, axes, unit)


# --- Public: landmarks, field, picture ----------------------------------------------------------


def displaced_landmarks(landmarks: Points3, parameters: ReshapeParameters) -> Points3:
    """Return the positions (478, 3) of ``landmarks`` (478, 3) after reshaping; both in pixels.

    The displacements of all parameters are added. Each displacement is linear in its parameter, with two
    exceptions: for the eye sizes and ``lip_size``, the area is linear in the parameter; for ``eye_angle``,
    the angle is. A sum that is longer than the longest displacement by a single parameter is shortened, so
    that the outline of the face does not reach the eyes or the mouth.

    Raises
    ------
    ValueError
        If the landmarks are not (478, 3) and finite.
    """
    elsewhere, lips = _displacements(head_frame(landmarks), landmarks, parameters)
    return landmarks + elsewhere + lips


def _displacements(
    frame: HeadFrame, landmarks: Points3, parameters: ReshapeParameters
) -> tuple[Points3, Points3]:
    """Return two arrays of displacements (478, 3), in pixels.

    The first is by all parameters except those of the lips, the second by the lip parameters.
    """
    points = frame.to_head(landmarks)
    elsewhere, lips = np.zeros_like(points), np.zeros_like(points)
    for field in fields(parameters):
        amount = float(getattr(parameters, field.name))
        if amount:
            moved = lips if field.name in LIP_PARAMETERS else elsewhere
            for motion in MOTIONS[field.name]:
                moved += _displacement(points, motion, amount)
    shorter = _compression(elsewhere + lips)
    return frame.to_picture(shorter * elsewhere), frame.to_picture(shorter * lips)


def reshape_field(
    landmarks: Points3,
    parameters: ReshapeParameters,
    shape: tuple[int, int],
    others: Sequence[Points3] = (),
) -> DisplacementField:
    """Return the displacement field that reshapes the face at ``landmarks``.

    Parameters
    ----------
    landmarks : (478, 3) float64
        The face to change, in pixels.
    parameters : ReshapeParameters
    shape : (int, int)
        Rows and columns of the picture.
    others : sequence of (478, 3) float64
        Landmarks of other faces in the picture, which stay unchanged.

    Raises
    ------
    ValueError
        If the landmarks are not (478, 3) and finite.
    """
    frame = head_frame(landmarks)
    elsewhere, lips = _displacements(frame, landmarks, parameters)
    target = landmarks + elsewhere + lips
    around, around_target = _surroundings(frame, landmarks, target)
    oval = list(FACE_OVAL)
    return displacement_field(
        np.concatenate([landmarks + lips, around])[:, :2],
        np.concatenate([target, around_target])[:, :2],
        shape,
        radius=_RADIUS * frame.unit,
        stiffness=np.concatenate([_stiffness(landmarks), np.full(len(around), _STIFFNESS)]),
        window=Window(
            landmarks[oval, :2],
            _FADE[0] * frame.unit,
            _FADE[1] * frame.unit,
            (
                *(ProtectedArea(other[oval, :2], _RISE_AROUND_OTHERS * frame.unit) for other in others),
                *_resting_sides(frame, landmarks, target),
            ),
        ),
        local=_lip_motion(frame, landmarks, target, lips) if lips.any() else None,
    )


def _lip_motion(frame: HeadFrame, landmarks: Points3, target: Points3, lips: Points3) -> LocalMotion:
    """Return the motion by the lip parameters, which displace the landmarks by ``lips`` (478, 3) pixels.

    The motion ends at the outline of the face. Points in the opening of the mouth move like the edges of the
    lips above and below. The middle of an open mouth stays as it is, so that teeth are not stretched.
    """
    upper, lower = list(UPPER_LIP_INNER[1:-1]), list(LOWER_LIP_INNER[1:-1])

    def between(positions: Points3, share: float) -> Points3:
        return share * positions[upper] + (1.0 - share) * positions[lower]

    gap = np.linalg.norm((landmarks[upper] - landmarks[lower])[:, :2], axis=1)
    parted = gap > _PARTED * frame.unit
    dst, moved, stiffness = [target], [lips], [_stiffness(landmarks)]
    for share in _BETWEEN_LIPS:
        dst.append(between(target, share)[parted])
        moved.append(between(lips, share)[parted])
        stiffness.append(np.full(int(parted.sum()), _STIFFNESS))
    points = frame.to_head(landmarks)
    opening, still = _opening(points), None
    over_teeth = _aside(points)[upper] < _TEETH
    if opening > 0.0 and over_teeth.any():
        edges = [between(target, share)[over_teeth, :2] for share in (_TEETH_INSET, 1.0 - _TEETH_INSET)]
        still = ProtectedArea(np.concatenate(edges), _RISE_AROUND_TEETH * frame.unit)
    return LocalMotion(
        np.concatenate(dst)[:, :2],
        -np.concatenate(moved)[:, :2],
        np.concatenate(stiffness),
        inner=target[list(LIPS_OUTER), :2],
        outer=(target - lips)[:SURFACE_COUNT, :2],
        margin=_LIP_MARGIN * frame.unit,
        still=still,
        stillness=opening,
    )


def reshape(
    image: Image, landmarks: Points3, parameters: ReshapeParameters, others: Sequence[Points3] = ()
) -> Image:
    """Return ``image`` (H, W, 3) with the face at ``landmarks`` (478, 3) reshaped, at the same size.

    If all parameters are zero, the result is a bit-identical copy. ``others`` are the landmarks of
    other faces in the picture, which stay unchanged.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`, or the landmarks are not (478, 3) and finite.
    """
    check_image(image)
    _check_landmarks(landmarks)
    if parameters.is_zero:
        return image.copy()
    field = reshape_field(landmarks, parameters, (image.shape[0], image.shape[1]), others)
    return warp_image(image, field)


# A landmark's radius of influence, in u. It spans the cheek and the forehead, where landmarks are
# sparse.
_RADIUS = 0.8

# The motion by the lip parameters ends at this distance inside the outline of the face, in u.
_LIP_MARGIN = 0.02

# Control points between the lips: their distances from the lower lip, as shares of the gap. Where the gap is
# below `_PARTED` u, there are no control points.
_BETWEEN_LIPS = (0.25, 0.5, 0.75)
_PARTED = 0.03

# Distance between the edges of the lips and the unchanged area of the teeth, as a share of the gap between
# the lips.
_TEETH_INSET = 0.2

# Rings of control points around the face oval: distance from the oval in u, fraction of the oval's
# displacement, and number of oval points per ring point. Ears and hairline move with the face. The
# background does not move.
_RINGS = ((0.25, 0.66, 1), (0.48, 0.2, 2), (0.68, 0.0, 2))

# Distances outside the oval, in u, between which the field fades to 0.
_FADE = (0.5, 0.72)

# Distances in u over which the field rises from 0: around other faces, at the midline next to a side that
# does not move, and around teeth.
_RISE_AROUND_OTHERS = 0.22
_RISE_AT_MIDLINE = 0.1
_RISE_AROUND_TEETH = 0.03

# The field closely follows landmarks that face the camera. In a turned head, landmarks on the far side are
# near the outline or hidden, and the picture shows other things there. So the field follows them loosely. The
# stiffness falls from `_HIDDEN_STIFFNESS` to `_STIFFNESS` while the component of the surface's normal towards
# the camera rises from the first to the second number of `_FACING`.
_STIFFNESS, _HIDDEN_STIFFNESS = 1e-4, 1.0
_FACING = (-0.2, 0.3)

# Displacements up to the knee stay unchanged. Longer ones are shortened to less than the ceiling. Both in u.
_KNEE, _CEILING = 0.11, 0.145


def _resting_sides(frame: HeadFrame, landmarks: Points3, target: Points3) -> tuple[ProtectedArea, ...]:
    """Return the halves of the picture, beside the midline of the face, in which no landmark moves.

    A parameter of one side must not change the other side, not even through the field's smoothness.
    """
    moves = (target != landmarks).any(axis=1)
    sides = _template()[:, 0]
    top, bottom = landmarks[_MIDLINE_TOP, :2], landmarks[_MIDLINE_BOTTOM, :2]
    down = (bottom - top) / max(float(np.linalg.norm(bottom - top)), 1e-9)
    # Well beyond the reach of the field.
    far = 3.0 * frame.unit
    line = np.stack([top - far * down, bottom + far * down])
    # The person's left lies to the right of a line that runs down.
    across = far * np.array([down[1], -down[0]])
    return tuple(
        ProtectedArea(np.concatenate([line, line + side * across]), _RISE_AT_MIDLINE * frame.unit)
        for side in (-1.0, 1.0)
        if not moves[side * sides >= 0].any()
    )


def _stiffness(landmarks: Points3) -> NDArray[np.float64]:
    """Return the stiffness (478,) of each landmark: higher where the surface faces away from the camera.

    The displacement field follows a landmark less closely if its stiffness is higher.
    """
    flipped = landmarks[:SURFACE_COUNT] * (1.0, -1.0, -1.0)
    towards_camera = vertex_normals(flipped, canonical_mesh().triangles)[:, 2]
    low, high = _FACING
    hidden = 1.0 - _smoothstep((towards_camera - low) / (high - low))
    stiffness = np.full(LANDMARK_COUNT, _STIFFNESS)
    stiffness[:SURFACE_COUNT] *= (_HIDDEN_STIFFNESS / _STIFFNESS) ** hidden
    return stiffness


def _compression(moved: Points3) -> Points3:
    """Return the factors (478, 1) by which long displacements (478, 3), in u, are shortened."""
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    room = _CEILING - _KNEE
    shorter = _KNEE + room * np.tanh(np.maximum(length - _KNEE, 0.0) / room)
    compression: Points3 = np.where(length > _KNEE, shorter / np.maximum(length, _KNEE), 1.0)
    return compression


def _surroundings(frame: HeadFrame, landmarks: Points3, target: Points3) -> tuple[Points3, Points3]:
    """Return control points (R, 3) around the face, and their new positions (R, 3), in pixels."""
    oval = [_MIDLINE_TOP, *_OVAL_LEFT, _MIDLINE_BOTTOM, *_OVAL_RIGHT]
    rim = frame.to_head(landmarks[oval])
    outward = (rim - rim.mean(axis=0)) * (1.0, 1.0, 0.0)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    moved = target[oval] - landmarks[oval]
    around, around_target = [], []
    for distance, part, every in _RINGS:
        ring = (landmarks[oval] + frame.to_picture(outward * distance))[::every]
        around.append(ring)
        around_target.append(ring + moved[::every] * part)
    return np.concatenate(around), np.concatenate(around_target)


def _check_landmarks(landmarks: Points3) -> None:
    check_points(landmarks, 3, "landmarks")
    if len(landmarks) != LANDMARK_COUNT:
        raise ValueError(f"landmarks must be (478, 3), not {landmarks.shape}")


def _displacement(points: Points3, motion: Motion, amount: float) -> Points3:
    """Return the displacements (478, 3) of landmarks by one motion.

    Positions and displacements are in the head's frame, in u, the distance between the outer eye corners.
    """
    gain = np.asarray(motion.gain)
    gain = np.sqrt(1.0 + gain * amount) - 1.0 if motion.area else gain * amount
    shift = np.asarray(motion.shift)
    if motion.seam:
        centre = points[list(motion.centre)]
        centre = centre[np.argsort(centre[:, 0])]
        beyond = points[:, 1] - np.interp(points[:, 0], centre[:, 0], centre[:, 1])
        beyond = np.maximum(beyond * shift[1], 0.0) * shift[1]
        moved = beyond[:, None] * (0.0, gain[1], 0.0)
    else:
        moved = np.tile(shift * amount, (len(points), 1))
        if motion.centre:
            from_centre = points - points[list(motion.centre)].mean(axis=0)
            angle = np.deg2rad(motion.turn_deg * amount)
            turn = np.array(
                [[np.cos(angle) - 1, np.sin(angle), 0], [-np.sin(angle), np.cos(angle) - 1, 0], [0, 0, 0]]
            )
            moved += from_centre * gain + from_centre @ turn
    opening = _opening(points) if motion.mouth else 0.0
    if opening > 0.0:
        spared = _sparing_teeth(points, moved, growth=motion.gain[1] * amount if motion.area else None)
        moved = moved + opening * (spared - moved)
    displacement: Points3 = moved * _weights(motion)[:, None]
    return displacement


def _sparing_teeth(points: Points3, moved: Points3, growth: float | None) -> Points3:
    """Return ``moved`` (478, 3) with smaller displacements at the teeth of an open mouth.

    The edges of the opening move only near the corners of the mouth, so that the lips slide over the teeth.
    ``growth`` is the share by which the area of the lips grows, or None if the motion is not a growth. Lips
    that grow become thicker on the side away from the opening, and the mouth becomes only a little wider.
    """
    free = _smoothstep((_aside(points) - _TEETH) / (1.0 - _TEETH))
    spared: Points3 = moved * (1.0 - _over_teeth() * (1.0 - free))[:, None]
    if growth is None:
        return spared
    corners = [UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]]
    wider = _WIDENING * float(np.ptp(moved[corners, 0] + points[corners, 0]) / np.ptp(points[corners, 0]) - 1)
    whole, hole = _area(points[list(LIPS_OUTER)]), _area(points[list(LIPS_INNER)])
    grown = whole * (1.0 + growth) / (1.0 + wider)
    thicker = np.clip((grown - whole) / max(whole - hole, 1e-9), -_MOST_THICKER, _MOST_THICKER)
    edges = []
    for row in (UPPER_LIP_INNER, LOWER_LIP_INNER):
        edge = points[list(row)]
        edge = edge[np.argsort(edge[:, 0])]
        edges.append(np.interp(points[:, 0], edge[:, 0], edge[:, 1]))
    nearest = np.clip(points[:, 1], np.minimum(*edges), np.maximum(*edges))
    spared[:, 0] *= _WIDENING
    spared[:, 1] = (points[:, 1] - nearest) * thicker
    return spared


def _area(ring: Points3) -> float:
    """Return the area of a ring of points (N, 3), as seen from the front."""
    x, y = ring[:, 0], ring[:, 1]
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def _aside(points: Points3) -> NDArray[np.float64]:
    """Return the distances (478,) of landmarks from the middle of the mouth: 1 at the mouth's corners."""
    corners = points[[UPPER_LIP_OUTER[0], UPPER_LIP_OUTER[-1]], 0]
    half = max(abs(float(corners[1] - corners[0])) / 2, 1e-6)
    return np.asarray(np.abs(points[:, 0] - corners.mean()) / half)


def _opening(points: Points3) -> float:
    """Return how far the mouth is open, 0 to 1. ``points`` are landmarks (478, 3) in the head's frame."""
    upper, lower = list(UPPER_LIP_INNER[3:-3]), list(LOWER_LIP_INNER[3:-3])
    gap = np.linalg.norm(points[upper] - points[lower], axis=1).mean()
    return float(_smoothstep((gap - _OPENING[0]) / (_OPENING[1] - _OPENING[0])))


# Mean gap between the inner edges of the lips, in u: a mouth counts as closed below the first, and as open
# above the second.
_OPENING = (0.02, 0.07)

# Half of the width of the teeth that stay unchanged, as a share of the distance from the middle of the mouth
# to its corners.
_TEETH = 0.6

# For lips that grow in area around an open mouth: the part of the growth in width that remains, and the
# largest relative change of the lips' thickness.
_WIDENING = 0.5
_MOST_THICKER = 0.6


@cache
def _over_teeth() -> NDArray[np.float64]:
    """Return weights (478,): 1 at the edges of the opening of the mouth, 0 at the outer edges of the lips."""
    points = _template()[:, :2]
    outer, inner = _distance(points, LIPS_OUTER), _distance(points, LIPS_INNER)
    weights: NDArray[np.float64] = outer / np.maximum(outer + inner, 1e-9)
    outline = points[list(LIPS_OUTER)].astype(np.float32)
    within = [cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=False) >= 0 for x, y in points]
    weights[~np.array(within)] = 0.0
    weights.flags.writeable = False
    return weights


@cache
def _template() -> Points3:
    """Return the landmarks (478, 3) of the canonical mesh, with irises, on the axes of its `HeadFrame`."""
    surface = canonical_mesh().vertices * (1.0, -1.0, -1.0)
    landmarks = np.concatenate([surface, np.zeros((LANDMARK_COUNT - SURFACE_COUNT, 3))])
    for iris, eye, outside in ((RIGHT_IRIS, RIGHT_EYE, -1.0), (LEFT_IRIS, LEFT_EYE, 1.0)):
        # In the order of the iris landmarks: centre, towards the nose, up, outwards, down.
        offsets = [(0, 0, 0), (-outside, 0, 0), (0, -1, 0), (outside, 0, 0), (0, 1, 0)]
        landmarks[list(iris)] = surface[list(eye)].mean(axis=0) + _IRIS_RADIUS_CM * np.array(offsets)
    return head_frame(landmarks).to_head(landmarks)


# All irises have nearly the same diameter, 11.7 mm.
_IRIS_RADIUS_CM = 0.585


@cache
def _weights(motion: Motion) -> NDArray[np.float64]:
    """Return the weights (478,) of a motion: 1 at its core, 0 beyond its reach, small or 0 at ``still``.

    The array is cached and read-only.
    """
    points = _template()[:, :2]
    to_core = _distance(points, motion.core)
    closeness = 1.0 - to_core / motion.reach
    if motion.still:
        to_still = _distance(points, motion.still) + motion.give
        closeness = np.minimum(closeness, to_still / np.maximum(to_still + to_core, 1e-9))
    weights = _smoothstep(closeness)
    if motion.side != "both":
        sideways = points[:, 0] if motion.side == "left" else -points[:, 0]
        weights = weights * _smoothstep(sideways / motion.ramp)
    weights.flags.writeable = False
    return weights


def _distance(points: NDArray[np.float64], group: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the distance (478,) of each point to the nearest landmark of a group."""
    nearest: NDArray[np.float64] = cdist(points[list(group)], points).min(axis=0)
    return nearest


def _smoothstep(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(t, 0.0, 1.0)
    step: NDArray[np.float64] = t * t * (3.0 - 2.0 * t)
    return step
