"""Triangle rasterisation: the nearest triangle at each pixel, and the pixel's barycentric weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.types import (
    Image,
    Matrix,
    Points2,
    Points3,
    Triangles,
    check_image,
    check_points,
)

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Raster:
    """The nearest triangle at each pixel.

    Attributes
    ----------
    triangle_index : (H, W) int32
        The nearest triangle that covers the pixel's centre; -1 if no triangle does.
    barycentric : (H, W, 3) float32
        The weights of that triangle's corners; 0 if there is no triangle.
    depth : (H, W) float64
        The depth at the pixel's centre; infinite if there is no triangle.
    """

    triangle_index: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    depth: Floats

    def interpolate(self, values: NDArray[np.float64], triangles: Triangles) -> Floats:
        """Return ``values`` (N,) or (N, C) interpolated at each pixel: (H, W) or (H, W, C).

        ``triangles`` (T, 3) has an index into ``values`` for each corner of the rasterised triangles. For
        values of vertices, these are the rasterised triangles themselves; for texture coordinates, the mesh's
        ``uv_triangles``. The result is 0 where there is no triangle.
        """
        height, width = self.triangle_index.shape
        result = np.zeros((height * width, *values.shape[1:]))
        pixel = np.flatnonzero(self.triangle_index.reshape(-1) >= 0)
        corners = triangles[self.triangle_index.reshape(-1)[pixel]]
        weights = self.barycentric.reshape(-1, 3)[pixel].astype(np.float64)
        if values.ndim > 1:
            weights = weights[:, :, np.newaxis]
        inside = values[corners[:, 0]] * weights[:, 0]
        inside += values[corners[:, 1]] * weights[:, 1]
        inside += values[corners[:, 2]] * weights[:, 2]
        result[pixel] = inside
        return result.reshape(height, width, *values.shape[1:])


def rasterize(points: Points3, triangles: Triangles, height: int, width: int) -> Raster:
    """Return the nearest triangle at each pixel of a ``height`` x ``width`` picture.

    A pixel belongs to a triangle if the centre of the pixel is inside. Left and upper edges belong to the
    triangle, right and lower edges do not. So triangles that share an edge leave no gap and do not overlap.
    If two triangles are equally near, the first one is returned.

    Triangles are visible from both sides. Triangles without area are skipped.

    Parameters
    ----------
    points : (V, 3) float64
        x right and y down in pixels, and a depth that grows away from the camera. The projection is
        assumed to be affine, so depth and barycentric weights are linear across the picture.
    triangles : (T, 3) int
        Indices into ``points``.

    Raises
    ------
    ValueError
        If ``points`` is not (V, 3) and finite, or ``height`` or ``width`` is below 1.
    """
    check_points(points, 3)
    if height < 1 or width < 1:
        raise ValueError(f"the picture must have pixels, not {width} x {height}")
    corners = points[triangles].reshape(-1, 3, 3)
    owner, y, x_first, x_stop = _spans(corners, height, width)

    length = x_stop - x_first
    total = int(length.sum())
    # Within each span, x counts up from the span's first x. Values of spans are repeated for their pixels,
    # because that is faster than an index of the span of each pixel.
    x = np.arange(total) + np.repeat(x_first - (np.cumsum(length) - length), length)
    pixel = np.repeat(y * width, length) + x

    plane = _depth_planes(corners)
    start = plane[owner, 0] + plane[owner, 2] * (y - corners[owner, 0, 1])
    fragment_depth = x - np.repeat(corners[owner, 0, 0], length)
    fragment_depth *= np.repeat(plane[owner, 1], length)
    fragment_depth += np.repeat(start, length)
    # The depth plane of a thin triangle can be so steep that rounding errors leave the range of the corners'
    # depths.
    low, high = corners[:, :, 2].min(axis=1), corners[:, :, 2].max(axis=1)
    np.clip(fragment_depth, np.repeat(low[owner], length), np.repeat(high[owner], length), out=fragment_depth)

    depth = np.full(height * width, np.inf)
    np.minimum.at(depth, pixel, fragment_depth)
    nearest = fragment_depth == depth[pixel]
    index = np.full(height * width, len(corners), np.int64)
    np.minimum.at(index, pixel[nearest], np.repeat(owner, length)[nearest])

    seen = np.flatnonzero(index < len(corners))
    winner = index[seen]
    barycentric = np.zeros((height * width, 3), np.float32)
    barycentric[seen] = _barycentric(corners, winner, seen % width, seen // width)
    index[index == len(corners)] = -1
    return Raster(
        index.astype(np.int32).reshape(height, width),
        barycentric.reshape(height, width, 3),
        depth.reshape(height, width),
    )


def _spans(corners: Floats, height: int, width: int) -> tuple[Integers, Integers, Integers, Integers]:
    """Return the horizontal runs of pixels in each triangle: triangle, y, first x, last x plus 1."""
    y_corner = corners[:, :, 1]
    # Clip before the cast, because a point far outside would overflow the integers.
    row_first = np.clip(np.ceil(y_corner.min(axis=1)), 0, height).astype(np.int64)
    row_stop = np.clip(np.ceil(y_corner.max(axis=1)), 0, height).astype(np.int64)
    area = _doubled_area(corners)
    rows = np.where(area == 0, 0, np.maximum(row_stop - row_first, 0))
    owner = np.repeat(np.arange(len(corners)), rows)
    y = np.arange(int(rows.sum())) - np.repeat(np.cumsum(rows) - rows, rows) + row_first[owner]

    left = np.full(len(owner), np.inf)
    right = np.full(len(owner), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        # Follow each edge downwards, so that the two triangles that share it compute bit-identical crossings,
        # without a gap between the triangles.
        swapped = (y_corner[:, a] > y_corner[:, b])[:, np.newaxis]
        upper = np.where(swapped, corners[:, b, :2], corners[:, a, :2])
        lower = np.where(swapped, corners[:, a, :2], corners[:, b, :2])
        run = lower - upper
        slope = np.divide(run[:, 0], run[:, 1], out=np.zeros(len(run)), where=run[:, 1] > 0)
        crossed = (upper[owner, 1] <= y) & (y < lower[owner, 1])
        crossing = upper[owner, 0] + (y - upper[owner, 1]) * slope[owner]
        left = np.where(crossed, np.minimum(left, crossing), left)
        right = np.where(crossed, np.maximum(right, crossing), right)
    x_first = np.clip(np.ceil(left), 0, width).astype(np.int64)
    x_stop = np.clip(np.ceil(right), 0, width).astype(np.int64)
    kept = x_stop > x_first
    return owner[kept], y[kept], x_first[kept], x_stop[kept]


def _doubled_area(corners: Floats) -> Floats:
    """Return twice the signed area (T,) of the projected triangles."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area: Floats = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    return area


