"""Hair of synthetic faces: layers around the head with painted strands, long hair, and ponytails."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from emulator.face.canonical import canonical_mesh
from emulator.face.landmarks import CHIN_TIP
from emulator.face.mesh import vertex_normals
from emulator.face.pose import WeakPerspective
from emulator.face.rasterize import rasterize
from emulator.face.synthetic.canvas import Canvas, fine_pixels, interpolated, look_up, polar_angle, unit
from emulator.face.synthetic.color import HAIR_COLORS, Floats, Singles, linear, single, smooth_noise
from emulator.face.synthetic.figure import EARS, FOREHEAD_TOP, Part, head_topology, strip, tube
from emulator.face.synthetic.person import Person
from emulator.face.synthetic.scene import Lamps
from emulator.face.types import Points3, Triangles

_NOISE_SIDE = 1024

# Above this value of `Person.fringe`, long hair has a fringe.
_FRINGE = 0.6


@dataclass(frozen=True, eq=False)
class _Cut:
    """The shape of a hair type.

    Attributes
    ----------
    thickness_cm, crown_cm : float
        The thickness of the hair everywhere, and the additional thickness at the crown.
    waves : float
        0 for straight strands.
    loose : float
        How much the outer layers of hair separate into tufts.
    """

    thickness_cm: float
    crown_cm: float
    waves: float
    loose: float


_CUTS = {
    "short_straight": _Cut(0.4, 1.0, 0.0, 0.34),
    "short_wavy": _Cut(0.75, 1.15, 1.0, 0.3),
    "long_straight": _Cut(0.75, 0.45, 0.0, 0.12),
    "long_wavy": _Cut(1.1, 0.6, 1.0, 0.2),
    "ponytail_straight": _Cut(0.4, 0.35, 0.0, 0.1),
    "ponytail_wavy": _Cut(0.55, 0.45, 0.6, 0.16),
    "curly": _Cut(1.5, 1.2, 0.0, 0.22),
}


def add_hair(
    canvas: Canvas, person: Person, face: Points3, head: Part, camera: WeakPerspective, light: Lamps
) -> None:
    """Draw the person's hair onto ``canvas``. Things in front of the hair stay visible.

    ``face`` (468, 3) are the landmarks without expression, in model space.
    """
    if person.hair_type == "bald":
        return
    cut = _CUTS[person.hair_type]
    noise = _strand_noise(np.random.default_rng(person.noise_seed + 2), curly=person.hair_type == "curly")
    painter = _Painter(canvas, person, camera, light, noise, cut)
    if person.hair_type.startswith("long"):
        _add_curtain(painter, face)
    if person.hair_type.startswith("ponytail"):
        _add_tail(painter, face)
    _add_cap(painter, head)


@dataclass(frozen=True, eq=False)
class _Painter:
    """The data for drawing one person's hair."""

    canvas: Canvas
    person: Person
    camera: WeakPerspective
    light: Lamps
    noise: Singles
    cut: _Cut

    def strands(self, across: Singles, along: Singles) -> Singles:
        """Return strand and tuft noise (N, 2) at positions, in cm, ``across`` and ``along`` the strands."""
        waved = across + np.float32(0.32 * self.cut.waves) * (
            np.sin(along * np.float32(1.15) + 0.8 * np.sin(across * np.float32(0.7)))
            + 0.4 * np.sin(along * np.float32(2.3) + across)
        )
        place = np.stack([waved * 19.0 + 512.0, along * 11.0 + 128.0], axis=1)
        return look_up(self.noise, single(place) % np.float32(_NOISE_SIDE - 1))


def _hair_field(resting: Points3, person: Person) -> Floats:
    """Return the distance of each position behind the hairline, in cm; negative in front of it."""
    face = canonical_mesh().vertices
    top, ear = face[FOREHEAD_TOP], face[EARS[0]]
    front = np.array([top[1] + 0.55, top[2]])
    side = np.array([ear[1] + 0.6, ear[2] - 1.7])
    along = (front - side) / np.linalg.norm(front - side)
    across = np.array([along[1], -along[0]])
    if across[0] < 0:
        across = -across
    field: Floats = (resting[:, [1, 2]] - side) @ across + person.hairline_cm * 0.5
    # The hairline recedes at the temples.
    field -= 1.2 * np.exp(-(((np.abs(resting[:, 0]) - 5.0) / 1.6) ** 2)) * (resting[:, 1] > side[0] + 2.5)
    return field


