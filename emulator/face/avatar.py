"""The complete head with materials and morph targets, ready for export.

It has 5255 vertices, like the head of MetaHuman SDK's GLB constructor. These are the vertices of
`emulator.face.complete_head`, except that the eyeballs are finer, and that the edge of the inside of the
mouth occurs twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.complete_head import CompleteHead, FaceUnit, complete_head, complete_head_data
from emulator.face.glb import Material, Morph, Part
from emulator.face.head_layout import skin_layout
from emulator.face.identity import from_standardized, mesh
from emulator.face.types import Matrix, Points2, Points3, Triangles
from emulator.face.unfolding import unfolded

VERTEX_COUNT: Final = 5255

# Number of rings of vertices between the front and the back of an eyeball, and of vertices in a ring.
_RINGS, _SEGMENTS = 14, 21

# The texture of the eyes shows the part of the eyeball within this angle of its front.
_SHOWN_DEG = 75.0

# Radii of the iris and the pupil of an adult. They are not scaled up, although MakeHuman's eyeball is larger
# than a real one.
_IRIS_CM, _PUPIL_CM, _LIMBUS_CM = 0.59, 0.2, 0.06

_EYE_TEXELS = 256

# Colours in sRGB.
_SCLERA, _RIM, _IRIS, _IRIS_EDGE, _PUPIL = (
    np.array(color, np.float64)
    for color in ((236, 232, 228), (205, 170, 160), (112, 78, 50), (48, 32, 22), (12, 10, 10))
)

_MOUTH = Material("mouth", (0.14, 0.03, 0.03, 1.0), roughness=0.5)
_TEETH = Material("teeth", (0.75, 0.7, 0.6, 1.0), roughness=0.3, double_sided=True)
_TONGUE = Material("tongue", (0.4, 0.11, 0.11, 1.0), roughness=0.5)


def face_of(numbers: NDArray[np.float64]) -> Points3:
    """Return the face (468, 3) of ``standardized`` identity coefficients (80,), in centimetres.

    For a picture of this face, `emulator.pipelines.reconstruct.describe_head` returns these numbers.

    Raises
    ------
    ValueError
        If the numbers are not (80,) and finite.
    """
    return unfolded(mesh(from_standardized(numbers)).vertices)


def avatar(numbers: NDArray[np.float64], texture: bytes, *, has_face_units: bool) -> list[Part]:
    """Return the parts of a head: its skin, the inside of the mouth, eyes, teeth and tongue.

    Parameters
    ----------
    numbers : (80,) float64
        See `face_of`.
    texture : bytes
        A PNG or a JPEG in the layout of `emulator.face.head.head_mesh`, for the skin.
    has_face_units : bool
        Whether the parts have the 52 face units as morph targets.

    Raises
    ------
    ValueError
        If the numbers are not (80,) and finite, or the texture is neither PNG nor JPEG.
    """
    head = complete_head(face_of(numbers))
    data = complete_head_data()
    layout = skin_layout()
    normals = head.normals()
    units = head.face_units() if has_face_units else {}
    skin = head.mesh.triangles[data.part_triangles["skin"]]
    parts = [
        _part(
            "skin",
            head,
            normals,
            skin[~layout.mouth],
            Material("head", texture=texture, roughness=0.6),
            units,
        ),
        _part("mouth", head, normals, skin[layout.mouth], _MOUTH, units),
    ]
    eyes = Material("eyes", texture=_eye_texture(), roughness=0.15)
    parts += [_eyeball(name, head, eyes, units) for name in ("right_eye", "left_eye")]
    for name, material in (("upper_teeth", _TEETH), ("lower_teeth", _TEETH), ("tongue", _TONGUE)):
        parts.append(
            _part(name, head, normals, head.mesh.triangles[data.part_triangles[name]], material, units)
        )
    return parts


def _part(
    name: str,
    head: CompleteHead,
    normals: Points3,
    triangles: Triangles,
    material: Material,
    units: Mapping[str, FaceUnit],
) -> Part:
    """Return the part of the head that ``triangles`` cover."""
    used, corners = np.unique(triangles, return_inverse=True)
    place = np.full(len(head.mesh.vertices), -1)
    place[used] = np.arange(len(used))
    morphs = {}
    for unit_name, unit in units.items():
        moved = place[unit.vertices]
        if (moved >= 0).any():
            morphs[unit_name] = Morph(moved[moved >= 0], unit.displacements[moved >= 0])
    uv = None if material.texture is None else skin_layout().uv[used]
    return Part(
        name,
        head.mesh.vertices[used],
        corners.reshape(-1, 3).astype(np.int32),
        normals[used],
        uv,
        material,
        morphs,
    )


def _eyeball(name: str, head: CompleteHead, material: Material, units: Mapping[str, FaceUnit]) -> Part:
    """Return an eyeball: a sphere in place of the head's coarser eyeball. It looks straight ahead."""
    part = complete_head_data().part_vertices[name]
    coarse = head.mesh.vertices[part]
    centre = (coarse.min(axis=0) + coarse.max(axis=0)) / 2
    radius = float(np.linalg.norm(coarse - centre, axis=1).mean())
    directions, triangles, uv = _sphere()
    away = radius * directions @ head.rotation.T
    morphs = {}
    for unit_name, unit in units.items():
        chosen = (unit.vertices >= part.start) & (unit.vertices < part.stop)
        if chosen.any():
            turn = _turn(coarse[unit.vertices[chosen] - part.start] - centre, unit.displacements[chosen])
            morphs[unit_name] = Morph(np.arange(len(away)), away @ turn.T - away)
    return Part(name, centre + away, triangles, away / radius, uv, material, morphs)


