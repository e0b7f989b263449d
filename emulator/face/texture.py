"""A photograph, carried onto the mesh's texture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.rasterize import Raster, rasterize, uv_to_pixels
from emulator.face.types import Image, Mask, Points3, Triangles, check_image, check_points

Singles: TypeAlias = NDArray[np.float32]

GRAZING_COSINE = 0.2
"""A surface turned further away than this is not taken from the photograph: it shows background."""

FACING_COSINE = 0.5
"""A surface turned less than this is taken as it is; between the two it fades."""

OUTLINE_FRACTION = 0.04
"""Nearer to the face's outline than this fraction of its extent, more must face the camera: there the
fit's small errors put background or hair on the skin."""


@dataclass(frozen=True, eq=False)
class Texture:
    """A mesh's texture, and how much of it the photograph showed.

    Attributes
    ----------
    image : (S, S, 3) uint8
        RGB, row 0 at v = 1. Filled everywhere, beyond the chart too, so that it can be minified.
    coverage : (S, S) float32
        0 to 1: 1 where the colour is the photograph's own, 0 where it was filled in.
    """

    image: Image
    coverage: Mask


def bake_texture(mesh: Mesh, camera_points: Points3, image: Image, size: int = 1024) -> Texture:
    """Return the texture (``size``, ``size``) that makes ``mesh`` look as it does in ``image``.

    Each texel's surface point is looked up in the photograph where it faces the camera and nothing
    lies before it. What the photograph does not show is taken from the other half of the face,
    shifted in colour so that it meets its surroundings without a seam (a membrane, as in Poisson
    image editing, DOI 10.1145/882262.882269), and what neither half shows is filled smoothly by
    pull-push (DOI 10.1145/237170.237200).

    Parameters
    ----------
    mesh : Mesh
        Its texture layout is mirrored left to right: u and 1 - u are the two halves' same place.
    camera_points : (V, 3) float64
        Where the mesh's vertices lie in the photograph: x right, y down, z away from the camera,
        all in pixels.
    image : Image
        The photograph.
    size : int
        The texture's side in texels.

    Raises
    ------
    ValueError
        If an array is malformed or does not match the mesh.
    """
    check_image(image)
    check_points(camera_points, 3, "camera_points")
    if camera_points.shape != mesh.vertices.shape:
        raise ValueError(f"camera_points must be {mesh.vertices.shape}, not {camera_points.shape}")
    if size < 1:
        raise ValueError(f"size must be positive, not {size}")

    texels = np.zeros((len(mesh.uv), 3))
    texels[:, :2] = uv_to_pixels(mesh.uv, size, size)
    chart = rasterize(texels, mesh.uv_triangles, size, size)
    inside = chart.triangle_index >= 0
    position = chart.interpolate(camera_points, mesh.triangles)
    level = chart.interpolate(_mip_levels(camera_points, texels, mesh), mesh.uv_triangles)

    own = _sample(image, position[..., :2].astype(np.float32), level.astype(np.float32))
    coverage = _coverage(mesh, camera_points, chart, position, level, image.shape[:2])
    coverage[~inside] = 0.0

    filled = _fill_from_the_mirror(own, coverage)
    result: Image = np.clip(np.rint(filled), 0, 255).astype(np.uint8)
    return Texture(result, coverage)


def _mip_levels(camera_points: Points3, texels: Points3, mesh: Mesh) -> NDArray[np.float64]:
    """Return, for each uv (U,), the octaves by which the photograph is minified there; never below 0."""
    photo = camera_points[mesh.triangles][:, :, :2]
    chart = texels[mesh.uv_triangles][:, :, :2]
    photo_edges = np.stack([photo[:, 1] - photo[:, 0], photo[:, 2] - photo[:, 0]], axis=2)
    chart_edges = np.stack([chart[:, 1] - chart[:, 0], chart[:, 2] - chart[:, 0]], axis=2)
    area = np.linalg.det(chart_edges)
    # A triangle without area in the chart has no texel that could be minified.
    chart_edges[area == 0] = np.eye(2)
    stretch = np.linalg.svd(photo_edges @ np.linalg.inv(chart_edges), compute_uv=False)[:, 0]
    octaves = np.where(area == 0, 0.0, np.log2(np.maximum(stretch, 1.0)))
    # The mean over the triangles around a uv, so that sharpness does not jump between triangles.
    total, count = np.zeros(len(texels)), np.zeros(len(texels))
    for corner in range(3):
        np.add.at(total, mesh.uv_triangles[:, corner], octaves)
        np.add.at(count, mesh.uv_triangles[:, corner], 1.0)
    levels: NDArray[np.float64] = total / np.maximum(count, 1.0)
    return levels