@dataclass(frozen=True, eq=False)
class _HairLayout:
    """The layout of hair on the V vertices of the canonical head. The strands radiate from a whorl.

    Attributes
    ----------
    field : (V,)
        The distance behind the hairline, in centimetres.
    thickness : (V,)
        The distance of the outermost layer of hair from the head, in centimetres.
    coordinates : (V, 10)
        The direction around the whorl (2), the angle from the whorl (1), ``field`` (1), the direction from
        the centre of the skull (3), the position (3).
    """

    field: Floats
    thickness: Floats
    coordinates: Floats


def _add_cap(painter: _Painter, head: Part) -> None:
    """Draw the hair on the head, in four layers."""
    person, cut = painter.person, painter.cut
    topology = head_topology()
    kind = person.hair_type.partition("_")[0]
    parting_cm = 2.4 * person.parting
    layout = _hair_layout(person, cut, kind, parting_cm)
    normals = vertex_normals(head.vertices, topology.triangles)
    hairy = (layout.field[topology.triangles] > -1.5).any(axis=1)
    triangles = np.ascontiguousarray(topology.triangles[hairy])
    for layer, lift in enumerate((0.5, 0.7, 0.86, 1.0)):
        shell = head.vertices + normals * (layout.thickness * lift)[:, np.newaxis]
        seen = _shell(
            painter.canvas, shell, topology.triangles, triangles, layout.coordinates, painter.camera
        )
        if seen is None:
            continue
        pixel, depth, normal, values = seen
        strand = _cap_strands(painter, kind, parting_cm, values)
        ragged = {"ponytail": 0.22, "long": 0.3}.get(kind, 0.55)
        solid = np.clip((values[:, 3] + ragged * strand[:, 1] - 0.15 * layer) / 0.5, 0, 1)
        if layer > 0:
            # The outer layers consist of separate tufts.
            solid = solid * np.clip(strand[:, 0] * 0.9 + 1.35 - cut.loose * layer, 0, 1)
        lit = _hair_light(normal, strand[:, 0], person, painter.light) * np.float32(0.72 + 0.1 * layer)
        if kind == "long" and person.fringe <= _FRINGE:
            part = np.exp(-(((values[:, 7] - parting_cm) / 0.16) ** 2)) * (values[:, 8] > 4.0)
            lit = lit * (1.0 - 0.45 * single(part))[:, np.newaxis]
        _blend(painter.canvas, pixel, depth, lit, solid)