def _turn(away: Points3, displacements: Points3) -> Matrix:
    """Return the rotation (3, 3) of points around their centre. A movement of the centre is ignored.

    The eyeball stays where it is, so that it does not pass through the lids.
    """
    moved = away + displacements
    u, _, vt = np.linalg.svd((away - away.mean(axis=0)).T @ (moved - moved.mean(axis=0)))
    turn: Matrix = (u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt).T
    return turn


@cache
def _sphere() -> tuple[Points3, Triangles, Points2]:
    """Return the directions (296, 3), triangles and texture coordinates of a sphere that looks along z."""
    # The rings are denser in front.
    polar = np.pi * (np.arange(1, _RINGS + 1) / (_RINGS + 1)) ** 1.3
    # A ring begins at the top, so that an eyeball is symmetric.
    around = np.pi / 2 + 2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS
    circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    rings = np.concatenate(
        [
            np.sin(polar)[:, None, None] * circle,
            np.broadcast_to(np.cos(polar)[:, None, None], (_RINGS, _SEGMENTS, 1)),
        ],
        axis=2,
    ).reshape(-1, 3)
    directions = np.concatenate([[[0.0, 0.0, 1.0]], rings, [[0.0, 0.0, -1.0]]])
    reach = np.minimum(polar / np.radians(_SHOWN_DEG), 1.0) / 2
    flat = (reach[:, None, None] * circle).reshape(-1, 2)
    uv = 0.5 + np.concatenate([[[0.0, 0.0]], flat, [flat[-1]]])
    triangles = []
    for segment in range(_SEGMENTS):
        after = (segment + 1) % _SEGMENTS
        triangles.append((0, 1 + segment, 1 + after))
        for ring in range(_RINGS - 1):
            near, far = 1 + ring * _SEGMENTS, 1 + (ring + 1) * _SEGMENTS
            triangles.append((near + segment, far + segment, far + after))
            triangles.append((near + segment, far + after, near + after))
        last = 1 + (_RINGS - 1) * _SEGMENTS
        triangles.append((last + segment, len(directions) - 1, last + after))
    return directions, np.array(triangles, np.int32), uv


@cache
def _eye_texture() -> bytes:
    """Return the texture of the eyes as a PNG: the pupil, the iris and the white, seen from the front."""
    radius_cm = _usual_radius()
    grid = (np.arange(_EYE_TEXELS) + 0.5) / _EYE_TEXELS - 0.5
    x, y = np.meshgrid(grid, grid)
    angle = np.minimum(2 * np.hypot(x, y), 1.0) * np.radians(_SHOWN_DEG)
    from_axis = radius_cm * np.sin(np.minimum(angle, np.pi / 2))
    # Fine streaks run from the pupil to the edge of the iris.
    streaks = 1.0 + 0.12 * np.cos(23 * np.arctan2(y, x)) + 0.08 * np.cos(41 * np.arctan2(y, x) + 1.0)
    inward = np.clip((from_axis - _PUPIL_CM) / (_IRIS_CM - _PUPIL_CM), 0.0, 1.0)
    iris = (_IRIS * streaks[..., None]) * (1.0 - inward[..., None] ** 4) + _IRIS_EDGE * inward[..., None] ** 4
    redness = np.clip(angle / np.radians(_SHOWN_DEG), 0.0, 1.0)[..., None] ** 3
    white = _SCLERA * (1.0 - redness) + _RIM * redness
    texel_cm = radius_cm * np.radians(_SHOWN_DEG) * 2 / _EYE_TEXELS
    color = _blend(iris, white, (from_axis - _IRIS_CM) / _LIMBUS_CM)
    color = _blend(np.broadcast_to(_PUPIL, color.shape), color, (from_axis - _PUPIL_CM) / (2 * texel_cm))
    pixels = np.clip(np.rint(color), 0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return encoded.tobytes()


def _blend(
    inside: NDArray[np.float64], outside: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``inside`` where ``at`` is below 0, ``outside`` where it is above 1, and a mixture between."""
    share: NDArray[np.float64] = np.clip(at, 0.0, 1.0)[..., None]
    mixed: NDArray[np.float64] = inside * (1.0 - share) + outside * share
    return mixed


def _usual_radius() -> float:
    """Return the radius of MakeHuman's eyeball in centimetres."""
    data = complete_head_data()
    ball = data.mesh.vertices[data.part_vertices["right_eye"]]
    return float(np.linalg.norm(ball - (ball.min(axis=0) + ball.max(axis=0)) / 2, axis=1).mean())


def posed(parts: Iterable[Part], weights: Mapping[str, float]) -> list[Points3]:
    """Return the vertices (V, 3) of each part with morph targets added."""
    moved = []
    for part in parts:
        vertices = part.vertices.copy()
        for name, weight in weights.items():
            if name in part.morphs:
                morph = part.morphs[name]
                vertices[morph.vertices] += weight * morph.displacements
        moved.append(vertices)
    return moved
