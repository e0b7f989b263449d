"""Geometry of a person: a closed head through the landmarks, ears, neck, clothes, glasses and mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator, PchipInterpolator

from emulator.face.canonical import Region, canonical_mesh, region_triangles
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    LOWER_LIP_INNER,
    NOSE_BRIDGE,
    RIGHT_EYE,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
)
from emulator.face.mesh import vertex_normals
from emulator.face.rasterize import rasterize
from emulator.face.subdivision import loop_subdivision, passing_through
from emulator.face.synthetic.color import Floats, Singles, single
from emulator.face.synthetic.person import Person
from emulator.face.types import Points2, Points3, Triangles

FOREHEAD_TOP: Final = 10
EARS: Final = (234, 454)
"""The landmarks just in front of the right and the left ear."""

Material: TypeAlias = Literal["face", "skin", "cloth", "mouth", "teeth", "tongue", "frame", "mask"]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the figure, in camera axes (centimetres, x right, y up, z towards the camera)."""

    vertices: Points3
    triangles: Triangles
    features: Floats  # (V, 5): x, y, z on the canonical head, 1 on the face or 0, hollowness
    material: Material


@dataclass(frozen=True, eq=False)
class HeadTopology:
    """The closed head: canonical mesh, rings around the skull, and a vertex at the back; subdivided twice."""

    subdivision: sparse.csr_array
    triangles: Triangles
    within_mouth: NDArray[np.bool_]  # (T,)
    mean: sparse.csr_array  # maps vertices to the mean of their neighbours
    resting: Points3
    hollowness: Floats
    is_face: Floats


def figure(
    person: Person,
    resting_face: Points3,
    face: Points3,
    rotation: Floats,
    *,
    open_mouth: bool,
    covered_mouth: bool,
) -> list[Part]:
    """Return all parts of the person, the head first.

    ``resting_face`` and ``face`` are the landmarks (468, 3) in model space, without and with the expression.
    """
    skull = head(face, rotation, open_mouth=open_mouth)
    parts = [skull, *_neck_and_shoulders(person, resting_face, rotation)]
    if person.hair_type not in ("long_straight", "long_wavy"):
        # Long hair hides the ears.
        parts.append(_ears(resting_face, rotation))
    if open_mouth:
        parts.extend(_mouth_inside(face, rotation))
    if person.glasses:
        parts.append(_glasses(person, resting_face, rotation))
    if covered_mouth:
        parts.extend(_mask(face, skull, rotation))
    return parts


_RINGS: Final = 9

# Resolution of the head's depth map, which gives the position of the mask.
_STEPS_PER_CM: Final = 12.0


def _skull_rings(face: Points3) -> Points3:
    """Return the vertices (9 * 36 + 1, 3) of the back of the head: nine rings, then the rearmost vertex."""
    oval = face[list(FACE_OVAL)]
    ears = face[list(EARS)].mean(axis=0)
    top = face[FOREHEAD_TOP]
    half_width = np.ptp(face[:, 0]) / 2 * 1.07
    # In an adult, the crown is about 4.5 cm above the hairline. The back of the head is slightly farther
    # from the ears than the nose is.
    centre = np.array([0.0, (top[1] + ears[1]) / 2 - 1.0, ears[2] - 1.6])
    radii = np.array([half_width, top[1] + 4.4 - centre[1], 9.4])
    cosine = np.clip((oval[:, 2] - centre[2]) / radii[2], -0.95, 0.95)
    first = np.arccos(cosine)
    around = np.arctan2((oval[:, 1] - centre[1]) / radii[1], (oval[:, 0] - centre[0]) / radii[0])
    unit = np.stack([np.cos(around), np.sin(around)], axis=1)
    start = centre[:2] + radii[:2] * unit * np.sin(first)[:, np.newaxis]
    rings = []
    for ring in range(1, _RINGS + 1):
        t = ring / (_RINGS + 1)
        polar = first + (np.pi - first) * t
        across = centre[:2] + radii[:2] * unit * np.sin(polar)[:, np.newaxis]
        # The underside of the jaw rises quickly towards the neck.
        across += (oval[:, :2] - start) * (1.0 - t) ** 5
        rings.append(np.concatenate([across, (centre[2] + radii[2] * np.cos(polar))[:, np.newaxis]], axis=1))
    pole = centre - [0.0, 0.0, radii[2]]
    return np.concatenate([*rings, pole[np.newaxis]])