def _hair_layout(person: Person, cut: _Cut, kind: str, parting_cm: float) -> _HairLayout:
    """Return the layout of the hair on the canonical head."""
    resting = head_topology().resting
    field = _hair_field(resting, person)
    if kind == "long":
        front = np.exp(-((resting[:, 0] / 4.2) ** 4)) * (resting[:, 2] > 2.0)
        # Parted hair leaves the forehead free; a fringe covers it.
        field = field + (1.2 + 3.0 * (person.fringe - _FRINGE) if person.fringe > _FRINGE else -0.9) * front
    rise = np.clip((field + 0.3) / 2.5, 0, 1)
    crown = np.clip((resting[:, 1] - resting[:, 1].max() + 9.0) / 9.0, 0, 1)
    thickness = rise * (cut.thickness_cm + cut.crown_cm * crown)
    centre = np.array([0.0, resting[:, 1].max() - 9.5, resting[:, 2].mean() - 2.0])
    away = resting - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    if kind == "long":
        # Hair is flat along the parting.
        thickness = thickness * (1.0 - 0.5 * crown * np.exp(-(((resting[:, 0] - parting_cm) / 0.8) ** 2)))
    # Strands radiate from a whorl at the back of the crown, or from the knot of a ponytail.
    whorl = np.array([0.0, 0.45, -0.9]) if kind == "ponytail" else np.array([0.6, 0.86, -0.5])
    whorl /= np.linalg.norm(whorl)
    reach = np.arccos(np.clip(away @ whorl, -1, 1))
    side = np.cross(whorl, [0.0, 1.0, 0.0] if kind == "ponytail" else [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    flat = np.stack([away @ side, away @ np.cross(whorl, side)], axis=1)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    coordinates = np.concatenate([flat, reach[:, np.newaxis], field[:, np.newaxis], away, resting], axis=1)
    return _HairLayout(field, thickness, coordinates)


def _cap_strands(painter: _Painter, kind: str, parting_cm: float, values: Singles) -> Singles:
    """Return the noise of strands and of tufts (N, 2) at N positions.

    ``values`` (N, 10) are ``_HairLayout.coordinates``, interpolated at these positions.
    """
    if kind == "curly":
        place = values[:, 4:6] * 330 + 512 + values[:, 6:7] * np.array([210.0, -120.0])
        return look_up(painter.noise, single(place))
    if kind == "long":
        # Strands fall from the parting to both sides. The offset avoids mirrored patterns.
        across = 9.5 * np.arcsin(np.clip(values[:, 6], -1, 1))
        along = 9.5 * np.abs(np.arctan2(values[:, 7] - parting_cm, np.maximum(values[:, 5] * 9.5, 0.5)))
        across = across + np.where(values[:, 7] > parting_cm, 23.0, 0.0)
        return painter.strands(single(across), single(along))
    turn = polar_angle(values[:, 1], values[:, 0])
    # Strands bend slightly along their length.
    turn = turn + 0.1 * np.sin(values[:, 2] * 3.0 + turn * 2.0)
    turn = turn + 0.14 * painter.cut.waves * np.sin(values[:, 2] * 11.0 + 3.0 * np.sin(turn * 5.0))
    place = np.stack([(turn / (2 * np.pi) + 0.5) * 1023, values[:, 2] / np.pi * 1023], axis=1)
    return look_up(painter.noise, single(place))


def _add_curtain(painter: _Painter, face: Points3) -> None:
    """Draw the hanging part of long hair, behind and beside the neck."""
    person, cut = painter.person, painter.cut
    ear = face[list(EARS)].mean(axis=0)
    width = np.ptp(face[:, 0]) / 2
    top = face[FOREHEAD_TOP][1]
    length = 4.5 + 5.0 * (person.hairline_cm / 1.1 + 0.5)
    bottom = face[CHIN_TIP][1] - length
    heights = np.array([top + 1.2, ear[1] + 2.5, ear[1] - 3.5, (ear[1] + bottom) / 2 - 1.0, bottom])
    centres = np.stack([np.zeros(5), heights, ear[2] - np.array([3.2, 3.0, 3.0, 3.2, 3.4])], axis=1)
    wide = 0.05 * cut.waves
    radii = np.array([[0.8, 0.95], [1.13, 1.2], [1.2, 1.2], [1.22 + wide, 1.1], [1.24 + wide, 0.9]]) * width
    around = 128
    # Draw the far side first, seen from inside, then the near side in increasingly loose layers.
    for layer, lift in ((-1, 0.9), (0, 0.9), (1, 0.97), (2, 1.04)):
        hung, triangles = tube(centres, radii * lift, around)
        angle = np.tile(np.linspace(0.0, 2 * np.pi, around, endpoint=False), len(hung) // around)
        fall = hung[:, 1]
        # Waves are visible in the outline.
        swell = 1.0 + 0.05 * cut.waves * np.sin(1.1 * fall + 2.0 * np.sin(2 * angle)) * (fall < ear[1])
        middle = np.array([0.0, ear[2] - 3.1])
        hung[:, [0, 2]] = middle + (hung[:, [0, 2]] - middle) * swell[:, np.newaxis]
        down = (fall - bottom) / (top - bottom)
        # The front is open. Hair falls in front of the ears, but not over the cheeks. Further down, it
        # stays behind the front of the neck.
        limit = ear[2] - 1.6 + 4.0 * np.clip(2.2 * down, 0, 1) - 4.8 * np.clip(down - 0.75, 0, 1)
        front = limit - hung[:, 2]
        coordinates = np.stack([np.cos(angle), np.sin(angle), fall, front], axis=1)
        turned = hung @ painter.camera.rotation.T
        facing = vertex_normals(turned, triangles)[triangles, 2].sum(axis=1) > 0
        wanted = (facing != (layer < 0)) & (front[triangles] > -1.2).any(axis=1)
        kept = np.ascontiguousarray(triangles[wanted])
        seen = _shell(painter.canvas, turned, triangles, kept, coordinates, painter.camera)
        if seen is None:
            continue
        pixel, depth, normal, values = seen
        turn = polar_angle(values[:, 1], np.abs(values[:, 0]))
        across = 9.5 * turn + np.where(values[:, 0] > 0, 23.0, 0.0)
        strand = painter.strands(single(across), single(14.0 - values[:, 2]))
        solid = np.clip((values[:, 3] + 0.6 * strand[:, 1]) / 0.5, 0, 1)
        solid = solid * np.clip((values[:, 2] - bottom - 1.2 - 1.0 * strand[:, 1]) / 0.8, 0, 1)
        if layer > 0:
            solid = solid * np.clip(0.8 * strand[:, 1] + 0.3 * strand[:, 0] + 1.5 - 0.35 * layer, 0, 1)
        lit = _hair_light(-normal if layer < 0 else normal, strand[:, 0], person, painter.light)
        lit = lit * np.float32(0.3 if layer < 0 else 0.75 + 0.1 * layer)
        _blend(painter.canvas, pixel, depth, lit, solid)


def _add_tail(painter: _Painter, face: Points3) -> None:
    """Draw a ponytail that falls over one shoulder."""
    person, cut = painter.person, painter.cut
    side = 1.0 if person.parting > 0 else -1.0
    ear, chin = face[list(EARS)].mean(axis=0), face[CHIN_TIP]
    width = np.ptp(face[:, 0]) / 2
    knots = np.array(
        [
            [0.0, ear[1] + 3.0, ear[2] - 11.0],
            [side * 0.75 * width, ear[1] + 1.5, ear[2] - 8.5],
            [side * 1.02 * width, ear[1] - 4.0, ear[2] - 3.6],
            [side * 1.0 * width, chin[1] - 0.5, ear[2] + 0.6],
            [side * 0.92 * width, chin[1] - 8.0, ear[2] + 2.6],
        ]
    )
    steps, around = 48, 40
    t = np.linspace(0.0, 4.0, steps)
    path = PchipInterpolator(np.arange(5.0), knots, axis=0)(t)
    girth = PchipInterpolator(np.arange(5.0), [0.7, 1.3, 1.6, 1.55, 0.25])(t)
    girth = girth * (1.0 + 0.1 * cut.waves * np.sin(4.2 * t))
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    out = np.cross(along, [0.0, 0.0, 1.0])
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
    fore = np.cross(out, along)
    angle = np.linspace(0.0, 2 * np.pi, around, endpoint=False)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    triangles = strip(steps, around)
    for layer, lift in enumerate((0.75, 0.88, 1.0)):
        radius = (girth * lift)[:, np.newaxis, np.newaxis]
        ring = (
            np.cos(angle)[:, np.newaxis] * out[:, np.newaxis]
            + np.sin(angle)[:, np.newaxis] * fore[:, np.newaxis]
        )
        vertices = (path[:, np.newaxis] + radius * ring).reshape(-1, 3)
        turned = vertices @ painter.camera.rotation.T
        coordinates = np.stack(
            [
                np.tile(np.cos(angle), steps),
                np.tile(np.sin(angle), steps),
                np.repeat(length, around),
                np.repeat(length[-1] - length, around),
            ],
            axis=1,
        )
        normals = vertex_normals(turned, triangles)
        # The winding depends on the side. Choose it so that normals point away from the path.
        outwards = (turned - np.repeat(path @ painter.camera.rotation.T, around, axis=0)) * normals
        order = triangles if outwards.sum() > 0 else np.ascontiguousarray(triangles[:, [0, 2, 1]])
        seen = _shell(painter.canvas, turned, order, order, coordinates, painter.camera)
        if seen is None:
            continue
        pixel, depth, normal, values = seen
        turn = polar_angle(values[:, 1], values[:, 0])
        strand = painter.strands(single(2.2 * turn), values[:, 2])
        solid = np.clip((values[:, 3] - 0.8 - 1.2 * strand[:, 1]) / 0.8, 0, 1)
        if layer > 0:
            solid = solid * np.clip(strand[:, 0] + 1.3 - 0.4 * layer, 0, 1)
        lit = _hair_light(normal, strand[:, 0], person, painter.light) * np.float32(0.75 + 0.12 * layer)
        _blend(painter.canvas, pixel, depth, lit, solid)


def _shell(
    canvas: Canvas,
    vertices: Points3,
    all_triangles: Triangles,
    triangles: Triangles,
    coordinates: Floats,
    camera: WeakPerspective,
) -> tuple[NDArray[np.int64], Floats, Singles, Singles] | None:
    """Return the pixels where a layer of hair is visible, with their depths, normals and coordinates.

    Return None if the layer is not visible.
    """
    raster = rasterize(fine_pixels(vertices, camera), triangles, canvas.height, canvas.width)
    depth = raster.depth.reshape(-1)
    pixel = np.flatnonzero(depth < canvas.depth - 0.02 * camera.scale)
    if not len(pixel):
        return None
    channels = np.concatenate([vertex_normals(vertices, all_triangles), coordinates], axis=1)
    values = interpolated(channels, raster, triangles, pixel)
    return pixel, depth[pixel], unit(values[:, :3]), values[:, 3:]


def _hair_light(normal: Singles, strand: Singles, person: Person, light: Lamps) -> Singles:
    """Return the reflected light (N, 3): from the sky and two lamps, with highlights that vary by strand."""
    color = linear(HAIR_COLORS[person.hair_color])
    lighting = light.lighting
    bent = unit(normal + 0.25 * strand[:, np.newaxis] * np.array([1.0, 0.0, 0.0], np.float32))
    amount = (
        0.3 * lighting.sky_strength
        + 0.86 * lighting.key_strength * np.clip(bent @ light.key * 0.75 + 0.25, 0, None)
        + 0.9 * lighting.fill_strength * np.clip(bent @ light.fill, 0, None)
    )
    amount = np.clip(amount * (1.0 + 0.3 * strand), 0.002, None)
    half = light.key + np.array([0, 0, 1], np.float32)
    facing = np.clip(bent @ (half / np.linalg.norm(half)), 0, None)
    shine = lighting.key_strength / 0.64 * facing**14 * np.clip(0.6 + 0.6 * strand, 0, 2)
    lit = color * amount[:, np.newaxis] + (0.3 * color + 0.012) * shine[:, np.newaxis]
    return single(lit * np.array(lighting.warmth, np.float32) / np.float32(1.03))


def _blend(canvas: Canvas, pixel: NDArray[np.int64], depth: Floats, color: Singles, alpha: Singles) -> None:
    share = alpha[:, np.newaxis].astype(np.float32)
    canvas.picture[pixel] = canvas.picture[pixel] * (1 - share) + color * share
    solid = alpha > 0.5
    canvas.depth[pixel[solid]] = depth[solid]


def _strand_noise(rng: np.random.Generator, *, curly: bool) -> Singles:
    """Return noise (1024, 1024, 2): fine strands or curls, and coarse tufts.

    x runs around the whorl of the hair, y away from it.
    """
    size = 1024
    if curly:
        fine = smooth_noise(rng, (size, size), 14.0) + 0.6 * smooth_noise(rng, (size, size), 6.0)
        return np.dstack([np.tanh(fine), smooth_noise(rng, (size, size), 20.0)]).astype(np.float32)
    strands = np.zeros((size, size), np.float32)
    tufts = np.zeros((size, size), np.float32)
    for cells, weight in ((512, 0.6), (200, 0.6), (80, 0.4)):
        coarse = rng.standard_normal((12, cells)).astype(np.float32)
        strands += np.float32(weight) * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    for cells, weight in ((90, 0.6), (300, 0.5)):
        coarse = rng.standard_normal((14, cells)).astype(np.float32)
        tufts += np.float32(weight) * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.dstack([np.tanh(strands), tufts])