def _depth_planes(corners: Floats) -> Floats:
    """Return (T, 3): the depth at corner 0, and the change of depth per pixel along x and along y."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = _doubled_area(corners)
    inverse = np.divide(1.0, area, out=np.zeros_like(area), where=area != 0)
    along_x = (one[:, 2] * two[:, 1] - two[:, 2] * one[:, 1]) * inverse
    along_y = (two[:, 2] * one[:, 0] - one[:, 2] * two[:, 0]) * inverse
    return np.stack([corners[:, 0, 2], along_x, along_y], axis=1)


def _barycentric(corners: Floats, triangle: Integers, x: Integers, y: Integers) -> Floats:
    """Return the weights (N, 3) of the corners of N triangles, each at the pixel (``x``, ``y``) in it."""
    origin = corners[:, 0]
    one, two = corners[:, 1] - origin, corners[:, 2] - origin
    area = _doubled_area(corners)
    inverse = np.divide(1.0, area, out=np.zeros_like(area), where=area != 0)
    dx, dy = x - origin[triangle, 0], y - origin[triangle, 1]
    weight_one = dx * (two[:, 1] * inverse)[triangle] - dy * (two[:, 0] * inverse)[triangle]
    weight_two = dy * (one[:, 0] * inverse)[triangle] - dx * (one[:, 1] * inverse)[triangle]
    np.clip(weight_one, 0.0, 1.0, out=weight_one)
    np.clip(weight_two, 0.0, 1.0 - weight_one, out=weight_two)
    return np.stack([1.0 - weight_one - weight_two, weight_one, weight_two], axis=1)


def uv_to_pixels(uv: Points2, height: int, width: int) -> Points2:
    """Convert texture coordinates (U, 2) to texture pixels, x right and y down.

    Texture coordinates have their origin at the bottom left corner of the bottom left pixel. A picture has
    row 0 at the top, and integer coordinates at the centres of pixels. Only this function flips v.
    """
    return np.stack([uv[:, 0] * width - 0.5, (1.0 - uv[:, 1]) * height - 0.5], axis=1)


def render_mesh(
    mesh: Mesh,
    texture: Image,
    rotation: Matrix,
    size: int = 640,
    background: tuple[int, int, int] = (236, 238, 241),
) -> Image:
    """Return a picture (``size``, ``size``, 3) of ``mesh`` with smooth shading and 2 x 2 supersampling.

    Parameters
    ----------
    mesh : Mesh
        In model space.
    texture : Image
        The picture that ``mesh.uv`` refers to.
    rotation : (3, 3) float64
        From model space to the camera's axes (x right, y up, z towards the camera). The mesh is
        centred, and its bounding sphere fills 90 % of the picture's side.

    Raises
    ------
    ValueError
        If the vertices are not (V, 3) and finite, or ``texture`` is not an `Image`.
    """
    check_points(mesh.vertices, 3, "vertices")
    check_image(texture)
    fine = 2 * size
    centre = (mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0)) / 2
    centred = mesh.vertices - centre
    scale = 0.45 * fine / np.linalg.norm(centred, axis=1).max()
    seen = centred @ rotation.T
    points = np.stack(
        [fine / 2 - 0.5 + scale * seen[:, 0], fine / 2 - 0.5 - scale * seen[:, 1], -scale * seen[:, 2]],
        axis=1,
    )
    raster = rasterize(points, mesh.triangles, fine, fine)
    where = raster.interpolate(
        uv_to_pixels(mesh.uv, texture.shape[0], texture.shape[1]), mesh.uv_triangles
    ).astype(np.float32)
    colour = cv2.remap(
        texture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float64)

    normals = raster.interpolate(vertex_normals(seen, mesh.triangles), mesh.triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    # The inside of an open mesh is visible too. Flip its normals, so that they face the camera.
    inside = normals[..., 2] < 0
    normals[inside] *= -1
    # A texture from a photograph already contains light, so add only slight shading.
    light = np.array([-0.35, 0.5, 0.79])
    shade = 0.62 + 0.42 * np.clip(normals @ light, 0.0, 1.0)
    shade[inside] *= 0.55
    colour *= shade[..., np.newaxis]

    picture = np.empty((fine, fine, 3))
    picture[:] = background
    covered = raster.triangle_index >= 0
    picture[covered] = colour[covered]
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    result: Image = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return result