def _skull_triangles(face_count: int) -> Triangles:
    ring = np.arange(len(FACE_OVAL))
    following = np.roll(ring, -1)
    levels = [np.array(FACE_OVAL), *(face_count + len(FACE_OVAL) * k + ring for k in range(_RINGS))]
    pole = face_count + len(FACE_OVAL) * _RINGS
    triangles = []
    for front, back in pairwise(levels):
        triangles.append(np.stack([front[ring], front[following], back[ring]], axis=1))
        triangles.append(np.stack([front[following], back[following], back[ring]], axis=1))
    last = levels[-1]
    triangles.append(np.stack([last[ring], last[following], np.full(len(ring), pole)], axis=1))
    return np.concatenate(triangles)


@cache
def head_topology() -> HeadTopology:
    """Return the topology of the closed head. It is the same for all people."""
    mesh = canonical_mesh()
    behind = _skull_triangles(SURFACE_COUNT)
    # FACE_OVAL runs clockwise as seen by the viewer. The winding of the skull must match the face's.
    face_edges = {(int(a), int(b)) for t in mesh.triangles for a, b in zip(t, np.roll(t, -1), strict=True)}
    if (FACE_OVAL[0], FACE_OVAL[1]) in face_edges:
        behind = behind[:, [0, 2, 1]]
    control = np.concatenate([mesh.triangles, behind]).astype(np.int32)
    resting_control = np.concatenate([mesh.vertices, _skull_rings(mesh.vertices)])
    size = len(resting_control)
    first, triangles = loop_subdivision(control, size)
    second, triangles = loop_subdivision(triangles, first.shape[0])
    subdivision = sparse.csr_array(second @ first)
    within = np.zeros(len(control), bool)
    within[: len(mesh.triangles)] = region_triangles(Region.MOUTH)
    is_face = np.zeros(size)
    is_face[:SURFACE_COUNT] = 1.0
    resting = subdivision @ passing_through(resting_control, subdivision)

    # Hollowness: the smoothed depth of a vertex below the mean of its neighbourhood. It approximates
    # ambient occlusion, and is the same for every identity.
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    neighbours = sparse.csr_array(
        (np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(resting), len(resting))
    )
    mean = sparse.csr_array(sparse.diags_array(1.0 / neighbours.sum(axis=1)) @ neighbours)
    smooth = resting
    for _ in range(12):
        smooth = mean @ smooth
    hollow = np.sum((smooth - resting) * vertex_normals(resting, triangles), axis=1)
    for _ in range(3):
        hollow = mean @ hollow
    # Each subdivision divides all triangles into four and lists the T first parts, then the T second parts,
    # and so on. So after two subdivisions, the mask is repeated 16 times.
    return HeadTopology(
        subdivision, triangles, np.tile(within, 16), mean, resting, hollow, subdivision @ is_face
    )


