"""The supersampled canvas on which people are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.pose import WeakPerspective
from emulator.face.rasterize import Raster
from emulator.face.synthetic.color import Floats, Singles, single
from emulator.face.types import Points3, Triangles

SUPERSAMPLING: Final = 2


@dataclass(frozen=True, eq=False)
class Canvas:
    """The supersampled picture in linear light (N, 3) and its depth (N,), in row-major order.

    Drawing changes both arrays in place.
    """

    picture: Singles
    depth: Floats
    height: int
    width: int


def fine_pixels(vertices: Points3, camera: WeakPerspective) -> Points3:
    """Convert vertices in camera axes to supersampled pixels and depth (V, 3)."""
    offset = (SUPERSAMPLING - 1) / 2
    scale = camera.scale * SUPERSAMPLING
    tx, ty = camera.translation * SUPERSAMPLING + offset
    return np.stack(
        [tx + scale * vertices[:, 0], ty - scale * vertices[:, 1], -scale * vertices[:, 2]], axis=1
    )


def look_up(layers: Singles, place: Singles) -> Singles:
    """Return the values (N, C) of ``layers`` (h, w, C), interpolated at pixel positions ``place`` (N, 2)."""
    # OpenCV limits the sides of a map to 32767, so reshape the list of positions to a rectangle.
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


def unit(vectors: Singles) -> Singles:
    """Return vectors (N, 3) scaled to length 1."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    return single(vectors / np.maximum(length, np.float32(1e-9)))


def polar_angle(y: Singles, x: Singles) -> Singles:
    """Return the angles (N,) of the points (``x``, ``y``), in radians.

    The coordinates are copied to contiguous arrays to make the result reproducible. If an operand is a column
    of a larger array, NumPy assumes that the memory of this operand extends past the end of the array. If the
    result is allocated in the memory behind the array, NumPy uses another code path, and some angles differ
    in the last bit.
    """
    return np.arctan2(np.ascontiguousarray(y), np.ascontiguousarray(x))


def interpolated(channels: Floats, raster: Raster, triangles: Triangles, pixel: NDArray[np.int64]) -> Singles:
    """Return the vertices' values ``channels`` (V, C), interpolated at N pixels ``pixel``: (N, C) float32."""
    thin = channels.astype(np.float32)
    corner = triangles[raster.triangle_index.reshape(-1)[pixel]]
    weights = raster.barycentric.reshape(-1, 3)[pixel]
    values = thin[corner[:, 0]] * weights[:, 0:1]
    values += thin[corner[:, 1]] * weights[:, 1:2]
    values += thin[corner[:, 2]] * weights[:, 2:3]
    return single(values)
