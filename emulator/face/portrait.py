"""Pictures of meshes with several materials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from emulator.face.avatar import posed
from emulator.face.glb import Material, Part
from emulator.face.mesh import vertex_normals
from emulator.face.rasterize import rasterize, uv_to_pixels
from emulator.face.types import Image, Matrix, Points3

_BACKGROUND = (236, 238, 241)

# The direction to the light, in the camera's axes.
_LIGHT = np.array([-0.35, 0.5, 0.79])


def portrait(
    parts: Sequence[Part],
    rotation: Matrix,
    size: int = 480,
    *,
    weights: Mapping[str, float] | None = None,
    centre: Points3 | None = None,
    height_cm: float | None = None,
) -> Image:
    """Return a picture (``size``, ``size``, 3) of ``parts`` with smooth shading and 2 x 2 supersampling.

    Parameters
    ----------
    parts : sequence of Part
        In model space.
    rotation : (3, 3) float64
        From model space to the camera's axes: x right, y up, z towards the camera.
    size : int
    weights : mapping of str to float, optional
        Weights of morph targets.
    centre : (3,) float64, optional
        The point in the middle of the picture. By default, the middle of the parts.
    height_cm : float, optional
        Height of the visible area. By default, slightly more than the height of the parts.
    """
    vertices = posed(parts, weights or {})
    still = np.concatenate([part.vertices for part in parts])
    middle = (still.min(axis=0) + still.max(axis=0)) / 2 if centre is None else centre
    height = 2.2 * np.linalg.norm(still - middle, axis=1).max() if height_cm is None else height_cm
    fine = 2 * size
    scale = fine / height
    starts = np.cumsum([0, *(len(each) for each in vertices)])
    seen = (np.concatenate(vertices) - middle) @ rotation.T
    points = np.stack(
        [fine / 2 - 0.5 + scale * seen[:, 0], fine / 2 - 0.5 - scale * seen[:, 1], -scale * seen[:, 2]],
        axis=1,
    )
    triangles = np.concatenate(
        [part.triangles + start for part, start in zip(parts, starts[:-1], strict=True)]
    )
    owner = np.repeat(np.arange(len(parts)), [len(part.triangles) for part in parts])
    raster = rasterize(points, triangles, fine, fine)
    normals = raster.interpolate(vertex_normals(seen, triangles), triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    # A texture from a photograph already contains light, so add only slight shading.
    shade = 0.55 + 0.5 * np.clip(normals @ _LIGHT, 0.0, 1.0)
    uv = np.concatenate([np.zeros((len(part.vertices), 2)) if part.uv is None else part.uv for part in parts])
    where = raster.interpolate(uv, triangles)
    visible = np.where(raster.triangle_index >= 0, owner[np.maximum(raster.triangle_index, 0)], -1)
    picture = np.empty((fine, fine, 3))
    picture[:] = _BACKGROUND
    for number, part in enumerate(parts):
        chosen = visible == number
        texture = _texture(part.material)
        places = (
            uv_to_pixels(where.reshape(-1, 2), *texture.shape[:2]).astype(np.float32).reshape(fine, fine, 2)
        )
        color = cv2.remap(
            texture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        picture[chosen] = color[chosen] * shade[chosen][:, None]
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    result: Image = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return result


def _texture(material: Material) -> Image:
    """Return the texture of a material, or a single pixel with its base colour in sRGB."""
    if material.texture is not None:
        decoded = cv2.imdecode(np.frombuffer(material.texture, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
    linear = np.array(material.base_color[:3])
    color = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    pixel: Image = np.rint(255 * color).astype(np.uint8).reshape(1, 1, 3)
    return pixel