def tube(centres: Points3, radii: Points2, around: int, power: float = 2.0) -> tuple[Points3, Triangles]:
    """Return an upright tube with open ends through ``centres`` (K, 3), with ``radii`` (K, 2) in x and z.

    The cross-sections are superellipses with the exponent ``power``. A smooth curve interpolates the K
    cross-sections.
    """
    knots = np.linspace(0.0, 1.0, len(centres))
    fine = np.linspace(0.0, 1.0, 6 * len(centres))
    profile = np.concatenate([centres, radii], axis=1)
    # Interpolate monotonically between the cross-sections, so that a collar does not bulge.
    smooth = PchipInterpolator(knots, profile, axis=0)(fine)
    angle = np.linspace(0.0, 2 * np.pi, around, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = np.sign(cosine) * np.abs(cosine) ** (2 / power)
    z = np.sign(sine) * np.abs(sine) ** (2 / power)
    vertices = np.stack(
        [
            smooth[:, 0, np.newaxis] + smooth[:, 3, np.newaxis] * x,
            np.repeat(smooth[:, 1, np.newaxis], around, axis=1),
            smooth[:, 2, np.newaxis] + smooth[:, 4, np.newaxis] * z,
        ],
        axis=2,
    ).reshape(-1, 3)
    return vertices, strip(len(fine), around)


def strip(rows: int, around: int, *, closed: bool = True) -> Triangles:
    """Return the triangles between ``rows`` rings (lines if not ``closed``) of ``around`` vertices."""
    ring = np.arange(around if closed else around - 1)
    following = (ring + 1) % around
    triangles: list[NDArray[np.int64]] = []
    for k in range(rows - 1):
        upper, lower = k * around, (k + 1) * around
        triangles.append(np.stack([upper + ring, upper + following, lower + ring], axis=1))
        triangles.append(np.stack([upper + following, lower + following, lower + ring], axis=1))
    stacked: Triangles = np.concatenate(triangles).astype(np.int32)
    return stacked


def plain(
    vertices: Points3, triangles: Triangles, material: Material, hollowness: Floats | float = 0.0
) -> Part:
    """Return a part other than the head. The positions in its ``features`` are ``vertices``."""
    features = np.zeros((len(vertices), 5))
    features[:, :3] = vertices
    features[:, 4] = hollowness
    return Part(vertices, triangles, features, material)


def head(face: Points3, rotation: Floats, *, open_mouth: bool = False) -> Part:
    """Return the whole head as a smooth surface through the 468 vertices of the face."""
    topology = head_topology()
    control = np.concatenate([face, _skull_rings(face)])
    smooth = topology.subdivision @ passing_through(control, topology.subdivision)
    features = np.concatenate(
        [topology.resting, topology.is_face[:, np.newaxis], topology.hollowness[:, np.newaxis]], axis=1
    )
    triangles = topology.triangles[~topology.within_mouth] if open_mouth else topology.triangles
    return Part(smooth @ rotation.T, triangles, features, "face")


def _ears(face: Points3, rotation: Floats) -> Part:
    """Return both ears: a disc with a rim, a fold within it, a hollow and a lobe."""
    rings, around = 22, 56
    radius = np.linspace(0.03, 1.0, rings)[:, np.newaxis]
    angle = np.linspace(0.0, 2 * np.pi, around, endpoint=False)[np.newaxis]
    up, back = np.sin(angle), np.cos(angle)
    # Wider at the top than at the bottom, narrower in front.
    height = np.where(up > 0, 3.0, 3.3)
    width = (1.42 + 0.5 * np.clip(up + 0.25, -0.75, 1.0)) * np.where(back > 0, 1.0, 0.8)
    along_up, along_back = radius * up * height, radius * back * width
    # The rim runs over the top and down the back. The lobe has no rim.
    rim = np.clip(0.35 + 0.9 * (0.6 * up + 0.7 * back), 0.0, 1.0) * np.clip(2.2 * up + 2.2, 0.0, 1.0)
    fold = np.clip(0.3 + 0.8 * back, 0.0, 1.0)
    bowl = np.exp(-(((along_up + 0.35) / 1.15) ** 2 + ((along_back + 0.25) / 0.75) ** 2))
    tragus = np.exp(-(((along_up + 0.4) / 0.5) ** 2 + ((along_back + 1.15) / 0.3) ** 2))
    valley = rim * np.exp(-(((radius - 0.72) / 0.1) ** 2))
    out = (
        0.45 * (1.0 - radius**6)
        + 0.42 * rim * np.exp(-(((radius - 0.89) / 0.09) ** 2))
        + 0.3 * fold * np.exp(-(((radius - 0.52) / 0.13) ** 2))
        - 0.95 * bowl
        + 0.4 * tragus
        - 0.12 * valley
    )
    hollow = np.clip(0.75 * bowl + 0.35 * valley - 0.3 * tragus, 0.0, 0.8)
    outer = np.stack(np.broadcast_arrays(along_back, along_up, out), axis=2).reshape(-1, 3)
    # The back of the ear: a smaller copy of the outline, closer to the head.
    behind = np.stack([0.75 * along_back[-1], 0.8 * along_up[-1], np.full(around, -0.7)], axis=1)
    local = np.concatenate([outer, behind])
    shade = np.concatenate([hollow.reshape(-1), np.full(around, 0.4)])
    order = strip(rings + 1, around)
    flare, lean = np.radians(27.0), np.radians(10.0)
    half = float(np.ptp(face[:, 0])) / 2
    vertices: list[Points3] = []
    triangles: list[Triangles] = []
    for side, ear in zip((-1.0, 1.0), EARS, strict=True):
        backwards = np.array([side * np.sin(flare), 0.0, -np.cos(flare)])
        outwards = np.array([side * np.cos(flare), 0.0, np.sin(flare)])
        upwards = np.array([0.0, np.cos(lean), 0.0]) + np.sin(lean) * backwards
        place = local[:, :1] * backwards + local[:, 1:2] * upwards + local[:, 2:] * outwards
        root = np.array([side * 1.035 * half, face[ear][1] + 0.15, face[ear][2] - 2.1])
        vertices.append(place + root)
        # Mirroring reverses the winding of the triangles.
        triangles.append((order[:, [0, 2, 1]] if side > 0 else order) + len(local) * len(triangles))
    stacked = np.concatenate(vertices) @ rotation.T
    return plain(stacked, np.concatenate(triangles).astype(np.int32), "skin", np.tile(shade, 2))


def _neck_and_shoulders(person: Person, face: Points3, rotation: Floats) -> list[Part]:
    """Return neck, chest and clothes. The body always faces the camera."""
    chin = face[CHIN_TIP]
    # The size of the body depends partly on the width of the head.
    width = 0.5 * np.ptp(face[:, 0]) / 2 + 3.7
    male = person.gender == "male"
    girth = 1.0 if male else 0.88
    ear = face[list(EARS)].mean(axis=0)
    root = np.array([0.0, chin[1] + 5.0, ear[2] - 2.8]) @ rotation.T
    base = np.array([0.2 * root[0], chin[1] - 5.5, ear[2] - 4.6])
    steps = np.linspace(0.0, 1.0, 5)[:, np.newaxis]
    # The neck connects the head, which turns, to the spine, which does not turn.
    centres = root + (base - root) * steps
    radii = np.array([[0.62, 0.66], [0.62, 0.67], [0.64, 0.68], [0.72, 0.72], [1.0, 0.8]]) * width * girth
    neck, neck_triangles = tube(centres, radii, 64)
    shade = np.clip((neck[:, 1] - (chin[1] - 4.0)) / 5.0, 0.0, 1.0) * 0.75
    parts = [plain(neck, neck_triangles, "skin", shade)]

    shoulders = 1.0 if male else 0.88
    heights = np.array([-2.4, -3.0, -3.9, -5.6, -8.8, -14.0, -110.0]) + chin[1]
    across = np.array([0.76, 0.88, 1.2, 1.8, 2.45, 2.85, 2.9]) * width * shoulders
    deep = np.array([0.78, 0.84, 0.95, 1.12, 1.35, 1.5, 1.6]) * width * shoulders
    body_centres = np.stack(
        [np.linspace(base[0], 0.0, 7), heights, ear[2] - np.array([4.2, 4.2, 4.2, 4.2, 4.0, 3.6, 3.4])],
        axis=1,
    )
    body_radii = np.stack([across, deep], axis=1)
    # The chest continues the neck and stays inside the clothes.
    slope = np.array([0.78, 0.84, 0.93, 0.97, 0.97, 0.97, 0.97])[:, np.newaxis]
    chest, chest_triangles = tube(body_centres, slope * body_radii, 96, power=2.2)
    below = np.clip((chest[:, 1] - (chin[1] - 4.0)) / 5.0, 0.0, 1.0) * 0.75
    parts.append(plain(chest, chest_triangles, "skin", below))
    body, body_triangles = tube(body_centres, body_radii, 96, power=2.2)
    columns = body.reshape(-1, 96, 3)
    rows = len(columns)
    # The neckline: in front, the clothes start further down on the same surface.
    angle = np.linspace(0.0, 2 * np.pi, 96, endpoint=False) - np.pi / 2
    front = np.exp(-((np.abs(np.angle(np.exp(1j * angle))) / 0.75) ** 2.5))
    first = front * (4.0 + 15.0 * person.neckline)
    index = first + np.arange(rows)[:, np.newaxis] * (rows - 1 - first) / (rows - 1)
    lower = np.minimum(index.astype(int), rows - 2)
    share = (index - lower)[..., np.newaxis]
    column = np.arange(96)
    columns = columns[lower, column] * (1 - share) + columns[lower + 1, column] * share
    below_edge = np.concatenate(
        [np.zeros((1, 96)), np.cumsum(np.linalg.norm(np.diff(columns, axis=0), axis=2), axis=0)]
    )
    # The collar is a slightly raised band.
    middle = body_centres[0, [0, 2]]
    swell = 1.0 + 0.03 * np.clip(1.3 - below_edge, 0.0, 1.0)[..., np.newaxis]
    columns[..., [0, 2]] = middle + (columns[..., [0, 2]] - middle) * swell
    body = columns.reshape(-1, 3)
    seam = 0.5 * np.exp(-(((below_edge - 1.1) / 0.16) ** 2)) + 0.3 * np.exp(-below_edge / 0.15)
    seam = seam.reshape(-1)
    parts.append(plain(body, body_triangles, "cloth", seam))
    return parts


def _mouth_inside(face: Points3, rotation: Floats) -> list[Part]:
    """Return the inside of an open mouth: a dark back wall, the upper teeth, the tongue."""
    lips = face[list(LIPS_INNER)]
    middle = lips.mean(axis=0)
    half = float(np.ptp(lips[:, 0])) / 2
    x, y = np.meshgrid(np.linspace(-1.4, 1.4, 12), np.linspace(-1.0, 1.0, 12))
    top, low = float(lips[:, 1].max()), float(lips[:, 1].min())
    back = np.stack(
        [middle[0] + half * x, middle[1] + (0.5 + 0.5 * (top - low)) * y, middle[2] - 2.4 + 0.4 * y], axis=2
    ).reshape(-1, 3)
    parts = [plain(back @ rotation.T, strip(12, 12, closed=False), "mouth")]

    upper = face[UPPER_LIP_INNER[5]]
    columns, rows = 97, 8
    turn = np.linspace(-1.15, 1.15, columns)[np.newaxis]
    down = np.linspace(0.0, 1.0, rows)[:, np.newaxis]
    tooth = np.abs((turn / 1.15 * 5.0) % 1.0 - 0.5) * 2.0  # 1 at the gap between two teeth
    edge = upper[1] - 0.5 + 0.1 * np.abs(turn) + 0.06 * tooth**6
    teeth = np.stack(
        np.broadcast_arrays(
            middle[0] + 2.5 * np.sin(turn),
            upper[1] + 0.6 + (edge - upper[1] - 0.6) * down,
            upper[2] - 0.55 - 2.6 * (1.0 - np.cos(turn)) - 0.06 * tooth**4,
        ),
        axis=2,
    ).reshape(-1, 3)
    gaps = np.broadcast_to(0.75 * tooth**10 + 0.15, (rows, columns)).reshape(-1)
    parts.append(plain(teeth @ rotation.T, strip(rows, columns, closed=False), "teeth", gaps))

    lower = face[LOWER_LIP_INNER[5]]
    polar, around = (
        np.linspace(0.1, np.pi - 0.1, 14)[:, np.newaxis],
        np.linspace(0, 2 * np.pi, 24, endpoint=False),
    )
    tongue = np.stack(
        np.broadcast_arrays(
            middle[0] + 1.7 * np.sin(polar) * np.cos(around),
            lower[1] - 0.35 + 0.55 * np.cos(polar),
            lower[2] - 2.0 + 1.4 * np.sin(polar) * np.sin(around),
        ),
        axis=2,
    ).reshape(-1, 3)
    parts.append(plain(tongue @ rotation.T, strip(14, 24), "tongue", 0.25))
    return parts


def _wire(path: Points3, radius_cm: float, *, closed: bool) -> tuple[Points3, Triangles]:
    """Return a thin tube along ``path`` (N, 3)."""
    around = 8
    around_path = (np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)) if closed else None
    along = np.gradient(path, axis=0) if around_path is None else around_path
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(along, [0.0, 0.0, 1.0])
    flat = np.linalg.norm(side, axis=1) < 0.3
    side[flat] = np.cross(along[flat], [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    across = np.cross(along, side)
    angle = np.linspace(0.0, 2 * np.pi, around, endpoint=False)
    vertices = (
        path[:, np.newaxis]
        + radius_cm * np.cos(angle)[:, np.newaxis] * side[:, np.newaxis]
        + radius_cm * np.sin(angle)[:, np.newaxis] * across[:, np.newaxis]
    ).reshape(-1, 3)
    if closed:
        vertices = np.concatenate([vertices, vertices[:around]])
    return vertices, strip(len(path) + int(closed), around)


def _joined(pieces: list[tuple[Points3, Triangles]]) -> tuple[Points3, Triangles]:
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in pieces)])
    return (
        np.concatenate([vertices for vertices, _ in pieces]),
        np.concatenate(
            [triangles + start for (_, triangles), start in zip(pieces, starts, strict=False)]
        ).astype(np.int32),
    )


