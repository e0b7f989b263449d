"""Simple shaded pictures of heads with another mesh. They look different from the synthetic faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emulator.face.mesh import vertex_normals
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.rasterize import rasterize
from emulator.face.types import Image, Points3, Triangles
from laboratory.deviations import Floats

_SUPERSAMPLING = 2
_SKIN = np.array([0.88, 0.68, 0.57])
_LIPS = np.array([0.82, 0.55, 0.55])
_BROWS = np.array([0.15, 0.10, 0.08])


@dataclass(frozen=True, eq=False)
class Paint:
    """The parts of a head that have a colour of their own.

    Attributes
    ----------
    eyes : tuple of (N,) int arrays
        The vertices of each eyeball.
    lips, brows : (V,) float64
        Weight of the colour of the lips or the brows at each vertex, 0 to 1.
    """

    eyes: tuple[Triangles, ...]
    lips: Floats
    brows: Floats

    def colors(self, vertices: Points3, rng: np.random.Generator) -> Floats:
        """Return random colours (V, 3), 0 to 1, for the skin, the lips, the brows and the eyes."""
        skin = np.clip(_SKIN * rng.uniform(0.35, 1.0) + rng.normal(0.0, 0.02, 3), 0.05, 1.0)
        colors = np.tile(skin, (len(vertices), 1))
        for share, color in (
            (self.lips * rng.uniform(0.3, 1.0), skin * _LIPS),
            (self.brows * rng.uniform(0.3, 0.9), _BROWS),
        ):
            colors += share[:, None] * (color - colors)
        iris = rng.uniform(0.05, 0.4, 3)
        for eye in self.eyes:
            centre, front = vertices[eye].mean(axis=0), vertices[eye[vertices[eye, 2].argmax()]]
            off = np.linalg.norm(vertices[eye] - front, axis=1) / np.linalg.norm(front - centre)
            colors[eye] = np.where(off[:, None] < 0.2, 0.03, np.where(off[:, None] < 0.55, iris, 0.9))
        return colors


def portrait(
    vertices: Points3,
    triangles: Triangles,
    colors: Floats,
    pose: Pose,
    rng: np.random.Generator,
    *,
    size: int,
) -> tuple[Image, WeakPerspective]:
    """Return a picture of a head with random light, and the camera.

    ``vertices`` (V, 3) are in centimetres, with the face around the origin.
    """
    rotation = rotation_matrix(pose)
    camera = WeakPerspective(size / rng.uniform(20.0, 28.0), rotation, np.full(2, (size - 1) / 2))
    pixels = camera.project(vertices)
    fine = pixels * _SUPERSAMPLING + [(_SUPERSAMPLING - 1) / 2, (_SUPERSAMPLING - 1) / 2, 0.0]
    raster = rasterize(fine, triangles, _SUPERSAMPLING * size, _SUPERSAMPLING * size)
    normal = raster.interpolate(vertex_normals(vertices, triangles) @ rotation.T, triangles)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True) + 1e-9
    light = _unit(np.array([rng.uniform(-0.8, 0.8), rng.uniform(0.0, 0.8), 1.0]))
    ambient = rng.uniform(0.3, 0.6)
    shade = ambient + (1.0 - ambient) * np.clip(normal @ light, 0.0, 1.0)
    gloss = 0.12 * np.clip(normal @ _unit(light + np.array([0.0, 0.0, 1.0])), 0.0, 1.0) ** 18
    picture = raster.interpolate(colors, triangles) * shade[:, :, None] + gloss[:, :, None]
    picture[raster.triangle_index < 0] = rng.uniform(0.1, 0.9, 3)
    small = cv2.resize(np.clip(picture, 0.0, 1.0), (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(255 * small).astype(np.uint8), camera


def in_perspective(vertices: Points3, rotation: Floats, nearness: float) -> Points3:
    """Return ``vertices``, moved so that a weak perspective camera shows them as a near camera would.

    ``nearness`` is 1 / (distance to the camera).
    """
    towards = vertices @ rotation[2]
    seen: Points3 = vertices / (1.0 - nearness * towards)[:, None]
    return seen


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))
