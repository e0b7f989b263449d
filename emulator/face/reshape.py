"""Face reshaping: the displacement field that combines the motions of 25 parameters.

`emulator.face.motions` defines for each parameter which region of the canonical mesh moves, in which
direction, and how far at the value 1. Directions are in the head's own frame, so a tilted or turned head is
reshaped in 3D, and the picture shows the projection. The displacements of all parameters are added, and one
smooth field applies them in a single resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from emulator.face.canonical import canonical_mesh
from emulator.face.displacement import (
    DisplacementField,
    LocalMotion,
    ProtectedArea,
    Window,
    displacement_field,
    smoothstep,
)
from emulator.face.head_frame import MIDLINE_BOTTOM, MIDLINE_TOP, HeadFrame, head_frame
from emulator.face.landmarks import (
    FACE_OVAL,
    LANDMARK_COUNT,
    LEFT_EYE,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    RIGHT_EYE,
    RIGHT_IRIS,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)
from emulator.face.mesh import vertex_normals
from emulator.face.motions import LIP_PARAMETERS, MOTIONS, OVAL_LEFT, OVAL_RIGHT, Motion
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.types import Points2, Points3


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

    The lip parameters cause the second array, all other parameters the first one.
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
    between = _between_lips(frame, landmarks)

    def control_points(face: Points3, surroundings: Points3) -> Points2:
        points: Points2 = np.concatenate([face, surroundings, between @ face])[:, :2]
        return points

    oval = list(FACE_OVAL)
    return displacement_field(
        control_points(landmarks + lips, around),
        control_points(target, around_target),
        shape,
        radius=_RADIUS * frame.unit,
        stiffness=np.concatenate([_stiffness(landmarks), np.full(len(around) + len(between), _STIFFNESS)]),
        window=Window(
            landmarks[oval, :2],
            _FADE[0] * frame.unit,
            _FADE[1] * frame.unit,
            (
                *(ProtectedArea(other[oval, :2], _RISE_AROUND_OTHERS * frame.unit) for other in others),
                *_resting_sides(frame, landmarks, target),
            ),
        ),
        local=(
            _lip_motion(frame, landmarks, target, lips, control_points(-lips, np.zeros_like(around)))
            if lips.any()
            else None
        ),
    )


def _between_lips(frame: HeadFrame, landmarks: Points3) -> NDArray[np.float64]:
    """Return the positions of control points in the opening of the mouth, as weights (B, 478) of landmarks.

    They move like the edges of the lips above and below. If the mouth is closed, there are none.
    """
    upper, lower = np.array(UPPER_LIP_INNER[1:-1]), np.array(LOWER_LIP_INNER[1:-1])
    parted = np.linalg.norm((landmarks[upper] - landmarks[lower])[:, :2], axis=1) > _PARTED * frame.unit
    weights = np.zeros((len(_BETWEEN_LIPS), int(parted.sum()), LANDMARK_COUNT))
    for row, share in zip(weights, _BETWEEN_LIPS, strict=True):
        row[np.arange(len(row)), upper[parted]] = share
        row[np.arange(len(row)), lower[parted]] = 1.0 - share
    return weights.reshape(-1, LANDMARK_COUNT)


def _lip_motion(
    frame: HeadFrame, landmarks: Points3, target: Points3, lips: Points3, moved: Points2
) -> LocalMotion:
    """Return the motion by the lip parameters, which displace the landmarks by ``lips`` (478, 3) pixels.

    ``moved`` (N, 2) are the displacements at all control points. The motion ends at the outline of the face.
    The middle of an open mouth stays as it is, so that teeth are not stretched.
    """
    upper, lower = list(UPPER_LIP_INNER[1:-1]), list(LOWER_LIP_INNER[1:-1])
    points = frame.to_head(landmarks)
    opening, still = _opening(points), None
    over_teeth = _aside(points)[upper] < _TEETH
    if opening > 0.0 and over_teeth.any():
        above, below = target[upper][over_teeth, :2], target[lower][over_teeth, :2]
        edges = [share * above + (1.0 - share) * below for share in (_TEETH_INSET, 1.0 - _TEETH_INSET)]
        still = ProtectedArea(np.concatenate(edges), _RISE_AROUND_TEETH * frame.unit)
    return LocalMotion(
        moved,
        inner=target[list(LIPS_OUTER), :2],
        outer=(target - lips)[:SURFACE_COUNT, :2],
        margin=_LIP_MARGIN * frame.unit,
        still=still,
        stillness=opening,
    )


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
    top, bottom = landmarks[MIDLINE_TOP, :2], landmarks[MIDLINE_BOTTOM, :2]
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
    hidden = 1.0 - smoothstep((towards_camera - low) / (high - low))
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
    oval = [MIDLINE_TOP, *OVAL_LEFT, MIDLINE_BOTTOM, *OVAL_RIGHT]
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
    free = smoothstep((_aside(points) - _TEETH) / (1.0 - _TEETH))
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
    return float(smoothstep((gap - _OPENING[0]) / (_OPENING[1] - _OPENING[0])))


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
    weights = smoothstep(closeness)
    if motion.side != "both":
        sideways = points[:, 0] if motion.side == "left" else -points[:, 0]
        weights = weights * smoothstep(sideways / motion.ramp)
    weights.flags.writeable = False
    return weights


def _distance(points: NDArray[np.float64], group: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the distance (478,) of each point to the nearest landmark of a group."""
    nearest: NDArray[np.float64] = cdist(points[list(group)], points).min(axis=0)
    return nearest