def _glasses(person: Person, face: Points3, rotation: Floats) -> Part:
    """Return the frame of a pair of glasses: two rims, a bridge, two temples."""
    bridge = face[NOSE_BRIDGE[1]]
    plane = float(bridge[2]) + 0.15
    power, half_x, half_y = (2.0, 2.25, 2.15) if person.round_frame else (3.2, 2.55, 1.85)
    thickness = 0.17 if person.round_frame else 0.21
    angle = np.linspace(0.0, 2 * np.pi, 72, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    pieces, inner = [], []
    for side, eye, ear in ((-1.0, RIGHT_EYE, EARS[0]), (1.0, LEFT_EYE, EARS[1])):
        centre = face[list(eye)].mean(axis=0)
        x = centre[0] + side * 0.1 + half_x * np.sign(cosine) * np.abs(cosine) ** (2 / power)
        y = centre[1] - 0.25 + half_y * np.sign(sine) * np.abs(sine) ** (2 / power)
        # The frame curves slightly around the face.
        z = plane - 0.035 * x**2
        pieces.append(_wire(np.stack([x, y, z], axis=1), thickness, closed=True))
        inner.append(np.array([centre[0] + side * (0.1 - half_x), centre[1] + 0.35]))
        hinge_x = centre[0] + side * (half_x + 0.1)
        hinge = np.array([hinge_x, centre[1] + 0.5, plane - 0.035 * hinge_x**2])
        top = np.array([side * (abs(face[ear, 0]) + 0.45), centre[1] + 0.35, face[ear, 2] - 2.2])
        out = np.array([top[0] * 0.99, hinge[1], hinge[2] - 0.8])
        knots = np.stack([hinge, out, 0.5 * out + 0.5 * top, top])
        path = PchipInterpolator(np.arange(4.0), knots, axis=0)(np.linspace(0.0, 3.0, 24))
        pieces.append(_wire(path, thickness * 0.9, closed=False))
    (right, left) = inner
    t = np.linspace(0.0, 1.0, 12)
    arch = np.stack(
        [
            right[0] + (left[0] - right[0]) * t,
            right[1] + (left[1] - right[1]) * t + 0.9 * t * (1 - t),
            plane + 0.6 * t * (1 - t),
        ],
        axis=1,
    )
    pieces.append(_wire(arch, thickness, closed=False))
    vertices, triangles = _joined(pieces)
    return plain(vertices @ rotation.T, triangles, "frame")


def _foremost(vertices: Points3, triangles: Triangles, places: Floats) -> Singles:
    """Return the largest z, in centimetres, of a surface at each x and y in ``places`` (H, W, 2).

    Outside the outline of the surface, the result is the nearest value inside.
    """
    low, high = vertices[:, :2].min(axis=0) - 1.0, vertices[:, :2].max(axis=0) + 1.0
    width, height = (int(side) for side in np.ceil((high - low) * _STEPS_PER_CM))
    points = np.column_stack([(vertices[:, :2] - low) * _STEPS_PER_CM, -vertices[:, 2]])
    depth = rasterize(points, triangles, height, width).depth
    seen = np.isfinite(depth)
    _, labels = cv2.distanceTransformWithLabels(
        (~seen).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(labels.max()) + 1)
    by_label[np.asarray(labels)[seen]] = -depth[seen]
    at = single((places - low) * _STEPS_PER_CM)
    return single(cv2.remap(single(by_label[np.asarray(labels)]), at, np.empty(0), cv2.INTER_LINEAR))


def _mask(face: Points3, skull: Part, rotation: Floats) -> list[Part]:
    """Return a medical mask over nose, mouth and chin, and its ear loops."""
    resting = head_topology().resting
    model = skull.vertices @ rotation
    edge = canonical_mesh().vertices
    chin, bridge = edge[CHIN_TIP], edge[NOSE_BRIDGE[2]]
    columns, rows = 61, 41
    u, v = np.meshgrid(np.linspace(-1.0, 1.0, columns), np.linspace(0.0, 1.0, rows))
    x = u * (5.6 - 2.2 * v**2)
    top = bridge[1] + 0.4 - 1.9 * np.abs(u) ** 1.6
    bottom = chin[1] - 0.1 + 2.0 * np.abs(u) ** 2.2
    y = top + v * (bottom - top)
    # Map these positions in the frontal plane from the resting head to this head. Use only vertices that
    # face the front, because the underside of the jaw has the same x and y, but is 2.5 cm deeper. Below
    # the chin, use the nearest vertex.
    shown = (resting[:, 2] > edge[EARS[0]][2] + 1.0) & (resting[:, 1] < bridge[1] + 3.0)
    shown &= vertex_normals(resting, head_topology().triangles)[:, 2] > 0.15
    flat, there = resting[shown][:, :2], model[shown]
    places = np.stack([x, y], axis=2)
    nearest = NearestNDInterpolator(flat, np.arange(len(flat)))(places).astype(int)
    moves = LinearNDInterpolator(flat, there[:, :2] - flat)(places)
    moves = np.where(np.isfinite(moves), moves, (there[:, :2] - flat)[nearest])
    # Smooth the map, because cloth does not follow overlapping lips.
    places = places + cv2.GaussianBlur(moves, (0, 0), 2.0)
    # Cloth spans hollows. Smooth the surface, but keep it in front of the skin.
    depth = _foremost(model, skull.triangles, places)
    cloth = depth
    for _ in range(3):
        cloth = np.maximum(single(cv2.GaussianBlur(cloth, (0, 0), 3.0)), depth)
    standing = np.concatenate([places, cloth[..., np.newaxis] + 0.25], axis=2)
    pleats = 0.3 * np.exp(-((((v * 4.0) % 1.0 - 0.5) / 0.08) ** 2)) * (np.abs(u) < 0.85)
    stacked = standing.reshape(-1, 3)
    parts = [plain(stacked @ rotation.T, strip(rows, columns, closed=False), "mask", pleats.reshape(-1))]
    pieces = []
    for side, ear, column in ((-1.0, EARS[0], 0), (1.0, EARS[1], columns - 1)):
        for height, row in ((0.8, 1), (-0.8, rows - 2)):
            start = standing[row, column]
            end = np.array([side * (abs(face[ear, 0]) + 0.35), face[ear, 1] + height, face[ear, 2] - 1.2])
            path = np.linspace(0.0, 1.0, 12)[:, np.newaxis] * (end - start) + start
            path[:, 0] += side * 0.5 * np.sin(np.linspace(0, np.pi, 12))
            # Keep the loop outside the cheek and the jaw.
            beside = model[side * model[:, 0] > 0]
            cheek = LinearNDInterpolator(beside[:, 1:], side * beside[:, 0], fill_value=0.0)(path[:, 1:])
            path[:, 0] = side * np.maximum(side * path[:, 0], cheek + 0.12)
            pieces.append(_wire(path, 0.1, closed=False))
    vertices, triangles = _joined(pieces)
    parts.append(plain(vertices @ rotation.T, triangles, "mask"))
    return parts
