"""Projection of photographs onto a mesh's texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from emulator.face.displacement import smoothstep
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.rasterize import rasterize, uv_to_pixels
from emulator.face.types import Image, Mask, Points2, Points3, Triangles, check_image, check_points

Singles: TypeAlias = NDArray[np.float32]
_Value = TypeVar("_Value", np.float32, np.int16, np.uint8)

GRAZING_COSINE: Final = 0.2
"""Smallest cosine of the angle between a surface's normal and the direction to the camera at which the
photograph is used. At smaller cosines, the photograph may show background."""

FACING_COSINE: Final = 0.5
"""Cosine from which the photograph has its full weight. The weight rises smoothly from 0 at
``GRAZING_COSINE``."""

NOSTRILS_COSINE: Final = 0.3
"""Amount by which both limits of the cosine are lower at nostrils. In a frontal photograph, the lower side
of the nose hardly faces the camera. But the photograph shows skin and the dark nostrils there, and no
background."""

OUTLINE_FRACTION: Final = 0.04
"""Distance from the outline of the face, as a fraction of the face's size, within which a surface must face
the camera more directly. There, small errors of the fit would put background or hair on the skin."""

# Side, in texels, of the grid for values that are smooth across the texture: positions in the photograph,
# confidence, differences in light. They are computed on this grid and enlarged later. In the shapes of
# arrays, G is this side, and B is the side of the texture before it is enlarged to the requested size.
_GRID = 192

# Side in texels of the grid for smooth fills: a power of two, so that each pyramid level halves evenly.
_FILL_GRID = 128

# Cells across the face in the depth buffer: enough to separate the nose from a cheek. More take longer.
_DEPTH_STEPS = 160

# Tolerated difference between skin and the cheeks of the same face, in octaves (factors of 2): in green, in
# the ratio of red to green, and in the ratio of blue to green. Green varies with light and shadow. Hair, even
# grey or blond, differs mostly in the ratios.
_SKIN_OCTAVES = (0.65, 0.2, 0.3)

# Photograph pixels per texel, along one axis, above which the photograph is reduced before sampling.
_ALIASING = 1.4


@dataclass(frozen=True, eq=False)
class TextureView:
    """A photograph, and the position of the mesh in it.

    Attributes
    ----------
    camera_points : (V, 3) float64
        The positions of the mesh's vertices in the photograph: x right, y down, z away from the
        camera, all in pixels.
    image : Image
    """

    camera_points: Points3
    image: Image


@dataclass(frozen=True, eq=False)
class SkinPlaces:
    """The parts of a mesh that are skin, even if hair or other things cover them in a photograph.

    Attributes
    ----------
    reference : (V,) float64
        Above 0.5 where the colour of the skin is measured: on the cheeks.
    bare : (V,) float64
        0 to 1: how strongly colours unlike skin are rejected, for example on forehead and temples.
    nostrils : (V,) float64
        0 to 1: how much ``NOSTRILS_COSINE`` applies.
    """

    reference: NDArray[np.float64]
    bare: NDArray[np.float64]
    nostrils: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Texture:
    """A mesh's texture, and how much of it comes from the photographs.

    Attributes
    ----------
    image : (S, S, 3) uint8
        RGB, row 0 at v = 1. The image is also filled outside the chart, which is the area that the mesh's
        triangles cover. So scaling the texture down does not mix in other colours at the edge.
    mesh : Mesh
        The mesh that the texture belongs to.
    confidence : (G, G) float32
        0 to 1: the weight of the photographs' colours, on a grid over the texture.
    """

    image: Image
    mesh: Mesh
    confidence: Singles

    @cached_property
    def coverage(self) -> Mask:
        """The coverage mask (S, S): 1 where the colour comes from a photograph, 0 where it was filled in."""
        # Computed only on access, because the first mask of a size takes ten times as long as later masks.
        size = len(self.image)
        inside = _inside(size, self.mesh.uv.tobytes(), self.mesh.uv_triangles.tobytes())
        covered: Mask = _resized(self.confidence, size) * inside
        return covered


@dataclass(frozen=True, eq=False)
class _Layout:
    """Data that depends only on the texture's layout, on a grid of G x G texels (pixels of the texture).

    The chart is the area of the texture that the mesh's triangles cover.
    """

    position: sparse.csr_array
    """Matrix (G * G, V) that interpolates values of vertices at the texels, the pixels of the texture.

    Outside the chart, the values of the nearest triangle are extrapolated.
    """

    inside: NDArray[np.bool_]
    """(G, G): True for texels in the chart."""

    charts: NDArray[np.float64]
    """(T, 2, 2): for each triangle, the inverse of a matrix with two edges, in the texture, as columns."""


@dataclass(frozen=True, eq=False)
class _Contribution:
    """The colours that one photograph contributes to the texture, and the confidence in them."""

    confidence: Singles  # (G, G), 0 to 1
    color: Image  # (B, B, 3)
    color_grid: Singles  # (G, G, 3): the colour averaged over the grid's texels


def bake_texture(
    mesh: Mesh, views: Sequence[TextureView], size: int = 1024, skin: SkinPlaces | None = None
) -> Texture:
    """Bake the photographs into a texture (``size``, ``size``) for ``mesh``.

    A pixel of the texture takes its colour from a photograph if its point of the surface faces the camera and
    the mesh does not hide the point. If several photographs show a point, the most direct view has the
    highest weight. The light of later photographs is matched to the first one.

    Parts that no photograph shows are mirrored from the other half of the face. Their colour is
    shifted so that there is no seam (a membrane, as in Poisson image editing, DOI
    10.1145/882262.882269). Parts that are visible in neither half are filled smoothly by pull-push
    (DOI 10.1145/237170.237200).

    The texture is computed at the resolution of the photographs, and enlarged if ``size`` is larger.

    Objects in front of the mesh are treated as its surface, except where ``skin`` excludes them. So
    glasses are painted on the skin. If the head in the photograph is turned, the glasses may appear
    twice near the edge of the mirrored half.

    Parameters
    ----------
    mesh : Mesh
        Its texture layout must be symmetric: u and 1 - u are mirror images on the face.
    views : sequence of TextureView
        At least one.
    size : int
        The texture's side in pixels.
    skin : SkinPlaces, optional
        Places where colours unlike skin are rejected, such as those of hair. Rejected parts are
        filled in like parts that no photograph shows.

    Raises
    ------
    ValueError
        If there is no view, or an array is malformed or does not match the mesh.
    """
    if not views:
        raise ValueError("views must not be empty")
    for view in views:
        check_image(view.image)
        check_points(view.camera_points, 3, "camera_points")
        if view.camera_points.shape != mesh.vertices.shape:
            raise ValueError(f"camera_points must be {mesh.vertices.shape}, not {view.camera_points.shape}")
    if size < 1:
        raise ValueError(f"size must be positive, not {size}")

    layout = _layout(
        len(mesh.vertices), mesh.triangles.tobytes(), mesh.uv.tobytes(), mesh.uv_triangles.tobytes()
    )
    stretches = [_stretches(view.camera_points, mesh, layout) for view in views]
    usual = [float(np.median(stretch)) for stretch in stretches]
    baked_size = _baked_size(max(usual), size)
    contributions = [
        _contribution(mesh, layout, view, stretch, max(1.0, middle / baked_size), baked_size, skin)
        for view, stretch, middle in zip(views, stretches, usual, strict=True)
    ]
    color, color_grid, confidence = _blended(contributions)
    filled = _filled(color, color_grid, confidence)
    if baked_size != size:
        enlarged = cv2.resize(filled, (size, size), interpolation=cv2.INTER_CUBIC)
        filled = np.asarray(enlarged, np.uint8)
    return Texture(filled, mesh, confidence)


# Few layouts and sizes are in use at a time. An entry takes a few megabytes.
@lru_cache(maxsize=4)
def _layout(vertex_count: int, triangles: bytes, uv: bytes, uv_triangles: bytes) -> _Layout:
    """Return the data that depends only on the texture's layout. Arrays are bytes, to be cache keys."""
    corners = np.frombuffer(triangles, np.int32).reshape(-1, 3)
    places, uv_corners = _unpacked(uv, uv_triangles)
    texels = np.zeros((len(places), 3))
    texels[:, :2] = uv_to_pixels(places, _GRID, _GRID)
    index = rasterize(texels, uv_corners, _GRID, _GRID).triangle_index
    inside = index >= 0
    if not inside.any():
        raise ValueError("the mesh's texture layout covers nothing")
    # Each texel outside the chart uses the triangle of the nearest texel inside.
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(int(labels.max()) + 1, np.int64)
    nearest[np.asarray(labels)[inside]] = np.flatnonzero(inside)
    triangle = index.reshape(-1)[nearest[np.asarray(labels).reshape(-1)]]
    pixel = np.arange(_GRID * _GRID)
    corner = texels[uv_corners[triangle], :2]
    edges = corner[:, 1:] - corner[:, :1]
    area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
    offset = np.stack([pixel % _GRID, pixel // _GRID], axis=1) - corner[:, 0]
    one = (offset[:, 0] * edges[:, 1, 1] - offset[:, 1] * edges[:, 1, 0]) / area
    two = (offset[:, 1] * edges[:, 0, 0] - offset[:, 0] * edges[:, 0, 1]) / area
    weights = np.clip(np.stack([1.0 - one - two, one, two], axis=1), -2.0, 3.0)
    weights /= weights.sum(axis=1, keepdims=True)
    position = sparse.csr_array(
        (weights.reshape(-1).astype(np.float32), (np.repeat(pixel, 3), corners[triangle].reshape(-1))),
        shape=(_GRID * _GRID, vertex_count),
    )
    # Triangles without area in the chart cover no texels, so their stretch is set to 0.
    chart = places[uv_corners]
    chart_edges = np.stack([chart[:, 1] - chart[:, 0], chart[:, 2] - chart[:, 0]], axis=2)
    flat = np.abs(np.linalg.det(chart_edges)) < 1e-12
    chart_edges[flat] = np.eye(2)
    charts = np.linalg.inv(chart_edges)
    charts[flat] = 0.0
    return _Layout(position, inside, charts)


@lru_cache(maxsize=8)
def _inside(size: int, uv: bytes, uv_triangles: bytes) -> Mask:
    """Return a mask (``size``, ``size``): 1 for texture pixels with their centre in a triangle, else 0."""
    places, uv_corners = _unpacked(uv, uv_triangles)
    texels = np.zeros((len(places), 3))
    texels[:, :2] = uv_to_pixels(places, size, size)
    inside: Mask = (rasterize(texels, uv_corners, size, size).triangle_index >= 0).astype(np.float32)
    return inside


def _unpacked(uv: bytes, uv_triangles: bytes) -> tuple[Points2, Triangles]:
    return np.frombuffer(uv, np.float64).reshape(-1, 2), np.frombuffer(uv_triangles, np.int32).reshape(-1, 3)


def _stretches(camera_points: Points3, mesh: Mesh, layout: _Layout) -> NDArray[np.float64]:
    """Return the largest number of photograph pixels per unit of uv in any direction, by triangle (T,)."""
    # Explicit sums are several times as fast as products of many small matrices.
    x, y = (camera_points[:, axis][mesh.triangles.T] for axis in range(2))
    (along_u, along_v), (across_u, across_v) = layout.charts.transpose(1, 2, 0)
    a, b, c, d = (
        (places[1] - places[0]) * one + (places[2] - places[0]) * two
        for places in (x, y)
        for one, two in ((along_u, across_u), (along_v, across_v))
    )
    # The larger singular value of a 2 x 2 matrix.
    largest: NDArray[np.float64] = (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2
    return largest


def _baked_size(needed: float, size: int) -> int:
    """Return ``size``, or the smaller size that photographs with ``needed`` pixels per unit of uv justify."""
    return min(size, max(_GRID, 32 * round(needed / _ALIASING / 32)))


def _contribution(
    mesh: Mesh,
    layout: _Layout,
    view: TextureView,
    stretch: NDArray[np.float64],
    reach: float,
    size: int,
    skin: SkinPlaces | None,
) -> _Contribution:
    """Return what one photograph contributes to a texture of ``size`` x ``size``: colours and confidence.

    ``stretch`` (T,) are the pixels per unit of uv in each triangle, ``reach`` the pixels per texel.
    """
    points = view.camera_points
    # The camera looks along +z, so a normal towards the camera has z < 0. With y and z both flipped, the
    # axes have the handedness of model space, so the winding of the triangles still marks the outside.
    cosine = -vertex_normals(points, mesh.triangles)[:, 2]
    # Average over the triangles around a vertex, so that sharpness does not jump between triangles.
    corner = mesh.triangles.reshape(-1)
    count = np.maximum(np.bincount(corner, minlength=len(points)), 1)
    octaves = np.log2(np.maximum(stretch / (_ALIASING * size), 1.0))
    octave = np.bincount(corner, np.repeat(octaves, 3), len(points)) / count
    x, y, z, cosines, level = _on_grid(layout, points, cosine, octave)
    if skin is not None:
        reference, bare, nostrils = _skin_on_grid(layout, skin)
        cosines += np.float32(NOSTRILS_COSINE) * nostrils
    confidence = _confidence(layout.inside, points, (x, y, z), cosines, reach, view.image.shape[:2])
    position = _singles(cv2.merge([x, y]))
    color = _sample(view.image, points, position, _singles(np.where(confidence > 0, level, 0.0)), size)
    coarse = cv2.resize(color, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    if skin is not None:
        confidence = _singles(
            confidence * (1.0 - bare * _covered(coarse, _singles(confidence * (reference > 0.5))))
        )
    return _Contribution(confidence, color, coarse)


def _on_grid(layout: _Layout, *values: NDArray[np.float64]) -> Sequence[Singles]:
    """Return values of vertices, (V,) or (V, C), interpolated on the grid: (G, G) for each."""
    columns = np.column_stack(values).astype(np.float32)
    grid = _singles(layout.position @ columns).reshape(_GRID, _GRID, columns.shape[1])
    return [_singles(plane) for plane in cv2.split(grid)]


# Few heads have other places than the usual ones.
@lru_cache(maxsize=2)
def _skin_on_grid(layout: _Layout, skin: SkinPlaces) -> Sequence[Singles]:
    """Return the reference, the bare skin and the nostrils on the grid: (G, G) for each."""
    return _on_grid(layout, skin.reference, skin.bare, skin.nostrils)


def _covered(color: Singles, weight: Singles) -> Singles:
    """Return how much colours (G, G, 3) differ from skin: (G, G), 0 to 1.

    ``weight`` (G, G) is above 0.5 where the colours are certainly those of skin.
    """
    half = (_GRID // 2, _GRID // 2)
    sure = cv2.resize(weight, half, interpolation=cv2.INTER_AREA) > 0.5
    if not sure.any():
        return np.zeros_like(weight)
    # Compare octaves of brightness and of colour ratios, so that dark skin is treated like light skin.
    octaves = np.log2(cv2.resize(color, half, interpolation=cv2.INTER_AREA) + np.float32(8.0))
    red, green, blue = cv2.split(octaves)
    apart = np.zeros_like(green)
    for values, tolerance in zip((green, red - green, blue - green), _SKIN_OCTAVES, strict=True):
        away = (values - np.median(values[sure])) * np.float32(1.0 / tolerance)
        apart += away * away
    strange = _smoothstep(np.sqrt(apart), 1.0, 1.5)
    # Areas with the colour of skin that are not connected to the cheeks are hair, too.
    _, labels = cv2.connectedComponents((strange < 0.5).astype(np.uint8), connectivity=4)
    islands = ~np.isin(labels, np.unique(np.asarray(labels)[sure & (strange < 0.5)]))
    strange[islands] = 1.0
    # Strands of hair are thin and cast shadows, so exclude their surroundings, too.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    wider = cv2.GaussianBlur(cv2.dilate(strange, kernel), (0, 0), 0.8)
    return _singles(cv2.resize(wider, (_GRID, _GRID), interpolation=cv2.INTER_LINEAR))


def _sample(image: Image, points: Points3, position: Singles, level: Singles, size: int) -> Image:
    """Return the photograph's colours (``size``, ``size``, 3) at ``position`` (G, G, 2).

    Where the texture is coarser than the photograph, the photograph is reduced before sampling, by ``level``
    (G, G) in octaves (factors of 2). All positions that matter are near ``points``.
    """
    octaves = max(0, int(np.ceil(float(level.max()) - 0.25)))
    pyramid, position = _part(image, points, position, octaves)
    result = _remapped(pyramid, position, size)
    for octave in range(1, octaves + 1):
        pyramid = _halved(pyramid)
        position = (position + np.float32(0.5)) * np.float32(0.5) - np.float32(0.5)
        # Trilinear filtering: a texel between two levels mixes both.
        share = _resized(np.clip(level - np.float32(octave - 1), 0.0, 1.0).astype(np.float32), size)
        result = _mixed(_remapped(pyramid, position, size), result, share)
    return result


def _part(image: Image, points: Points3, position: Singles, octaves: int) -> tuple[Image, Singles]:
    """Return the part of a photograph around ``points``, and ``position`` (G, G, 2) in this part.

    Its sides can be halved ``octaves`` times without remainder if the photograph is large enough.
    """
    unit = 2**octaves
    # Each sample needs neighbours. Leave room for positions that are extrapolated a little.
    margin = 0.02 * float(np.ptp(points[:, :2], axis=0).max()) + 2.0 * unit
    low, high = points[:, :2].min(axis=0) - margin, points[:, :2].max(axis=0) + margin
    corner, end = [], []
    for axis, side in enumerate((image.shape[1], image.shape[0])):
        first = int(np.clip(low[axis], 0, side - 1)) // unit * unit
        stop = int(np.clip(high[axis], first + 1, side))
        whole = first + -(-(stop - first) // unit) * unit
        corner.append(first)
        end.append(whole if whole <= side else max(whole - unit, first + 1))
    part = image[corner[1] : end[1], corner[0] : end[0]]
    return part, position - np.array(corner, np.float32)


def _halved(image: Image) -> Image:
    """Return ``image`` reduced to half. An odd last row or column is left out."""
    rows, columns = max(1, image.shape[0] // 2), max(1, image.shape[1] // 2)
    even = image[: 2 * rows, : 2 * columns]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _remapped(image: Image, position: Singles, size: int) -> Image:
    """Return the colours (``size``, ``size``, 3) of ``image`` at ``position`` (G, G, 2)."""
    return cv2.remap(
        image, _resized(position, size), np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)


def _confidence(
    inside: NDArray[np.bool_],
    camera_points: Points3,
    position: tuple[Singles, Singles, Singles],
    cosine: Singles,
    reach: float,
    photo_shape: tuple[int, ...],
) -> Singles:
    """Return the confidence (G, G): high for parts of the surface that face the camera and are visible."""
    x, y, _ = position
    visible, from_outline = _unoccluded(camera_points, position, inside)
    extent = np.float32(max(np.ptp(camera_points[:, :2], axis=0).max(), 1e-6))
    extra_cosine = np.float32(0.35) * np.clip(1.0 - from_outline / (OUTLINE_FRACTION * extent), 0.0, 1.0)
    facing = _smoothstep(_singles(cosine - extra_cosine), GRAZING_COSINE, FACING_COSINE)
    # Soften inwards only, so that the confidence never exceeds the visibility.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    soft = cv2.GaussianBlur(cv2.erode(np.where(inside, visible, 1.0).astype(np.float32), kernel), (0, 0), 1.0)
    height, width = photo_shape
    to_border = np.minimum(
        np.minimum(x + 0.5, width - 0.5 - x),
        np.minimum(y + 0.5, height - 0.5 - y),
    )
    framed = _smoothstep(_singles(to_border), 0.0, 1.0)
    # A texel samples ``reach`` pixels around its centre, and the samples must not cross the outline.
    clear = _smoothstep(_singles(from_outline / np.float32(reach)), 1.5, 3.5)
    confidence = _singles(facing * soft * visible * framed * clear)
    confidence[~inside] = 0.0
    return confidence


def _unoccluded(
    camera_points: Points3, position: tuple[Singles, Singles, Singles], inside: NDArray[np.bool_]
) -> tuple[Singles, Singles]:
    """Return the visibility (G, G) of each texel's point on the mesh, and its distance (G, G) to the outline.

    The visibility is 0 if another part of the mesh is in front of the point, otherwise 1. The distance is in
    pixels of the photograph.
    """
    low, high = camera_points.min(axis=0), camera_points.max(axis=0)
    scale = (_DEPTH_STEPS - 1) / float(max(high[0] - low[0], high[1] - low[1], 1e-9))
    side = _DEPTH_STEPS + 4
    x, y, z = (
        (values - np.float32(least)) * np.float32(scale) for values, least in zip(position, low, strict=True)
    )
    x, y = x + np.float32(2.0), y + np.float32(2.0)
    # Fill the depth buffer from the texels. Several texels fall on each cell.
    column, row = (np.clip(np.rint(places), 0, side - 1).astype(np.int32) for places in (x, y))
    far = np.float32(1e6)
    depth = np.full(side * side, far, np.float32)
    np.minimum.at(depth, (row * side + column)[inside], z[inside])
    nearest = depth.reshape(side, side)
    square = np.ones((3, 3), np.uint8)
    # Fill single cells that no texel falls on.
    covered = cv2.morphologyEx((nearest < far).astype(np.uint8), cv2.MORPH_CLOSE, square)
    nearest = np.where((nearest == far) & (covered > 0), cv2.erode(nearest, square), nearest)
    # Compare with the farthest of the 3 x 3 neighbours, so that a slanted surface does not hide itself.
    farthest = _singles(cv2.dilate(nearest, square))
    before = _remap_grid(farthest, x, y, cv2.INTER_NEAREST)
    tolerance = np.float32(2.0)  # slightly more than 1 % of the face
    visible = _singles(z <= before + tolerance)
    distance = cv2.distanceTransform(covered.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # Subtract one cell, because the outermost cells extend beyond the outline.
    from_outline = (_remap_grid(_singles(distance), x, y, cv2.INTER_LINEAR) - 1.0) / np.float32(scale)
    return visible, _singles(from_outline)


def _remap_grid(values: Singles, x: Singles, y: Singles, interpolation: int) -> Singles:
    return _singles(cv2.remap(values, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE))


def _blended(contributions: Sequence[_Contribution]) -> tuple[Image, Singles, Singles]:
    """Blend all photographs: return colour (B, B, 3), colour on the grid (G, G, 3) and confidence (G, G)."""
    first = contributions[0]
    color, coarse, confidence = first.color, first.color_grid, first.confidence
    for view in contributions[1:]:
        # Measure the difference in light where both photographs show the face, and extend it smoothly.
        both = _cubed(confidence * view.confidence)
        difference = _smooth_fill(coarse - view.color_grid, both)
        matched = _shifted(view.color, difference)
        matched_grid = _singles(np.clip(view.color_grid + difference, 0.0, 255.0))
        # Prefer the better photograph strongly. A mean would blur, because they never align exactly.
        old, new = np.power(confidence, np.float32(6.0)), np.power(view.confidence, np.float32(6.0))
        total = old + new
        share = _singles(
            np.divide(
                old,
                total,
                out=np.where(confidence >= view.confidence, 1.0, 0.0).astype(np.float32),
                where=total > 1e-12,
            )
        )
        share = _singles(cv2.GaussianBlur(share, (0, 0), 2.0))
        # Where only one photograph shows the face, use only that one.
        share = _singles(np.where(view.confidence <= 0, 1.0, np.where(confidence <= 0, 0.0, share)))
        color = _mixed(color, matched, _resized(share, len(color)))
        coarse = _singles(coarse * share[..., None] + matched_grid * (1.0 - share[..., None]))
        confidence = _singles(np.maximum(confidence, view.confidence))
    return color, coarse, confidence


def _filled(color: Image, coarse: Singles, confidence: Singles) -> Image:
    """Fill parts of the texture (B, B, 3) that no photograph shows: from the other half, or else smoothly."""
    size = len(color)
    mirrored, mirrored_confidence = (_singles(cv2.flip(values, 1)) for values in (coarse, confidence))
    # Measure the difference in light between the halves where both are visible, and extend it smoothly.
    both = _cubed(confidence * mirrored_confidence)
    difference = _smooth_fill(_singles(coarse - mirrored), both)
    guess = _shifted(cv2.flip(color, 1).astype(np.uint8, copy=False), difference)
    guess_grid = _singles(np.clip(mirrored + difference, 0.0, 255.0))
    weight = _singles(confidence + (1.0 - confidence) * mirrored_confidence)
    share = _singles(np.divide(confidence, weight, out=np.zeros_like(weight), where=weight > 0))
    known = _mixed(color, guess, _resized(share, size))
    known_grid = _singles(cv2.blendLinear(coarse, guess_grid, share, np.float32(1.0) - share))
    # In the extrapolation, use the cube of the weights.
    rest = _smooth_fill(known_grid, _cubed(weight))
    # Whole numbers are resized faster. The values are smooth, so rounding them first makes no visible steps.
    rest_image = _resized(np.clip(np.rint(rest), 0, 255).astype(np.uint8), size)
    return _mixed(known, rest_image, _resized(weight, size))


def _smooth_fill(values: Singles, weight: Singles) -> Singles:
    """Return ``pull_push`` of a grid (G, G, C), computed on a coarser grid, because the result is smooth."""
    coarser = (_FILL_GRID, _FILL_GRID)
    weighted = cv2.merge([*(plane * weight for plane in cv2.split(values)), weight])
    # The grids are in the ratio 2 to 3, so linear interpolation uses every texel.
    gathered = _singles(cv2.resize(weighted, coarser, interpolation=cv2.INTER_LINEAR))
    filled = _pull_push(gathered)
    return _singles(cv2.resize(filled, (_GRID, _GRID), interpolation=cv2.INTER_LINEAR))


def _cubed(values: Singles) -> Singles:
    # Two products are twenty times as fast as `**`.
    return _singles(values * values * values)


def _shifted(image: Image, difference: Singles) -> Image:
    """Add ``difference`` (G, G, 3) to ``image`` (B, B, 3)."""
    steps = _resized(np.rint(difference).astype(np.int16), len(image))
    return cv2.add(image, steps, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def _mixed(one: Image, other: Image, share: Singles) -> Image:
    """Mix two images: ``share`` (B, B) is the weight of ``one``."""
    return cv2.blendLinear(one, other, share, np.float32(1.0) - share).astype(np.uint8, copy=False)


def _resized(values: NDArray[_Value], size: int) -> NDArray[_Value]:
    """Resize a grid to (``size``, ``size``)."""
    if len(values) == size:
        return values
    interpolation = cv2.INTER_LINEAR if size > len(values) else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, (size, size), interpolation=interpolation), values.dtype)


def _singles(values: object) -> Singles:
    """Convert to float32. Also hides the imprecise types of the libraries' stubs from the type checker."""
    single: Singles = np.asarray(values, np.float32)
    return single


def pull_push(values: Singles, weight: Mask) -> Singles:
    """Return ``values`` (H, W, C) where ``weight`` (H, W) is 1, and a smooth continuation where it is 0.

    The pull-push method averages down a pyramid until there is no gap, and interpolates back up
    (Gortler et al. 1996, DOI 10.1145/237170.237200). If all weights are 0, the result is 0.
    """
    kept = weight[..., np.newaxis]
    return _pull_push(_singles(np.concatenate([values * kept, kept], axis=2)))


def _pull_push(weighted: Singles) -> Singles:
    """Return what `pull_push` returns. ``weighted`` (H, W, C + 1) are the values times the weight, and it."""
    values, weight = weighted[..., :-1], weighted[..., -1:]
    height, width = weight.shape[:2]
    if max(height, width) == 1:
        return values.copy()
    half = ((width + 1) // 2, (height + 1) // 2)
    gathered = _singles(cv2.resize(weighted, half, interpolation=cv2.INTER_AREA))
    gathered = gathered.reshape(half[1], half[0], -1)
    # One texel of full weight in four gives the coarser texel full weight.
    gathered *= np.minimum(1.0 / np.maximum(gathered[..., -1:], np.float32(1e-30)), np.float32(4.0))
    coarse = _pull_push(gathered)
    spread = _singles(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    spread = spread.reshape(values.shape)
    spread *= np.float32(1.0) - weight
    spread += values
    return spread


def _smoothstep(values: Singles, low: float, high: float) -> Singles:
    """Return 0 up to ``low``, 1 from ``high`` on, and a smooth rise in between."""
    return smoothstep((values - np.float32(low)) / np.float32(high - low))
