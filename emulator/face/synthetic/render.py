"""Rendering of synthetic faces from their specifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from emulator.face import identity
from emulator.face.box import Box
from emulator.face.mesh import vertex_normals
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.rasterize import rasterize
from emulator.face.synthetic.canvas import (
    SUPERSAMPLING,
    Canvas,
    fine_pixels,
    interpolated,
    look_up,
    polar_angle,
    unit,
)
from emulator.face.synthetic.color import Floats, Singles, linear, single, smooth_noise, srgb
from emulator.face.synthetic.expression import expressed
from emulator.face.synthetic.figure import Material, figure
from emulator.face.synthetic.hair import add_hair
from emulator.face.synthetic.paint import paint_face, paint_pixels, skin_color
from emulator.face.synthetic.person import Person, SyntheticFaceSpec, draw_person
from emulator.face.synthetic.scene import backdrop, lamps, shaded
from emulator.face.types import Image, Points3

# Smallest ``open_mouth`` at which the inside of the mouth is visible.
_MOUTH_AJAR: Final = 0.04

_MATERIALS: Final[dict[Material, tuple[str, float]]] = {
    "mouth": ("1a0a09", 0.0),
    "teeth": ("d9d3c6", 0.8),
    "tongue": ("8a4a48", 0.8),
    "mask": ("a9c6d6", 0.05),
}

# The skin grain is a texture that is wrapped around the head.
_GRAIN_PER_CM: Final = 30.0
_GRAIN_TOP_CM: Final = 12.0


@dataclass(frozen=True, eq=False)
class SyntheticFace:
    """A picture of a synthetic face with its ground truth.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB. If the picture shows several people, their ``SyntheticFace`` objects share this array.
    landmarks : (468, 3) float64
        Pixels: x right, y down, z away from the camera. Includes landmarks that are not visible.
    box : Box
        The bounding box of the landmarks.
    camera : WeakPerspective
        Projects model space to the picture.
    pose : Pose
        The head's pose.
    identity_coefficients : (80,) float64
        The face's shape.
    person : Person
        The attributes from the specification or the seed: skin tone, hair, gender, glasses, and so on.
    spec : SyntheticFaceSpec
        The specification.
    """

    image: Image
    landmarks: Points3
    box: Box
    camera: WeakPerspective
    pose: Pose
    identity_coefficients: Floats
    person: Person
    spec: SyntheticFaceSpec


def render_face(spec: SyntheticFaceSpec) -> SyntheticFace:
    """Render the person that ``spec`` describes.

    Loop subdivision (C. Loop, 1987) smooths the mesh. Before that, the control points are moved, so that
    the smooth surface passes through the landmarks.
    """
    return render_people([spec])[0]


def render_shape(spec: SyntheticFaceSpec, face: Points3) -> SyntheticFace:
    """Render a person with ``face`` (468, 3), a face without expression, in centimetres in model space.

    ``face`` replaces the shape in ``spec``, and can be any shape. ``laboratory`` renders arbitrary shapes to
    derive the identity modes from them.
    """
    return _rendered([spec], [draw_person(spec)], [face])[0]


def render_people(specs: Sequence[SyntheticFaceSpec]) -> tuple[SyntheticFace, ...]:
    """Render several people in one picture. Return one result per person, all with the same image.

    The first spec sets the picture's size, background, light and blur. Smaller faces are behind larger
    ones.

    Raises
    ------
    ValueError
        If ``specs`` is empty.
    """
    if not specs:
        raise ValueError("specs must contain at least one person, not none")
    people = [draw_person(spec) for spec in specs]
    return _rendered(
        specs, people, [identity.mesh(person.identity_coefficients).vertices for person in people]
    )


def _rendered(
    specs: Sequence[SyntheticFaceSpec], people: Sequence[Person], resting: Sequence[Points3]
) -> tuple[SyntheticFace, ...]:
    """Render ``people`` in one picture. ``resting`` are their faces (468, 3) without expression."""
    first = specs[0]
    height, width = SUPERSAMPLING * first.height, SUPERSAMPLING * first.width
    picture = backdrop(people[0], first.background, first.light, height, width).reshape(-1, 3)
    faces: dict[int, tuple[Points3, WeakPerspective, Pose]] = {}
    for index in sorted(range(len(specs)), key=lambda index: specs[index].face_fraction):
        spec, person = specs[index], people[index]
        rest = resting[index]
        pose = Pose(spec.yaw, spec.pitch, spec.roll)
        camera = _camera(rest, rotation_matrix(pose), spec, first)
        face = expressed(rest, spec.expression)
        canvas = Canvas(picture, np.full(height * width, np.inf), height, width)
        _draw(canvas, person, rest, face, camera, spec, first)
        faces[index] = camera.project(face), camera, pose
    image = _finished(picture.reshape(height, width, 3), people[0], first)
    results = []
    for index, (spec, person) in enumerate(zip(specs, people, strict=True)):
        landmarks, camera, pose = faces[index]
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        box = Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
        results.append(
            SyntheticFace(image, landmarks, box, camera, pose, person.identity_coefficients, person, spec)
        )
    return tuple(results)


def render_backdrop(spec: SyntheticFaceSpec) -> Image:
    """Render the picture that ``spec`` describes without the person."""
    person = draw_person(spec)
    height, width = SUPERSAMPLING * spec.height, SUPERSAMPLING * spec.width
    return _finished(backdrop(person, spec.background, spec.light, height, width), person, spec)


def _camera(
    rest: Points3, rotation: Floats, spec: SyntheticFaceSpec, frame: SyntheticFaceSpec
) -> WeakPerspective:
    """Return the camera that shows ``rest``, a face without expression, at the specified size and centre."""
    scale = spec.face_fraction * frame.width / float(np.ptp(rest[:, 0]))
    seen = rest @ rotation.T
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    translation = np.array(
        [
            spec.center[0] * (frame.width - 1) - scale * middle[0],
            spec.center[1] * (frame.height - 1) + scale * middle[1],
        ]
    )
    return WeakPerspective(scale, rotation, translation)


def _draw(
    canvas: Canvas,
    person: Person,
    rest: Points3,
    face: Points3,
    camera: WeakPerspective,
    spec: SyntheticFaceSpec,
    frame: SyntheticFaceSpec,
) -> None:
    """Draw a person onto ``canvas``."""
    ajar = spec.expression.open_mouth > _MOUTH_AJAR
    parts = figure(person, rest, face, camera.rotation, open_mouth=ajar, covered_mouth=spec.covered_mouth)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    vertices = np.concatenate([part.vertices for part in parts])
    triangles = np.concatenate(
        [part.triangles + np.int32(start) for part, start in zip(parts, starts, strict=False)]
    ).astype(np.int32)
    features = np.concatenate([part.features for part in parts])
    normals = np.concatenate([vertex_normals(part.vertices, part.triangles) for part in parts])
    part_of = np.concatenate([np.full(len(part.triangles), k) for k, part in enumerate(parts)])

    raster = rasterize(fine_pixels(vertices, camera), triangles, canvas.height, canvas.width)
    pixel = np.flatnonzero(raster.triangle_index.reshape(-1) >= 0)
    part = part_of[raster.triangle_index.reshape(-1)[pixel]]
    values = interpolated(np.concatenate([features, normals], axis=1), raster, triangles, pixel)
    normal = unit(values[:, 5:8])

    skin = skin_color(person)
    paint = paint_face(person, open_mouth=ajar)
    place = single(paint_pixels(values[:, :2].astype(np.float64)))
    looked_up = look_up(np.dstack([paint.albedo, paint.gloss, paint.eye]), place)
    grain = look_up(_skin_grain(person), _around_head(values[:, :3]))
    on_face = np.clip(values[:, 3] * 1.6 - 0.3, 0, 1) * (part == 0)
    albedo = skin * (1 - on_face[:, np.newaxis]) + looked_up[:, :3] * on_face[:, np.newaxis]
    gloss = 0.6 * (1 - on_face) + looked_up[:, 3] * on_face
    eye = looked_up[:, 4] * on_face
    albedo *= 1.0 + grain
    for index, piece in enumerate(parts):
        if piece.material in ("face", "skin"):
            continue
        mine = part == index
        if piece.material == "cloth":
            albedo[mine], gloss[mine] = person.clothes, 0.05
        elif piece.material == "frame":
            albedo[mine], gloss[mine] = person.frame, 2.0
        else:
            color, shine = _MATERIALS[piece.material]
            albedo[mine], gloss[mine] = linear(color), shine
        # Thin sheets are visible from both sides.
        away = mine & (normal[:, 2] < 0)
        normal[away] *= -1

    # Less light from the sky reaches hollows. The surrounding skin makes this light redder.
    hollow = np.clip(np.where(part == 0, 9.0 * values[:, 4], values[:, 4]), -0.25, 0.8) * (1 - eye)
    light = lamps(person, frame.light)
    canvas.picture[pixel] = shaded(albedo, normal, single(gloss), single(hollow), light)
    canvas.depth[pixel] = raster.depth.reshape(-1)[pixel]
    add_hair(canvas, person, rest, parts[0], camera, light)


def _finished(picture: Singles, person: Person, frame: SyntheticFaceSpec) -> Image:
    """Return the finished picture: downsampled, blurred and converted to sRGB."""
    small = single(cv2.resize(picture, (frame.width, frame.height), interpolation=cv2.INTER_AREA))
    if frame.blur:
        sigma = max(1e-3, frame.blur * frame.face_fraction * frame.width)
        small = single(cv2.GaussianBlur(small, (0, 0), sigma))
    values = srgb(small) * np.float32(255.0)
    if frame.light == "dark":
        # In the dark, sensor noise nearly hides the picture.
        noise = np.random.default_rng(person.noise_seed + 4).standard_normal(values.shape, dtype=np.float32)
        values = values + np.float32(2.0) * noise
    result: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return result


def _around_head(resting: Singles) -> Singles:
    """Convert positions (N, 3) on the canonical head to pixels (N, 2) of the skin grain."""
    around = polar_angle(resting[:, 0], resting[:, 2] + np.float32(2.0)) * 8.5 + 27.0
    return single(np.stack([around, _GRAIN_TOP_CM - resting[:, 1]], axis=1) * _GRAIN_PER_CM)


def _skin_grain(person: Person) -> Singles:
    """Return the relative deviation of the skin's brightness from its mean: (h, w, 1)."""
    rng = np.random.default_rng(person.noise_seed + 3)
    shape = (int(30 * _GRAIN_PER_CM), int(54 * _GRAIN_PER_CM))
    grain = (
        0.03 * smooth_noise(rng, shape, 38.0)
        + 0.022 * smooth_noise(rng, shape, 10.0)
        + 0.014 * smooth_noise(rng, shape, 2.6)
    )
    return single(grain[..., np.newaxis])
