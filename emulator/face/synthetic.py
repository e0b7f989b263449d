"""Pictures of people who do not exist, with everything about them known exactly.

A head is modelled (the canonical mesh with an identity, closed by a skull; neck, ears, shoulders
and hair), painted by procedure, lit, and drawn. It is a clean stylised portrait that face
detectors recognise, and its landmarks are the mesh's own vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import PchipInterpolator

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.mesh import vertex_normals
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.rasterize import Raster, rasterize
from emulator.face.types import Box, Image, Points2, Points3, Triangles

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]

HairType: TypeAlias = Literal["bald", "short", "curly", "long"]
HairColor: TypeAlias = Literal["black", "dark_brown", "brown", "auburn", "blond", "grey"]

SKIN_TONES = (
    "f6ede4",
    "f3e7db",
    "f7ead0",
    "eadaba",
    "d7bd96",
    "a07e56",
    "825c43",
    "604134",
    "3a312a",
    "292420",
)
"""The Monk Skin Tone scale, tone 1 first, as published sRGB values (https://skintone.google)."""

HAIR_COLORS: dict[HairColor, str] = {
    "black": "1d1a1a",
    "dark_brown": "35241b",
    "brown": "553826",
    "auburn": "70361f",
    "blond": "b28a55",
    "grey": "9a9792",
}
"""The colours that hair is drawn in, sRGB."""

_IRIS_COLORS = ("4a2f1d", "5b3a22", "6b5a35", "5d7a86", "5f7a58")
_CLOTHES_COLORS = ("2f3b52", "5b6770", "7a2f35", "30504a", "c9c4ba", "3a3a3f", "8a7355")
_BACKGROUND_COLORS = ("b9c4cf", "c9c3b8", "a8b5ad", "d3d3d6", "8f9dac", "bfb0a6")

# Landmarks along the face's lines, person's right to left; see landmarks.py for the whole groups.
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (263, 466, 388, 387, 386, 385, 384, 398, 362))
_LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362))
_LID_CREASES = ((130, 247, 30, 29, 27, 28, 56, 190, 243), (359, 467, 260, 259, 257, 258, 286, 414, 463))
_LID_BAGS = ((130, 25, 110, 24, 23, 22, 26, 112, 243), (359, 255, 339, 254, 253, 252, 256, 341, 463))
_UPPER_BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))
_LOWER_BROWS = ((46, 53, 52, 65, 55), (276, 283, 282, 295, 285))
_OUTER_LIPS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
)
_INNER_LIPS = (
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
_ALAE = (98, 327)
_NOSE_BASE = 2
_NOSE_TIP = 4
_CHEEKS = (50, 280)
_FOREHEAD, _CHIN = 10, 152
_EARS = (234, 454)

_SUPERSAMPLING = 2
# The paint lies in the canonical mesh's frontal plane.
_PAINT_PER_CM = 34.0
_PAINT_HALF_WIDTH_CM = 10.0
_PAINT_TOP_CM, _PAINT_BOTTOM_CM = 12.0, 16.0
_LIGHT_KEY = np.array([-0.42, 0.46, 0.78])
_WARMTH = np.array([1.06, 0.98, 0.93], np.float32)
_LIGHT_FILL = np.array([0.62, 0.1, 0.78])


@dataclass(frozen=True)
class SyntheticFaceSpec:
    """What to draw. Equal specs give equal pictures, bit for bit.

    Attributes
    ----------
    seed : int
        Draws whatever is left open below, and the details that have no name.
    identity_coefficients : tuple of float, optional
        The face's shape. If None, drawn from N(0, 1) and clipped to -2 .. 2.
    yaw, pitch, roll : float
        The head's pose in degrees, with the signs of ``Pose``.
    skin_tone : int, optional
        1 to 10 on the Monk scale.
    hair_color, hair_type : str, optional
        One of ``HairColor`` and ``HairType``.
    width, height : int
        The picture's size in pixels.
    face_fraction : float
        The face's width, at rest, as a fraction of the picture's width.
    """

    seed: int = 0
    identity_coefficients: tuple[float, ...] | None = None
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    skin_tone: int | None = None
    hair_color: HairColor | None = None
    hair_type: HairType | None = None
    width: int = 640
    height: int = 640
    face_fraction: float = 0.45

    def __post_init__(self) -> None:
        if self.skin_tone is not None and not 1 <= self.skin_tone <= len(SKIN_TONES):
            raise ValueError(f"skin_tone is 1 to {len(SKIN_TONES)}, not {self.skin_tone}")
        if self.hair_color is not None and self.hair_color not in HAIR_COLORS:
            raise ValueError(f"hair_color is one of {', '.join(HAIR_COLORS)}, not {self.hair_color}")
        if self.hair_type is not None and self.hair_type not in get_args(HairType):
            raise ValueError(f"hair_type is one of {', '.join(get_args(HairType))}, not {self.hair_type}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"the picture must have pixels, not {self.width} x {self.height}")
        if not 0.0 < self.face_fraction <= 1.0:
            raise ValueError(f"face_fraction is above 0 and at most 1, not {self.face_fraction}")
        count = identity.IDENTITY_COUNT
        if self.identity_coefficients is not None and len(self.identity_coefficients) != count:
            raise ValueError(
                f"there are {count} identity coefficients, not {len(self.identity_coefficients)}"
            )


@dataclass(frozen=True, eq=False)
class SyntheticFace:
    """A picture of a face, and the truth about it.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB.
    landmarks : (468, 3) float64
        Pixels: x right, y down, z away from the camera. Landmarks that the head itself hides are
        given too.
    box : Box
        Around the landmarks.
    camera : WeakPerspective
        Model space to the picture.
    pose : Pose
        The head's.
    identity_coefficients : (80,) float64
        The face's shape.
    skin_tone, hair_color, hair_type : int, str, str
        As asked for, or as drawn from the seed.
    """

    image: Image
    landmarks: Points3
    box: Box
    camera: WeakPerspective
    pose: Pose
    identity_coefficients: Floats
    skin_tone: int
    hair_color: HairColor
    hair_type: HairType


@dataclass(frozen=True, eq=False)
class _Person:
    """Everything that the seed decides, before anything is drawn."""

    identity_coefficients: Floats
    skin_tone: int
    hair_color: HairColor
    hair_type: HairType
    iris: Singles
    clothes: Singles
    background: Singles
    beard: float
    brow_weight: float
    lip_redness: float
    light_turn: float
    hairline_cm: float
    noise_seed: int


@dataclass(frozen=True, eq=False)
class _Paint:
    """Colour in the canonical mesh's frontal plane, row 0 at the top."""

    albedo: Singles  # (h, w, 3), linear light
    gloss: Singles  # (h, w)
    eye: Singles  # (h, w), 1 inside the lids


@dataclass(frozen=True, eq=False)
class _Part:
    """A piece of the figure, in camera axes (centimetres, x right, y up, z to the camera)."""

    vertices: Points3
    triangles: Triangles
    features: Floats  # (V, 5): place on the resting head (3), belongs to the face, hollowness


@dataclass(frozen=True, eq=False)
class _HeadTopology:
    """The closed head: canonical mesh, rings around the skull, a pole; and its subdivision."""

    control_triangles: Triangles
    subdivision: sparse.csr_array
    triangles: Triangles
    resting: Points3
    hollowness: Floats
    is_face: Floats


def render_face(spec: SyntheticFaceSpec) -> SyntheticFace:
    """Return the picture of a person as ``spec`` says, with landmarks, camera, pose and attributes.

    The mesh is smoothed by Loop's subdivision (C. Loop, 1987), whose control points are moved first
    so that the smooth surface passes through the landmarks.

    Raises
    ------
    ValueError
        If the pose is not finite.
    """
    person = _draw_person(spec)
    mesh = identity.mesh(person.identity_coefficients)
    pose = Pose(spec.yaw, spec.pitch, spec.roll)
    rotation = rotation_matrix(pose)
    camera = _camera(mesh.vertices, rotation, spec)
    landmarks = camera.project(mesh.vertices)
    image = _draw(person, mesh.vertices, camera, spec)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    box = Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
    return SyntheticFace(
        image,
        landmarks,
        box,
        camera,
        pose,
        person.identity_coefficients,
        person.skin_tone,
        person.hair_color,
        person.hair_type,
    )


def _draw_person(spec: SyntheticFaceSpec) -> _Person:
    """Return what ``spec`` fixes, and the seed's choice for the rest.

    Every draw is made whether it is needed or not: fixing one attribute must not change another.
    """
    rng = np.random.default_rng(spec.seed)
    drawn = np.clip(rng.standard_normal(identity.IDENTITY_COUNT), -2.0, 2.0)
    tone = int(rng.integers(1, len(SKIN_TONES) + 1))
    hair_color = tuple(HAIR_COLORS)[int(rng.choice(6, p=[0.3, 0.25, 0.17, 0.08, 0.12, 0.08]))]
    hair_types: tuple[HairType, ...] = get_args(HairType)
    hair_type = hair_types[int(rng.choice(4, p=[0.06, 0.42, 0.2, 0.32]))]
    iris = _IRIS_COLORS[int(rng.integers(len(_IRIS_COLORS)))]
    clothes = _CLOTHES_COLORS[int(rng.integers(len(_CLOTHES_COLORS)))]
    background = _BACKGROUND_COLORS[int(rng.integers(len(_BACKGROUND_COLORS)))]
    beard, brow, lip, turn, hairline = rng.random(5)
    given = spec.identity_coefficients
    skin_tone = tone if spec.skin_tone is None else spec.skin_tone
    # Light eyes go with light skin; dark eyes with any.
    iris = iris if skin_tone <= 4 else _IRIS_COLORS[0]
    chosen_type = hair_type if spec.hair_type is None else spec.hair_type
    chosen_color = hair_color if spec.hair_color is None else spec.hair_color
    return _Person(
        identity_coefficients=drawn if given is None else np.array(given, np.float64),
        skin_tone=skin_tone,
        hair_color=chosen_color,
        hair_type=chosen_type,
        iris=_linear(iris),
        clothes=_linear(clothes),
        background=_linear(background),
        beard=0.0 if chosen_type == "long" else float(max(0.0, beard - 0.35)),
        brow_weight=float(0.75 + 0.5 * brow),
        lip_redness=float(lip),
        light_turn=float(turn - 0.5),
        hairline_cm=float(0.9 * (hairline - 0.5)),
        noise_seed=int(rng.integers(2**31)),
    )


def _camera(vertices: Points3, rotation: Floats, spec: SyntheticFaceSpec) -> WeakPerspective:
    """Return the camera that shows the face at the size asked for, a little below the middle."""
    across = float(np.ptp(vertices[:, 0]))
    scale = spec.face_fraction * spec.width / across
    seen = vertices @ rotation.T
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    translation = np.array(
        [
            (spec.width - 1) / 2 - scale * middle[0],
            0.53 * (spec.height - 1) + scale * middle[1],
        ]
    )
    return WeakPerspective(scale, rotation, translation)


def loop_subdivision(triangles: Triangles, count: int) -> tuple[sparse.csr_array, Triangles]:
    """Return one step of Loop's subdivision of a closed mesh of ``count`` vertices.

    The (V', V) matrix makes the new vertices from the old ones; its first V rows move the old
    vertices. The (4 T, 3) triangles index the new ones. Weights as in C. Loop, "Smooth subdivision
    surfaces based on triangles", 1987, in Warren's simplification.
    """
    starts = triangles.reshape(-1)
    ends = triangles[:, [1, 2, 0]].reshape(-1)
    opposite = triangles[:, [2, 0, 1]].reshape(-1)
    key = np.minimum(starts, ends).astype(np.int64) * count + np.maximum(starts, ends)
    edges, edge = np.unique(key, return_inverse=True)
    edge = edge.reshape(-1)

    degree = np.bincount(starts, minlength=count)
    beta = np.where(degree == 3, 3.0 / 16.0, 3.0 / (8.0 * np.maximum(degree, 1)))
    old = np.arange(count)
    rows = [old, starts, count + np.arange(len(edges)), count + np.arange(len(edges)), count + edge]
    columns = [old, ends, edges // count, edges % count, opposite]
    weights = [
        1.0 - degree * beta,
        beta[starts],
        np.full(len(edges), 3.0 / 8.0),
        np.full(len(edges), 3.0 / 8.0),
        np.full(len(edge), 1.0 / 8.0),
    ]
    shape = (count + len(edges), count)
    matrix = sparse.coo_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )
    middle = (count + edge).reshape(-1, 3)
    a, b, c = triangles.T
    ab, bc, ca = middle.T
    finer = np.concatenate(
        [
            np.stack([a, ab, ca], axis=1),
            np.stack([b, bc, ab], axis=1),
            np.stack([c, ca, bc], axis=1),
            np.stack([ab, bc, ca], axis=1),
        ]
    )
    return sparse.csr_array(matrix), finer.astype(np.int32)


_RINGS = 9


def _skull_rings(face: Points3) -> Points3:
    """Return the rings (9 * 36, 3) that close the head behind the face, and the pole behind them."""
    oval = face[list(_OVAL)]
    ears = face[list(_EARS)].mean(axis=0)
    top = face[_FOREHEAD]
    half_width = np.ptp(face[:, 0]) / 2 * 1.07
    # An adult's head: the crown lies about 4.5 cm above the hair line, the back of the head
    # somewhat more behind the ears than the nose is before them.
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
        # The jaw's underside rises quickly towards the neck.
        across += (oval[:, :2] - start) * (1.0 - t) ** 5
        rings.append(np.concatenate([across, (centre[2] + radii[2] * np.cos(polar))[:, np.newaxis]], axis=1))
    pole = centre - [0.0, 0.0, radii[2]]
    return np.concatenate([*rings, pole[np.newaxis]])


def _skull_triangles(face_count: int) -> Triangles:
    ring = np.arange(len(_OVAL))
    following = np.roll(ring, -1)
    levels = [np.array(_OVAL), *(face_count + len(_OVAL) * k + ring for k in range(_RINGS))]
    pole = face_count + len(_OVAL) * _RINGS
    triangles = []
    for front, back in pairwise(levels):
        triangles.append(np.stack([front[ring], front[following], back[ring]], axis=1))
        triangles.append(np.stack([front[following], back[following], back[ring]], axis=1))
    last = levels[-1]
    triangles.append(np.stack([last[ring], last[following], np.full(len(ring), pole)], axis=1))
    return np.concatenate(triangles)


@cache
def _head_topology() -> _HeadTopology:
    """Return what does not depend on the person; computed once."""
    mesh = canonical_mesh()
    count = len(mesh.vertices)
    behind = _skull_triangles(count)
    # The oval is listed clockwise as the viewer sees it; the ring's triangles must agree with the face's.
    face_edges = {(int(a), int(b)) for t in mesh.triangles for a, b in zip(t, np.roll(t, -1), strict=True)}
    if (_OVAL[0], _OVAL[1]) in face_edges:
        behind = behind[:, [0, 2, 1]]
    control = np.concatenate([mesh.triangles, behind]).astype(np.int32)
    resting_control = np.concatenate([mesh.vertices, _skull_rings(mesh.vertices)])
    size = len(resting_control)
    first, triangles = loop_subdivision(control, size)
    second, triangles = loop_subdivision(triangles, first.shape[0])
    subdivision = sparse.csr_array(second @ first)
    is_face = np.zeros(size)
    is_face[:count] = 1.0
    resting = subdivision @ _through(resting_control, subdivision)

    # Hollowness: how far a vertex lies below its neighbourhood's mean, smoothed; a stand-in for
    # ambient occlusion that any identity has in the same places.
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
    return _HeadTopology(control, subdivision, triangles, resting, hollow, subdivision @ is_face)


def _through(vertices: Points3, subdivision: sparse.csr_array) -> Points3:
    """Return control points whose subdivision passes through ``vertices``.

    A few steps of Jacobi's iteration: what is left after six is below a hundredth of a millimetre.
    """
    control = vertices
    for _ in range(6):
        control = control + vertices - (subdivision @ control)[: len(vertices)]
    return control


def _tube(centres: Points3, radii: Points2, around: int, power: float = 2.0) -> tuple[Points3, Triangles]:
    """Return an upright tube, closed nowhere, through ``centres`` (K, 3) with ``radii`` (K, 2) in x and z.

    The cross-sections are superellipses of the given power; K is refined to a smooth curve.
    """
    knots = np.linspace(0.0, 1.0, len(centres))
    fine = np.linspace(0.0, 1.0, 6 * len(centres))
    profile = np.concatenate([centres, radii], axis=1)
    # Monotone between the knots, so that a collar does not bulge.
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
    ring = np.arange(around)
    following = np.roll(ring, -1)
    triangles = []
    for k in range(len(fine) - 1):
        upper, lower = k * around, (k + 1) * around
        triangles.append(np.stack([upper + ring, upper + following, lower + ring], axis=1))
        triangles.append(np.stack([upper + following, lower + following, lower + ring], axis=1))
    return vertices, np.concatenate(triangles).astype(np.int32)


def _ball(rows: int = 20, around: int = 28) -> tuple[Points3, Triangles]:
    """Return the unit sphere."""
    polar = np.linspace(0.02, np.pi - 0.02, rows)
    centres = np.zeros((rows, 3))
    angle = np.linspace(0.0, 2 * np.pi, around, endpoint=False)
    centres[:, 1] = np.cos(polar)
    vertices = np.stack(
        [
            np.sin(polar)[:, np.newaxis] * np.cos(angle),
            np.repeat(centres[:, 1:2], around, axis=1),
            np.sin(polar)[:, np.newaxis] * np.sin(angle),
        ],
        axis=2,
    ).reshape(-1, 3)
    ring = np.arange(around)
    following = np.roll(ring, -1)
    triangles = []
    for k in range(rows - 1):
        upper, lower = k * around, (k + 1) * around
        triangles.append(np.stack([upper + ring, upper + following, lower + ring], axis=1))
        triangles.append(np.stack([upper + following, lower + following, lower + ring], axis=1))
    return vertices, np.concatenate(triangles).astype(np.int32)


def _plain(vertices: Points3, triangles: Triangles, hollowness: Floats | float = 0.0) -> _Part:
    features = np.zeros((len(vertices), 5))
    features[:, :3] = vertices
    features[:, 4] = hollowness
    return _Part(vertices, triangles, features)


def _head(face: Points3, rotation: Floats) -> _Part:
    """Return the whole head, smooth, through the face's 468 vertices."""
    topology = _head_topology()
    control = np.concatenate([face, _skull_rings(face)])
    smooth = topology.subdivision @ _through(control, topology.subdivision)
    features = np.concatenate(
        [topology.resting, topology.is_face[:, np.newaxis], topology.hollowness[:, np.newaxis]], axis=1
    )
    return _Part(smooth @ rotation.T, topology.triangles, features)


def _ears(face: Points3, rotation: Floats) -> _Part:
    """Return both ears as flattened balls with a hollow."""
    ball, triangles = _ball()
    # The concha: the outer side's middle is pressed in.
    dent = np.exp(-((ball[:, 1] - 0.05) ** 2 + ball[:, 2] ** 2) / 0.22)
    parts: list[Points3] = []
    order: list[Triangles] = []
    for side, ear in zip((-1.0, 1.0), _EARS, strict=True):
        shape = ball * [0.7, 2.75, 1.6]
        shape[:, 0] += np.where(ball[:, 0] * side > 0, -side * 0.8 * dent, 0.0)
        # Ears lean back and stand off the head behind.
        lean, off = np.radians(14.0), np.radians(24.0) * side
        shape = shape @ np.array(
            [[1, 0, 0], [0, np.cos(lean), np.sin(lean)], [0, -np.sin(lean), np.cos(lean)]]
        )
        shape = shape @ np.array([[np.cos(off), 0, np.sin(off)], [0, 1, 0], [-np.sin(off), 0, np.cos(off)]])
        parts.append(shape + face[ear] + [side * 0.35, 0.3, -1.35])
        order.append(triangles + len(ball) * len(order))
    hollow = np.tile(dent, 2) * np.where(np.concatenate([-ball[:, 0], ball[:, 0]]) > 0, 0.35, 0.0)
    return _plain(np.concatenate(parts) @ rotation.T, np.concatenate(order).astype(np.int32), hollow)


def _neck_and_shoulders(face: Points3, rotation: Floats) -> tuple[_Part, _Part]:
    """Return neck and clothed shoulders. The body faces the camera whatever the head does."""
    chin = face[_CHIN]
    width = np.ptp(face[:, 0]) / 2
    ear = face[list(_EARS)].mean(axis=0)
    root = np.array([0.0, chin[1] + 5.0, ear[2] - 2.6]) @ rotation.T
    base = np.array([0.2 * root[0], chin[1] - 6.5, ear[2] - 4.2])
    steps = np.linspace(0.0, 1.0, 5)[:, np.newaxis]
    # The middle stays with the spine while the head turns.
    centres = root + (base - root) * steps
    # The last steps widen into the shoulders, under the collar.
    radii = np.array([[0.6, 0.62], [0.61, 0.64], [0.63, 0.66], [0.68, 0.7], [0.8, 0.76]]) * width
    neck, neck_triangles = _tube(centres, radii, 64)
    shade = np.clip((neck[:, 1] - (chin[1] - 5.5)) / 6.0, 0.0, 1.0) * 0.75
    neck_part = _plain(neck, neck_triangles, shade)

    heights = np.array([-4.6, -5.6, -6.6, -8.0, -10.5, -15.0, -30.0]) + chin[1]
    across = np.array([0.84, 0.95, 1.32, 1.95, 2.5, 2.75, 2.9]) * width
    deep = np.array([0.8, 0.88, 1.02, 1.2, 1.35, 1.45, 1.5]) * width
    body_centres = np.stack(
        [np.linspace(base[0], 0.0, 7), heights, ear[2] - np.array([3.6, 3.8, 4.0, 4.2, 4.2, 4.0, 4.0])],
        axis=1,
    )
    body, body_triangles = _tube(body_centres, np.stack([across, deep], axis=1), 96, power=2.3)
    return neck_part, _plain(body, body_triangles)


def _single(values: object) -> Singles:
    """Return an array in single precision, whatever the libraries' stubs say that it is."""
    single: Singles = np.asarray(values, np.float32)
    return single


def _linear(hex_color: str) -> Singles:
    """Return linear light (3,) of an sRGB colour."""
    srgb = np.array([int(hex_color[i : i + 2], 16) for i in (0, 2, 4)]) / 255.0
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _srgb(linear: Singles) -> Singles:
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(
        clipped <= 0.0031308, 12.92 * clipped, 1.055 * np.power(clipped, np.float32(1 / 2.4)) - 0.055
    ).astype(np.float32)


def _paint_pixels(points: Floats) -> Floats:
    """Return where points (N, 2 or 3) of the canonical mesh's frontal plane lie in the paint."""
    return np.stack(
        [
            (points[:, 0] + _PAINT_HALF_WIDTH_CM) * _PAINT_PER_CM,
            (_PAINT_TOP_CM - points[:, 1]) * _PAINT_PER_CM,
        ],
        axis=1,
    )


def _paint_shape() -> tuple[int, int]:
    return (
        int((_PAINT_TOP_CM + _PAINT_BOTTOM_CM) * _PAINT_PER_CM),
        int(2 * _PAINT_HALF_WIDTH_CM * _PAINT_PER_CM),
    )


def _blur(mask: Singles, sigma_cm: float) -> Singles:
    return _single(cv2.GaussianBlur(mask, (0, 0), sigma_cm * _PAINT_PER_CM))


def _curve(points: Points2, samples: int = 48) -> Points2:
    """Return a smooth line through ``points``, finely sampled."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    return PchipInterpolator(along, points, axis=0)(np.linspace(0.0, along[-1], samples))


def _fixed(points: Points2) -> NDArray[np.int32]:
    # OpenCV draws at sixteenths of a pixel.
    fixed: NDArray[np.int32] = np.rint(_paint_pixels(points) * 16).astype(np.int32)
    return fixed


def _filled(points: Points2) -> Singles:
    mask = np.zeros(_paint_shape(), np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], [255], cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / np.float32(255.0)


def _stroked(lines: list[Points2], width_cm: float) -> Singles:
    mask = np.zeros(_paint_shape(), np.uint8)
    thickness = max(1, round(width_cm * _PAINT_PER_CM))
    pixels = [_fixed(line) for line in lines]
    cv2.polylines(
        mask, pixels, isClosed=False, color=[255], thickness=thickness, lineType=cv2.LINE_AA, shift=4
    )
    return mask.astype(np.float32) / np.float32(255.0)


def _spot(centre: Floats, radius_x_cm: float, radius_y_cm: float) -> Singles:
    """Return a Gaussian blob with the given standard deviations."""
    height, width = _paint_shape()
    x, y = _paint_pixels(centre[np.newaxis])[0]
    across = np.exp(-(((np.arange(width) - x) / (radius_x_cm * _PAINT_PER_CM)) ** 2) / 2)
    down = np.exp(-(((np.arange(height) - y) / (radius_y_cm * _PAINT_PER_CM)) ** 2) / 2)
    return _single(down[:, np.newaxis] * across[np.newaxis])


def _noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Singles:
    """Return smooth noise of unit variance or a little less, with features of ``cell`` pixels."""
    coarse = rng.standard_normal((int(shape[0] / cell) + 3, int(shape[1] / cell) + 3)).astype(np.float32)
    fine = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return _single(fine[: shape[0], : shape[1]])


def _mixed(albedo: Singles, color: Singles, amount: Singles) -> Singles:
    """Return ``albedo`` (h, w, 3) with ``color`` over it as far as ``amount`` (h, w) says."""
    rows, columns = np.flatnonzero(amount.max(axis=1) > 1e-3), np.flatnonzero(amount.max(axis=0) > 1e-3)
    result = albedo.copy()
    if len(rows):
        # Most strokes touch a small rectangle.
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        alpha = amount[part][..., np.newaxis]
        over = color[part] if color.ndim == 3 else color
        result[part] += (over - result[part]) * alpha
    return result


def _darkened(albedo: Singles, factor: float | Singles, amount: Singles) -> Singles:
    """Return ``albedo`` multiplied by ``factor`` as far as ``amount`` (h, w) says."""
    rows, columns = np.flatnonzero(amount.max(axis=1) > 1e-3), np.flatnonzero(amount.max(axis=0) > 1e-3)
    result = albedo.copy()
    if len(rows):
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        result[part] *= 1 + (np.asarray(factor, np.float32) - 1) * amount[part][..., np.newaxis]
    return result


def _paint(person: _Person) -> _Paint:
    """Return the face's colours, on the canonical mesh's own lines."""
    rng = np.random.default_rng(person.noise_seed)
    v = canonical_mesh().vertices[:, :2]
    shape = _paint_shape()
    skin = _linear(SKIN_TONES[person.skin_tone - 1])
    lightness = float(_srgb(skin).mean())
    hair = _linear(HAIR_COLORS[person.hair_color])

    albedo = np.broadcast_to(skin, (*shape, 3)).astype(np.float32)
    # Blood shows in cheeks, nose and chin.
    red = sum((_spot(v[cheek], 1.9, 1.5) for cheek in _CHEEKS), np.zeros(shape, np.float32))
    red = (
        0.75 * red
        + 0.8 * _spot(v[_NOSE_TIP] + [0, 0.1], 1.0, 0.9)
        + 0.35 * _spot(v[_CHIN] + [0, 1.2], 1.4, 0.8)
    )
    flush = (
        np.array([1.06, 0.8, 0.77], np.float32) if lightness > 0.5 else np.array([1.1, 0.9, 0.86], np.float32)
    )
    albedo = _darkened(albedo, flush, np.clip(red, 0, 1))
    albedo = albedo * (1.0 + 0.05 * _spot(v[151] + [0, 0.3], 3.2, 1.4))[..., np.newaxis]
    gloss = 0.8 + 0.5 * _spot(v[_NOSE_TIP], 0.8, 0.9) + 0.3 * _spot(v[151], 2.5, 1.5)

    if person.beard > 0:
        mouth = v[list(_OUTER_LIPS[0])]
        middle = v[_NOSE_BASE]
        jaw = np.concatenate(
            [
                v[
                    [
                        234,
                        93,
                        132,
                        58,
                        172,
                        136,
                        150,
                        149,
                        176,
                        148,
                        152,
                        377,
                        400,
                        378,
                        379,
                        365,
                        397,
                        288,
                        361,
                        323,
                    ]
                ]
            ]
        )
        beard_line = np.concatenate([jaw, v[[454, 436, 327, 2, 98, 216, 234]]])
        area = _blur(_filled(beard_line), 0.55) - 0.6 * _spot(
            mouth.mean(axis=0) + np.array([0.0, -1.9]), 0.5, 0.3
        )
        stubble = np.clip(area, 0, 1) * (0.8 + 0.25 * _noise(rng, shape, 2.5))
        below = np.clip((middle[1] - 0.1 - _rows()) / 0.8, 0, 1).astype(np.float32)[:, np.newaxis]
        shadow = _mixed(albedo * np.float32(0.75), hair, np.full(shape, 0.35, np.float32))
        albedo = _mixed(
            albedo, shadow, np.clip(stubble * below, 0, 1) * np.float32(min(1.0, person.beard * 1.3))
        )

    # Lids and their surroundings.
    for upper, crease, bag in zip(_UPPER_LIDS, _LID_CREASES, _LID_BAGS, strict=True):
        socket = _blur(_filled(np.concatenate([_curve(v[list(crease)]), _curve(v[list(bag)])[::-1]])), 0.25)
        albedo = _darkened(albedo, np.array([0.8, 0.7, 0.69], np.float32), 0.55 * socket)
        fold = (v[list(crease)] * 0.75 + v[list(upper)] * 0.25)[1:-2]
        albedo = _darkened(albedo, 0.3, 0.75 * _blur(_stroked([_curve(fold)], 0.07), 0.05))
        below_eye = _blur(_stroked([_curve(v[list(bag)][1:-2])], 0.12), 0.16)
        albedo = _darkened(albedo, 0.62, 0.5 * below_eye)

    # Nose: nostrils, and the wings' shadow.
    for ala in _ALAE:
        hole = np.array([0.56 * v[ala][0], 0.5 * v[ala][1] + 0.5 * v[_NOSE_BASE][1] + 0.18])
        albedo = _mixed(albedo, skin * np.float32(0.06), np.clip(1.25 * _spot(hole, 0.3, 0.13), 0, 0.92))
    albedo = _darkened(albedo, 0.5, 0.6 * _spot(v[_NOSE_BASE] + [0, -0.1], 0.9, 0.12))

    albedo, gloss = _paint_mouth(person, albedo, gloss.astype(np.float32), rng)
    albedo = _paint_brows(person, albedo, rng)
    albedo, eye = _paint_eyes(person, albedo)
    return _Paint(albedo, gloss, eye)


def _rows() -> Floats:
    """Return the y, in centimetres, of each row of the paint."""
    return _PAINT_TOP_CM - np.arange(_paint_shape()[0]) / _PAINT_PER_CM


def _paint_mouth(
    person: _Person, albedo: Singles, gloss: Singles, rng: np.random.Generator
) -> tuple[Singles, Singles]:
    v = canonical_mesh().vertices[:, :2]
    upper, lower = (_curve(v[list(line)]) for line in _OUTER_LIPS)
    inner_upper, inner_lower = (_curve(v[list(line)]) for line in _INNER_LIPS)
    skin = _linear(SKIN_TONES[person.skin_tone - 1])
    deep = np.array([0.74, 0.42, 0.42], np.float32) + np.array([0.1, -0.08, -0.06], np.float32) * np.float32(
        person.lip_redness
    )
    if person.skin_tone >= 7:
        deep = deep * np.array([1.15, 1.35, 1.35], np.float32)
    lip = skin * deep
    lips = _blur(_filled(np.concatenate([upper, lower[::-1]])), 0.045)
    grain = 1.0 + 0.06 * cv2.resize(
        _noise(rng, (_paint_shape()[0] // 8, _paint_shape()[1]), 3), _paint_shape()[::-1]
    )
    albedo = _mixed(albedo, lip * grain[..., np.newaxis], 0.9 * lips)
    # The upper lip faces down, the lower one up.
    top = _blur(_filled(np.concatenate([upper, inner_upper[::-1]])), 0.08)
    albedo = _darkened(albedo, 0.68, 0.75 * top)
    middle = (v[14] + v[17]) / 2
    albedo = _darkened(albedo, 1.35, 0.6 * _spot(middle, 0.9, 0.2) * lips)
    albedo = _darkened(albedo, 0.55, 0.5 * _spot(v[17] + [0, -0.35], 1.0, 0.22))
    # A thin line where lip meets skin, and the dark between the lips.
    rim = _blur(_stroked([upper], 0.05), 0.04) + _blur(_stroked([lower], 0.05), 0.06)
    albedo = _darkened(albedo, 0.62, 0.4 * np.clip(rim, 0, 1))
    gap = np.maximum(
        _filled(np.concatenate([inner_upper, inner_lower[::-1]])),
        _stroked([(inner_upper + inner_lower) / 2], 0.09),
    )
    albedo = _mixed(albedo, lip * np.float32(0.09), 0.92 * _blur(gap, 0.035))
    corners = _spot(v[61], 0.22, 0.14) + _spot(v[291], 0.22, 0.14)
    albedo = _darkened(albedo, 0.4, 0.6 * np.clip(corners, 0, 1))
    return albedo, (gloss + 0.8 * lips).astype(np.float32)


def _paint_brows(person: _Person, albedo: Singles, rng: np.random.Generator) -> Singles:
    v = canonical_mesh().vertices[:, :2]
    hair = _linear(HAIR_COLORS[person.hair_color]) * np.float32(0.8)
    if person.hair_color in ("blond", "grey"):
        # Brows are darker than light hair.
        hair = hair * np.float32(0.5)
    for upper, lower in zip(_UPPER_BROWS, _LOWER_BROWS, strict=True):
        above, under = _curve(v[list(upper)], 64), _curve(v[list(lower)], 64)
        middle, half = (above + under) / 2, (above - under) / 2
        body = _blur(_filled(np.concatenate([middle + 0.8 * half, (middle - 0.8 * half)[::-1]])), 0.11)
        hairs = []
        for _ in range(230):
            # Hairs rise from the lower edge and lean outwards, more so at the outer end.
            place = rng.random()
            at = min(63, int(place * 63))
            root = middle[at] + half[at] * rng.uniform(-0.9, 0.75)
            outwards = middle[0] - middle[-1]
            outwards = outwards / np.linalg.norm(outwards)
            lean = 0.35 + 0.75 * (1.0 - place) + rng.normal(0.0, 0.15)
            tip = root + (0.3 + 0.25 * rng.random()) * (
                outwards * np.sin(lean * np.pi / 2) + np.array([0.0, 1.0]) * np.cos(lean * np.pi / 2)
            )
            hairs.append(np.stack([root, tip]))
        strands = np.clip(_blur(_stroked(hairs, 0.03), 0.02) * 1.3, 0, 1) * _blur(body, 0.08)
        amount = np.clip((0.62 * body + 0.55 * strands) * person.brow_weight, 0, 0.93)
        albedo = _mixed(albedo, hair, amount.astype(np.float32))
    return albedo


_IRIS_RADIUS_CM = 0.6


def _paint_eyes(person: _Person, albedo: Singles) -> tuple[Singles, Singles]:
    v = canonical_mesh().vertices[:, :2]
    both = np.zeros(_paint_shape(), np.float32)
    height, width = _paint_shape()
    x = (np.arange(width) / _PAINT_PER_CM - _PAINT_HALF_WIDTH_CM).astype(np.float32)
    y = _rows().astype(np.float32)
    lash = np.array([0.012, 0.009, 0.008], np.float32)
    for upper, lower in zip(_UPPER_LIDS, _LOWER_LIDS, strict=True):
        lid, lower_lid = _curve(v[list(upper)]), _curve(v[list(lower)])
        opening = _blur(_filled(np.concatenate([lid, lower_lid[::-1]])), 0.02)
        both = np.maximum(both, opening)
        span = v[list(upper)][[0, -1]]
        # The iris stands in the middle of the opening, its top under the upper lid.
        centre = np.array([span[:, 0].mean(), 0.5 * (v[list(upper)][4][1] + v[list(lower)][4][1]) + 0.03])
        distance = np.hypot(x[np.newaxis] - centre[0], y[:, np.newaxis] - centre[1]).astype(np.float32)
        angle = np.arctan2(y[:, np.newaxis] - centre[1], x[np.newaxis] - centre[0])
        ball = np.broadcast_to(np.array([0.76, 0.70, 0.66], np.float32), (height, width, 3))
        # Rounder towards the corners, and redder.
        away = np.clip((distance - 0.5) / 1.1, 0, 1)
        ball = ball * (1.0 - 0.45 * away**2)[..., np.newaxis]
        ball = _darkened(ball, np.array([1.0, 0.7, 0.66], np.float32), 0.6 * away**3)
        fibres = 1.0 + 0.18 * np.sin(angle * 37 + 2 * np.sin(angle * 11)) * (distance < _IRIS_RADIUS_CM)
        glow = 0.75 + 0.7 * np.clip(distance / _IRIS_RADIUS_CM, 0, 1) * (y[:, np.newaxis] < centre[1] + 0.1)
        iris = person.iris * (fibres * glow)[..., np.newaxis].astype(np.float32)
        rim = np.clip((distance - 0.78 * _IRIS_RADIUS_CM) / (0.22 * _IRIS_RADIUS_CM), 0, 1)
        iris = _mixed(iris, person.iris * np.float32(0.2), 0.8 * rim)
        ball = _mixed(ball, iris, _disc(distance, _IRIS_RADIUS_CM, 0.05))
        ball = _mixed(ball, lash, _disc(distance, 0.26, 0.03))
        # The upper lid's shadow on the ball.
        shadow = _blur(_stroked([lid], 0.3), 0.1)
        ball = _darkened(ball, 0.22, 0.85 * np.clip(shadow * 1.1, 0, 1))
        glint = np.hypot(x[np.newaxis] - centre[0] + 0.19, y[:, np.newaxis] - centre[1] - 0.17).astype(
            np.float32
        )
        ball = _mixed(ball, np.array([1.0, 1.0, 1.0], np.float32), _disc(glint, 0.1, 0.05))
        albedo = _mixed(albedo, ball, opening)
        # The caruncle, the wet rim, lashes.
        inner = span[1]
        outwards = np.sign(inner[0]) * np.array([1.0, 0.0])
        caruncle = _spot(inner + 0.12 * outwards, 0.12, 0.08) * opening
        albedo = _mixed(albedo, np.array([0.42, 0.2, 0.18], np.float32), 0.8 * caruncle)
        rim_line = _blur(_stroked([lower_lid[:-4]], 0.06), 0.03)
        albedo = _darkened(albedo, np.array([0.75, 0.5, 0.48], np.float32), 0.75 * rim_line)
        raised = lid + np.array([0.0, 0.035])
        upper_line = _blur(_stroked([raised[2:-5]], 0.11), 0.03)
        albedo = _mixed(albedo, lash, 0.88 * upper_line)
        outer = _blur(_stroked([raised[:22]], 0.15), 0.04)
        albedo = _mixed(albedo, lash, 0.6 * outer)
        lower_line = _blur(_stroked([lower_lid[4:34] - [0.0, 0.03]], 0.045), 0.035)
        albedo = _mixed(albedo, lash, 0.4 * lower_line)
    return albedo, both


def _disc(distance: Singles, radius: float, softness: float) -> Singles:
    return np.clip((radius - distance) / softness + 0.5, 0, 1).astype(np.float32)


def _draw(person: _Person, face: Points3, camera: WeakPerspective, spec: SyntheticFaceSpec) -> Image:
    """Return the finished picture."""
    fine_height, fine_width = _SUPERSAMPLING * spec.height, _SUPERSAMPLING * spec.width
    head = _head(face, camera.rotation)
    neck, body = _neck_and_shoulders(face, camera.rotation)
    parts = [head, neck, body]
    if person.hair_type != "long":
        # Long hair falls over the ears.
        parts.append(_ears(face, camera.rotation))

    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    triangles = np.concatenate(
        [part.triangles + np.int32(start) for part, start in zip(parts, starts, strict=False)]
    ).astype(np.int32)
    features = np.concatenate([part.features for part in parts])
    normals = np.concatenate([vertex_normals(part.vertices, part.triangles) for part in parts])
    material = np.concatenate([np.full(len(part.triangles), k) for k, part in enumerate(parts)])

    points = _fine_pixels(vertices, camera)
    raster = rasterize(points, triangles, fine_height, fine_width)
    pixel = np.flatnonzero(raster.triangle_index.reshape(-1) >= 0)
    triangle = raster.triangle_index.reshape(-1)[pixel]
    values = _interpolated(np.concatenate([features, normals], axis=1), raster, triangles, pixel)
    normal = _unit(values[:, 5:8])

    paint = _paint(person)
    skin = _linear(SKIN_TONES[person.skin_tone - 1])
    place = _paint_pixels(values[:, :2].astype(np.float64)).astype(np.float32)
    looked_up = _look_up(np.dstack([paint.albedo, paint.gloss, paint.eye]), place)
    grain = _look_up(_skin_grain(person), _around_head(values[:, :3]))
    on_face = np.clip(values[:, 3] * 1.6 - 0.3, 0, 1) * (material[triangle] == 0)
    albedo = skin * (1 - on_face[:, np.newaxis]) + looked_up[:, :3] * on_face[:, np.newaxis]
    gloss = 0.7 * (1 - on_face) + looked_up[:, 3] * on_face
    eye = looked_up[:, 4] * on_face
    albedo *= 1.0 + grain
    clothed = material[triangle] == 2
    albedo[clothed] = person.clothes
    gloss[clothed] = 0.05
    gloss[material[triangle] == 1] = 0.4

    # Hollows get less of the sky; what is left of it is reddened by the skin around.
    hollow = np.clip(np.where(material[triangle] == 0, 9.0 * values[:, 4], values[:, 4]), -0.25, 0.8) * (
        1 - eye
    )
    shaded = _light(albedo, normal, gloss.astype(np.float32), hollow.astype(np.float32), person)
    picture = _background(person, fine_height, fine_width).reshape(-1, 3)
    picture[pixel] = shaded
    if person.hair_type != "bald":
        canvas = _Canvas(picture, raster.depth.reshape(-1).copy(), fine_height, fine_width)
        _add_hair(canvas, person, face, head, camera)
    finished = picture.reshape(fine_height, fine_width, 3)
    small = cv2.resize(finished, (spec.width, spec.height), interpolation=cv2.INTER_AREA)
    result: Image = np.rint(_srgb(_single(small)) * np.float32(255.0)).astype(np.uint8)
    return result


_GRAIN_PER_CM = 30.0


def _around_head(resting: Singles) -> Singles:
    """Return where places on the resting head lie in the skin grain, unrolled around the head."""
    around = np.arctan2(resting[:, 0], resting[:, 2] + np.float32(2.0)) * 8.5 + 27.0
    return _single(np.stack([around, _PAINT_TOP_CM - resting[:, 1]], axis=1) * _GRAIN_PER_CM)


def _skin_grain(person: _Person) -> Singles:
    """Return how much lighter or darker skin is than its mean: (h, w, 1)."""
    rng = np.random.default_rng(person.noise_seed + 3)
    shape = (int(30 * _GRAIN_PER_CM), int(54 * _GRAIN_PER_CM))
    grain = (
        0.03 * _noise(rng, shape, 38.0) + 0.022 * _noise(rng, shape, 10.0) + 0.014 * _noise(rng, shape, 2.6)
    )
    return _single(grain[..., np.newaxis])


def _fine_pixels(vertices: Points3, camera: WeakPerspective) -> Points3:
    """Return camera-axes vertices as pixels of the supersampled picture."""
    offset = (_SUPERSAMPLING - 1) / 2
    scale = camera.scale * _SUPERSAMPLING
    tx, ty = camera.translation * _SUPERSAMPLING + offset
    return np.stack(
        [tx + scale * vertices[:, 0], ty - scale * vertices[:, 1], -scale * vertices[:, 2]], axis=1
    )


def _look_up(layers: Singles, place: Singles) -> Singles:
    """Return layers (h, w, C) at pixel places (N, 2): (N, C)."""
    # OpenCV's maps may have no side above 32767: the list is folded.
    count = len(place)
    columns = 4096
    rows = -(-count // columns)
    folded = np.zeros((rows * columns, 2), np.float32)
    folded[:count] = place
    folded = folded.reshape(rows, columns, 2)
    channels = [
        cv2.remap(
            np.ascontiguousarray(layers[..., first : first + 4]),
            folded[..., 0],
            folded[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).reshape(rows * columns, -1)[:count]
        for first in range(0, layers.shape[2], 4)
    ]
    return np.concatenate(channels, axis=1)


def _unit(vectors: Singles) -> Singles:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    return _single(vectors / np.maximum(length, np.float32(1e-9)))


def _lights(person: _Person) -> tuple[Singles, Singles]:
    turn = person.light_turn * 0.7
    around = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    key, fill = _LIGHT_KEY @ around, _LIGHT_FILL @ around
    return (key / np.linalg.norm(key)).astype(np.float32), (fill / np.linalg.norm(fill)).astype(np.float32)


def _light(albedo: Singles, normal: Singles, gloss: Singles, hollow: Singles, person: _Person) -> Singles:
    """Return outgoing light: wrapped Lambert of two lamps, a sky, and a soft highlight."""
    key, fill = _lights(person)
    # Light that went through skin comes out red: the red wraps further around.
    wrap = np.array([0.42, 0.26, 0.22], np.float32)
    key_cosine = (normal @ key)[:, np.newaxis]
    diffuse = np.clip((key_cosine + wrap) / (1 + wrap), 0, None) ** np.float32(1.25)
    diffuse = 0.64 * diffuse + 0.17 * np.clip((normal @ fill)[:, np.newaxis] * 0.8 + 0.2, 0, None)
    sky = 0.21 + 0.12 * normal[:, 1:2]
    openness = 1.0 - hollow[:, np.newaxis] * np.array([0.78, 0.95, 1.0], np.float32)
    lit = albedo * _WARMTH * (diffuse * (0.4 + 0.6 * openness) + sky * openness)
    half = key + np.array([0, 0, 1], np.float32)
    half = half / np.linalg.norm(half)
    facing = np.clip(normal @ half, 0, None)
    shine = gloss * (0.05 * facing**18 + 0.035 * facing**60)
    # Skin seen at a slant loses light; it rounds the outline off.
    slant = np.clip(normal[:, 2:3], 0, 1)
    return _single(lit * (0.72 + 0.28 * slant**0.6) + shine[:, np.newaxis])


def _background(person: _Person, height: int, width: int) -> Singles:
    """Return a soft backdrop, lighter behind the head."""
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    glow = np.exp(-((x[np.newaxis] - 0.15) ** 2 + (y[:, np.newaxis] + 0.2) ** 2) / 1.1)
    rng = np.random.default_rng(person.noise_seed + 1)
    cloud = _noise(rng, (height, width), max(8.0, width / 4))
    tone = 0.6 + 0.5 * glow + 0.05 * cloud
    return _single(person.background * tone[..., np.newaxis])


def _hair_field(resting: Points3, person: _Person) -> Floats:
    """Return how far, in centimetres, places on the resting head lie behind the hair line."""
    face = canonical_mesh().vertices
    top, ear = face[_FOREHEAD], face[_EARS[0]]
    front = np.array([top[1] + 0.55, top[2]])
    side = np.array([ear[1] + 0.6, ear[2] - 1.7])
    along = (front - side) / np.linalg.norm(front - side)
    across = np.array([along[1], -along[0]])
    if across[0] < 0:
        across = -across
    field: Floats = (resting[:, [1, 2]] - side) @ across + person.hairline_cm * 0.5
    # Temples recede.
    field -= 1.2 * np.exp(-(((np.abs(resting[:, 0]) - 5.0) / 1.6) ** 2)) * (resting[:, 1] > side[0] + 2.5)
    # Behind the ears hair ends at the nape.
    return field


@dataclass(frozen=True, eq=False)
class _Canvas:
    """The supersampled picture under work: linear light (N, 3) and depth (N,), row by row."""

    picture: Singles
    depth: Floats
    height: int
    width: int


def _add_hair(canvas: _Canvas, person: _Person, face: Points3, head: _Part, camera: WeakPerspective) -> None:
    """Draw shells of hair onto ``canvas`` where they lie before what it shows."""
    topology = _head_topology()
    resting = topology.resting
    noise = _strand_noise(np.random.default_rng(person.noise_seed + 2), curly=person.hair_type == "curly")
    if person.hair_type == "long":
        _add_curtain(canvas, person, face, camera, noise)
    normals = vertex_normals(head.vertices, head.triangles)
    field = _hair_field(resting, person)
    rise = np.clip((field + 0.3) / 2.5, 0, 1)
    crown = np.clip((resting[:, 1] - resting[:, 1].max() + 9.0) / 9.0, 0, 1)
    full, extra = {"bald": (0.0, 0.0), "short": (0.4, 1.0), "curly": (1.5, 1.2), "long": (1.0, 0.6)}[
        person.hair_type
    ]
    thickness = rise * (full + extra * crown)
    triangles = np.ascontiguousarray(head.triangles[(field[head.triangles] > -1.5).any(axis=1)])
    # Strands radiate from a whorl at the back of the crown.
    whorl = np.array([0.6, 0.86, -0.5]) / np.linalg.norm([0.6, 0.86, -0.5])
    centre = np.array([0.0, resting[:, 1].max() - 9.5, resting[:, 2].mean() - 2.0])
    away = resting - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    reach = np.arccos(np.clip(away @ whorl, -1, 1))
    side = np.cross(whorl, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    flat = np.stack([away @ side, away @ np.cross(whorl, side)], axis=1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    coordinates = np.concatenate([flat, reach[:, np.newaxis], field[:, np.newaxis], away], axis=1)
    curly = person.hair_type == "curly"
    for layer, lift in enumerate((0.5, 0.7, 0.86, 1.0)):
        shell = head.vertices + normals * (thickness * lift)[:, np.newaxis]
        seen = _shell(canvas, shell, head.triangles, triangles, coordinates, camera)
        if seen is None:
            continue
        pixel, depth, normal, values = seen
        if curly:
            place = values[:, 4:6] * 330 + 512 + values[:, 6:7] * np.array([210.0, -120.0])
        else:
            turn = np.arctan2(values[:, 1], values[:, 0])
            # Strands wander a little as they go.
            turn = turn + 0.1 * np.sin(values[:, 2] * 3.0 + turn * 2.0)
            place = np.stack([(turn / (2 * np.pi) + 0.5) * 1023, values[:, 2] / np.pi * 1023], axis=1)
        strand = _look_up(noise, place.astype(np.float32))
        solid = np.clip((values[:, 3] + 0.55 * strand[:, 1] - 0.15 * layer) / 0.5, 0, 1)
        if layer > 0:
            # The outer shells are made of separate tufts.
            loose = 0.22 if curly else 0.34
            solid = solid * np.clip(strand[:, 0] * (0.8 if curly else 1.0) + 1.35 - loose * layer, 0, 1)
        lit = _hair_light(normal, strand[:, 0], person) * np.float32(0.72 + 0.1 * layer)
        _blend(canvas, pixel, depth, lit, solid)


def _add_curtain(
    canvas: _Canvas, person: _Person, face: Points3, camera: WeakPerspective, noise: Singles
) -> None:
    """Draw what hangs down of long hair: behind the neck and beside it."""
    ear = face[list(_EARS)].mean(axis=0)
    width = np.ptp(face[:, 0]) / 2
    top, bottom = face[_FOREHEAD][1], face[_CHIN][1] - 6.5
    heights = np.array([top + 1.0, ear[1] + 2.0, ear[1] - 4.0, (ear[1] + bottom) / 2, bottom])
    centres = np.stack([np.zeros(5), heights, ear[2] - np.array([3.2, 3.2, 3.4, 3.9, 4.4])], axis=1)
    radii = np.array([[0.78, 0.95], [1.16, 1.22], [1.2, 1.24], [1.16, 1.12], [1.1, 0.95]]) * width
    around = 96
    # First the far side, seen from inside, then the near one in loosening layers.
    for layer, lift in ((-1, 0.9), (0, 0.9), (1, 0.97), (2, 1.04)):
        tube, triangles = _tube(centres, radii * lift, around)
        angle = np.tile(np.linspace(0.0, 2 * np.pi, around, endpoint=False), len(tube) // around)
        # The seam in the angle lies where no hair is: cosine and sine are carried instead.
        down = (tube[:, 1] - bottom) / (top - bottom)
        # Open in front: hair falls before the ears, not over the cheeks,
        # and lower down behind the neck's front.
        limit = ear[2] - 2.4 + 4.6 * np.clip(2.2 * down, 0, 1) - 4.8 * np.clip(down - 0.75, 0, 1)
        front = limit - tube[:, 2]
        coordinates = np.stack([np.cos(angle), np.sin(angle), tube[:, 1], front], axis=1)
        turned = tube @ camera.rotation.T
        facing = vertex_normals(turned, triangles)[triangles, 2].sum(axis=1) > 0
        wanted = (facing != (layer < 0)) & (front[triangles] > -1.2).any(axis=1)
        hung = np.ascontiguousarray(triangles[wanted])
        seen = _shell(canvas, turned, triangles, hung, coordinates, camera)
        if seen is None:
            continue
        pixel, depth, normal, values = seen
        turn = np.arctan2(values[:, 1], values[:, 0]) + 0.05 * np.sin(0.45 * values[:, 2])
        place = np.stack([(turn / (2 * np.pi) + 0.5) * 1023, 300 - 18 * values[:, 2]], axis=1)
        strand = _look_up(noise, place.astype(np.float32))
        solid = np.clip((values[:, 3] + 0.6 * strand[:, 1]) / 0.5, 0, 1)
        solid = solid * np.clip((values[:, 2] - bottom - 1.2 - 1.3 * strand[:, 1]) / 0.6, 0, 1)
        if layer > 0:
            solid = solid * np.clip(strand[:, 0] + 1.3 - 0.4 * layer, 0, 1)
        lit = _hair_light(-normal if layer < 0 else normal, strand[:, 0], person)
        lit = lit * np.float32(0.3 if layer < 0 else 0.75 + 0.1 * layer)
        _blend(canvas, pixel, depth, lit, solid)


def _shell(
    canvas: _Canvas,
    vertices: Points3,
    all_triangles: Triangles,
    triangles: Triangles,
    coordinates: Floats,
    camera: WeakPerspective,
) -> tuple[NDArray[np.int64], Floats, Singles, Singles] | None:
    """Return the pixels where a shell is seen, with depths, normals and coordinates; None if nowhere."""
    raster = rasterize(_fine_pixels(vertices, camera), triangles, canvas.height, canvas.width)
    depth = raster.depth.reshape(-1)
    pixel = np.flatnonzero(depth < canvas.depth - 0.02 * camera.scale)
    if not len(pixel):
        return None
    channels = np.concatenate([vertex_normals(vertices, all_triangles), coordinates], axis=1)
    values = _interpolated(channels, raster, triangles, pixel)
    return pixel, depth[pixel], _unit(values[:, :3]), values[:, 3:]


def _interpolated(
    channels: Floats, raster: Raster, triangles: Triangles, pixel: NDArray[np.int64]
) -> Singles:
    """Return the vertices' channels (V, C) at some pixels of a raster: (N, C), in single precision."""
    single = channels.astype(np.float32)
    corner = triangles[raster.triangle_index.reshape(-1)[pixel]]
    weights = raster.barycentric.reshape(-1, 3)[pixel]
    values = single[corner[:, 0]] * weights[:, 0:1]
    values += single[corner[:, 1]] * weights[:, 1:2]
    values += single[corner[:, 2]] * weights[:, 2:3]
    return _single(values)


def _hair_light(normal: Singles, strand: Singles, person: _Person) -> Singles:
    color = _linear(HAIR_COLORS[person.hair_color])
    key, fill = _lights(person)
    bent = _unit(normal + 0.25 * strand[:, np.newaxis] * np.array([1.0, 0.0, 0.0], np.float32))
    light = 0.3 + 0.55 * np.clip(bent @ key * 0.75 + 0.25, 0, None) + 0.15 * np.clip(bent @ fill, 0, None)
    light = np.clip(light * (1.0 + 0.3 * strand), 0.05, None)
    half = key + np.array([0, 0, 1], np.float32)
    shine = np.clip(bent @ (half / np.linalg.norm(half)), 0, None) ** 14 * np.clip(0.6 + 0.6 * strand, 0, 2)
    return _single(color * light[:, np.newaxis] + (0.3 * color + 0.012) * shine[:, np.newaxis])


def _blend(canvas: _Canvas, pixel: NDArray[np.int64], depth: Floats, color: Singles, alpha: Singles) -> None:
    share = alpha[:, np.newaxis].astype(np.float32)
    canvas.picture[pixel] = canvas.picture[pixel] * (1 - share) + color * share
    solid = alpha > 0.5
    canvas.depth[pixel[solid]] = depth[solid]


def _strand_noise(rng: np.random.Generator, *, curly: bool) -> Singles:
    """Return (1024, 1024, 2): fine strands or curls, and coarser tufts; x around the whorl, y outwards."""
    size = 1024
    if curly:
        fine = _noise(rng, (size, size), 14.0) + 0.6 * _noise(rng, (size, size), 6.0)
        return np.dstack([np.tanh(fine), _noise(rng, (size, size), 20.0)]).astype(np.float32)
    strands = np.zeros((size, size), np.float32)
    tufts = np.zeros((size, size), np.float32)
    for cells, weight in ((512, 0.6), (200, 0.6), (80, 0.4)):
        coarse = rng.standard_normal((12, cells)).astype(np.float32)
        strands += np.float32(weight) * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    for cells, weight in ((90, 0.6), (300, 0.5)):
        coarse = rng.standard_normal((14, cells)).astype(np.float32)
        tufts += np.float32(weight) * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.dstack([np.tanh(strands), tufts])