def _sample(image: Image, position: Singles, level: Singles) -> Singles:
    """Return the photograph (S, S, 3) at pixel positions (S, S, 2), each from its own mip level."""
    result = np.zeros((*level.shape, 3), np.float32)
    pyramid = image
    for octave in range(int(np.ceil(level.max())) + 1):
        # Trilinear: a texel between two levels mixes both.
        weight = np.maximum(0.0, 1.0 - np.abs(level - octave))
        scale_x, scale_y = pyramid.shape[1] / image.shape[1], pyramid.shape[0] / image.shape[0]
        sampled = cv2.remap(
            pyramid,
            (position[..., 0] + 0.5) * scale_x - 0.5,
            (position[..., 1] + 0.5) * scale_y - 0.5,
            cv2.INTER_CUBIC if octave == 0 else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        result += weight[..., np.newaxis] * sampled
        half = (max(1, (pyramid.shape[1] + 1) // 2), max(1, (pyramid.shape[0] + 1) // 2))
        pyramid = cv2.resize(pyramid, half, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return result


def _coverage(
    mesh: Mesh,
    camera_points: Points3,
    chart: Raster,
    position: NDArray[np.float64],
    level: NDArray[np.float64],
    photo_shape: tuple[int, ...],
) -> Mask:
    """Return how far each texel (S, S) is to be believed: facing, unoccluded, inside the photograph."""
    # y down and z away turn both: the camera looks along +z, a facing normal has z < 0. The axes'
    # handedness is that of model space, so the triangles' order still says what is outside.
    cosine = -vertex_normals(camera_points, mesh.triangles)[:, 2]
    visible, from_outline = _unoccluded(camera_points, mesh.triangles, position)
    extent = np.ptp(camera_points[:, :2], axis=0).max()
    doubt = 0.35 * np.clip(1.0 - from_outline / (OUTLINE_FRACTION * extent), 0.0, 1.0)
    facing = _smoothstep(chart.interpolate(cosine, mesh.triangles) - doubt, GRAZING_COSINE, FACING_COSINE)
    size = visible.shape[0]
    # Softened inwards only: never more than what was seen.
    radius = max(1, size // 128)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    eroded = cv2.erode(np.where(chart.triangle_index >= 0, visible, 1.0).astype(np.float32), kernel)
    soft = cv2.GaussianBlur(eroded, (0, 0), radius / 2) * visible

    height, width = photo_shape[:2]
    to_border = np.minimum(
        np.minimum(position[..., 0] + 0.5, width - 0.5 - position[..., 0]),
        np.minimum(position[..., 1] + 0.5, height - 0.5 - position[..., 1]),
    )
    framed = _smoothstep(to_border, 0.0, 1.0)
    # Nor may a sample reach over the outline: the cubic kernel reaches two pixels of its mip level.
    clear = _smoothstep(from_outline / np.exp2(level), 1.5, 3.5)
    result: Mask = (facing * soft * framed * clear).astype(np.float32)
    return result


def _unoccluded(
    camera_points: Points3, triangles: Triangles, position: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Singles]:
    """Return how the mesh hides itself at each texel, and how near its outline is: (S, S) twice.

    The first is 1.0 where the texel's point is the nearest along its ray, else 0.0. The second is
    the distance to the mesh's outline in the photograph, in its pixels.
    """
    low, high = camera_points.min(axis=0), camera_points.max(axis=0)
    extent = float(max(high[0] - low[0], high[1] - low[1], 1e-9))
    # 512 steps across the face tell a nose from a cheek; more would only cost.
    scale = 511.0 / extent
    points = (camera_points - low) * scale
    points[:, :2] += 1.0
    depth = rasterize(points, triangles, 514, 514).depth
    # Of the 3 x 3 neighbours the farthest: a slanted surface must not hide itself.
    farthest = cv2.dilate(
        np.where(np.isfinite(depth), depth, 1e6).astype(np.float32), np.ones((3, 3), np.uint8)
    )
    place = ((position - low) * scale).astype(np.float32)
    place[..., :2] += np.float32(1.0)
    before = cv2.remap(
        farthest, place[..., 0], place[..., 1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    tolerance = 6.0  # of 512: a bit more than one percent of the face
    nearest: NDArray[np.float64] = (place[..., 2] <= before + tolerance).astype(np.float64)
    # The frame of one empty pixel counts as outside too.
    distance = cv2.distanceTransform(np.isfinite(depth).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    from_outline: Singles = cv2.remap(
        distance, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ) / np.float32(scale)
    return nearest, from_outline


def _fill_from_the_mirror(own: Singles, coverage: Mask) -> Singles:
    """Return the texture (S, S, 3) with what was not seen filled from the mirrored half."""
    mirrored, mirrored_coverage = own[:, ::-1], coverage[:, ::-1]
    # How the halves differ in light, known where both were seen, spread smoothly elsewhere.
    difference = pull_push(own - mirrored, np.power(coverage * mirrored_coverage, np.float32(3.0)))
    guess = np.clip(mirrored + difference, 0.0, 255.0)
    weight: Mask = coverage + (1.0 - coverage) * mirrored_coverage
    share = np.divide(coverage, weight, out=np.zeros_like(weight), where=weight > 0)[..., np.newaxis]
    known = own * share + guess * (1.0 - share)
    # Doubtful texels are shown as far as they are believed, but are no ground to extrapolate from.
    rest = pull_push(known, np.power(weight, np.float32(3.0)))
    kept = weight[..., np.newaxis]
    result: Singles = known * kept + rest * (1.0 - kept)
    return result


def pull_push(values: Singles, weight: Mask) -> Singles:
    """Return ``values`` (H, W, C) where ``weight`` (H, W) is 1, and a smooth continuation where it is 0.

    Pull-push: averages are gathered down a pyramid until no gap is left and spread back up
    (Gortler et al. 1996, DOI 10.1145/237170.237200). With no weight anywhere the result is 0.
    """
    height, width = weight.shape
    kept = weight[..., np.newaxis]
    if max(height, width) == 1:
        return np.where(kept > 0, values, np.float32(0.0)).astype(np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    gathered = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values * kept, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], -1)
    divisor = gathered[..., np.newaxis]
    means = np.divide(sums, divisor, out=np.zeros_like(sums), where=divisor > 0)
    # One well-seen texel in four is enough to be sure of the coarser one.
    coarse = pull_push(means, np.minimum(gathered * 4.0, 1.0).astype(np.float32))
    spread = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)
    result: Singles = (values * kept + spread * (1.0 - kept)).astype(np.float32)
    return result


def _smoothstep(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return 0 up to ``low``, 1 from ``high`` on, and a smooth rise between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    step: NDArray[np.float64] = t * t * (3.0 - 2.0 * t)
    return step
