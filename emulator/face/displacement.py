"""Smooth displacement fields that interpolate the displacements of control points.

A field interpolates the displacements of its control points with a kernel that is zero beyond a radius: the
product of Wendland's one-dimensional C2 function along x and along y. Reasons for this kernel:

- Moving least squares (Schaefer 2006, doi:10.1145/1141911.1141920) and thin-plate splines
  (Bookstein 1989) are global: a moved chin also shifts the far corners of the picture slightly. This
  field is exactly zero beyond the kernel's radius, so the picture is bit-identical there.
- A product of positive definite functions is positive definite. So one Cholesky solve interpolates
  any set of distinct control points.
- On a grid, the field is a product of two thin matrices, which is cheap for hundreds of control
  points.

Convention: pixels, x right, y down. A field is a *backward* map: the output at pixel p is the
input at p + displacement(p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array

from emulator.face.types import Points2, check_points

Grid: TypeAlias = NDArray[np.float64]
_Real = TypeVar("_Real", bound=np.floating[Any])

MINIMUM_JACOBIAN = 0.1
"""Lower limit of the Jacobian determinant in the fields that ``displacement_field`` returns by default. So
the fields never fold, and never enlarge an area by more than a factor of 10."""

# The determinant is checked only at the nodes and between them: halfway, and at quarters where the smallest
# one is close to the limit. The target is above the minimum to cover the other points. The aim of a round is
# higher, because the slope of the scaling factors also changes the determinant.
_JACOBIAN_TARGET, _JACOBIAN_AIM, _JACOBIAN_CLOSE = 0.15, 0.2, 0.35
_LIMITING_ROUNDS = 8

# The distance around a fold within which the field is scaled down, in kernel radii.
_LIMIT_REACH = 0.2

# Smaller displacements, in pixels, count as zero, because resampling has steps of 1/32 pixel.
INVISIBLE = 0.01

# From this stiffness on, rounding errors of float32 do not matter. It is a hundred times as fine as the step
# from 1 to the next float32.
_SINGLE_PRECISION_STIFFNESS = 1e-5

# Rows of the kernel matrix that are computed at a time.
_BLOCK = 96

# Nodes of the coarse grid per kernel radius: enough to approximate the kernel with an error of 2e-4.
_NODES_PER_RADIUS = 25

# A `LocalMotion` is unchanged where the distance to its outer limit is at least this share of the sum of the
# distances to its inner and its outer limit.
_FULL_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """The displacements that warp a picture: the output at pixel p is the input at p + displacement(p).

    The displacements are smooth, and zero outside a rectangle.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    origin : (float, float)
        x and y of the first node, in pixels. The grid may extend beyond the picture.
    pitch : float
        The distance between nodes, in pixels.
    nodes : (rows, columns, 2) float64
        Displacements (x, y) in pixels on a regular grid. Between the nodes, the field is the Catmull-Rom
        spline of the nodes. Outside the grid, the field is zero.
    """

    shape: tuple[int, int]
    origin: tuple[float, float]
    pitch: float
    nodes: Grid

    @property
    def is_zero(self) -> bool:
        """Whether no pixel moves."""
        return not self.nodes.any()

    @property
    def pixels(self) -> tuple[slice, slice]:
        """The rows and the columns of the picture that the grid covers."""
        covered = []
        for axis in (1, 0):
            first = self.origin[axis]
            last = first + (self.nodes.shape[1 - axis] - 1) * self.pitch
            start = max(int(np.ceil(first)), 0)
            covered.append(slice(start, max(min(int(np.floor(last)) + 1, self.shape[1 - axis]), start)))
        return covered[0], covered[1]

    def scaled(self, factor: float) -> DisplacementField:
        """Return this field with every displacement multiplied by ``factor``."""
        return DisplacementField(self.shape, self.origin, self.pitch, self.nodes * factor)

    def at(self, points: Points2) -> Points2:
        """Return the displacements (N, 2) at ``points`` (N, 2).

        Raises
        ------
        ValueError
            If ``points`` is not (N, 2) and finite.
        """
        check_points(points, 2)
        rows, columns = self.nodes.shape[:2]
        cells = (points - self.origin) / self.pitch
        inside = ((cells >= 0) & (cells <= (columns - 1, rows - 1))).all(axis=1)
        displacements = np.zeros((len(points), 2))
        if inside.any():
            across, by_column = _spline_taps(cells[inside, 0], columns)
            down, by_row = _spline_taps(cells[inside, 1], rows)
            around = self.nodes[down[:, :, None], across[:, None, :]]
            weights = by_row[:, :, None] * by_column[:, None, :]
            displacements[inside] = (around * weights[:, :, :, None]).sum(axis=(1, 2))
        return displacements

    def dense(self) -> NDArray[np.float32]:
        """Return the displacements (H, W, 2) of every pixel of the picture."""
        displacements = np.zeros((*self.shape, 2), dtype=np.float32)
        rows, columns = self.pixels
        x, y = (np.arange(part.start, part.stop, dtype=np.float64) for part in (columns, rows))
        displacements[rows, columns] = np.moveaxis(self.sampled(x, y), 0, -1)
        return displacements

    def sampled(self, x: Grid, y: Grid) -> NDArray[np.float32]:
        """Return the displacements at columns ``x`` and rows ``y``, in pixels.

        Returns
        -------
        (2, len(y), len(x)) float32
            Those along x, and those along y.
        """
        rows, columns = self.nodes.shape[:2]
        cells_x = np.clip((x - self.origin[0]) / self.pitch, 0, columns - 1)
        cells_y = np.clip((y - self.origin[1]) / self.pitch, 0, rows - 1)
        by_column, by_row = _spline_matrix(cells_x, columns), _spline_matrix(cells_y, rows)
        # Columns first, then rows, so that the rows of pixels are contiguous in memory.
        across = self.nodes.transpose(1, 0, 2).reshape(columns, -1).astype(np.float32)
        wide = (by_column @ across).reshape(len(x), rows, 2).transpose(1, 2, 0)
        dense: NDArray[np.float32] = by_row @ np.ascontiguousarray(wide).reshape(rows, -1)
        return dense.reshape(len(y), 2, len(x)).transpose(1, 0, 2)


@dataclass(frozen=True, eq=False)
class ProtectedArea:
    """An area that a field must not move: the convex hull of ``points`` (M, 2), in pixels.

    Outside the hull, the field rises from 0 to its full value within ``rise`` pixels.
    """

    points: Points2
    rise: float


@dataclass(frozen=True, eq=False)
class Window:
    """The area in which a field may be non-zero: in and around a convex hull, except in protected areas.

    Attributes
    ----------
    points : (N, 2) float64
        Pixels. The field is unchanged on their convex hull.
    begin, end : float
        Distances from the hull, in pixels. The field starts to fade at ``begin``, and is 0 from ``end`` on.
    protected : tuple of ProtectedArea
        Areas where the field is 0.
    """

    points: Points2
    begin: float
    end: float
    protected: tuple[ProtectedArea, ...] = ()

    def factors(self, origin: Points2, pitch: float, shape: tuple[int, ...]) -> Grid:
        """Return the factors, 0 to 1, by which the nodes of a field are multiplied.

        The nodes are a grid of ``shape`` with steps of ``pitch`` pixels. ``origin`` is the position of the
        first node.
        """

        def outside(points: Points2) -> Grid:
            return _distance_to_hull((points - origin) / pitch, shape) * pitch

        factors = smoothstep((self.end - outside(self.points)) / (self.end - self.begin))
        for area in self.protected:
            # Start two nodes further out, because the spline depends on nodes up to two cells away.
            factors *= smoothstep((outside(area.points) - 2.0 * pitch) / area.rise)
        return factors


@dataclass(frozen=True, eq=False)
class LocalMotion:
    """A motion that is added to a field, with the same control points, inside a limited area.

    Attributes
    ----------
    moved : (N, 2) float64
        The displacements at the control points of the field, as the field stores them: from the output back
        to the input.
    inner, outer : (M, 2) float64
        The motion is unchanged on the convex hull of ``inner``, and zero outside the convex hull of
        ``outer``. In between, it fades out.
    margin : float
        Distance in pixels inside the hull of ``outer`` at which the motion is zero already.
    still : ProtectedArea, optional
        An area that the motion must not change.
    stillness : float
        0 to 1: how much of the motion ``still`` removes.
    """

    moved: Points2
    inner: Points2
    outer: Points2
    margin: float
    still: ProtectedArea | None = None
    stillness: float = 1.0

    def extent(self, x: Grid, y: Grid) -> tuple[slice, slice]:
        """Return the part of a grid, with columns ``x`` and rows ``y``, that the motion reaches.

        It is one node wider on each side, because the distance to the outer limit needs nodes outside.
        """
        low, high = self.outer.min(axis=0), self.outer.max(axis=0)
        rows, columns = (
            slice(
                max(int(np.searchsorted(places, low[axis])) - 2, 0),
                min(int(np.searchsorted(places, high[axis])) + 2, len(places)),
            )
            for axis, places in ((1, y), (0, x))
        )
        return rows, columns

    def factors(self, x: Grid, y: Grid) -> Grid:
        """Return the factors (rows, columns), 0 to 1, by which the motion is multiplied."""
        origin, pitch, shape = np.array([x[0], y[0]]), x[1] - x[0], (len(y), len(x))
        inside = np.zeros(shape, np.uint8)
        corners = np.rint((self.outer - origin) / pitch * 16).astype(np.int32)
        cv2.fillConvexPoly(inside, cv2.convexHull(corners), (1,), cv2.LINE_8, 4)
        to_outer = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * pitch - self.margin
        to_inner = _distance_to_hull((self.inner - origin) / pitch, shape) * pitch
        share = to_outer / np.maximum(to_outer + to_inner, 1e-9)
        fade = smoothstep(np.where(to_outer > 0.0, share / _FULL_SHARE, 0.0))
        if self.still is not None:
            away = _distance_to_hull((self.still.points - origin) / pitch, shape) * pitch
            fade *= 1.0 - self.stillness * (1.0 - smoothstep(away / self.still.rise))
        return fade


def displacement_field(
    src: Points2,
    dst: Points2,
    shape: tuple[int, int],
    *,
    radius: float,
    stiffness: float | Grid = 0.0,
    limit: bool = True,
    window: Window | None = None,
    local: LocalMotion | None = None,
) -> DisplacementField:
    """Return a smooth field that moves the picture's content from ``src`` to ``dst``.

    Parameters
    ----------
    src, dst : (N, 2) float64
        The control points in the input and in the output. A point with equal ``src`` and ``dst``
        keeps its surroundings in place.
    shape : (int, int)
        Rows and columns of the picture.
    radius : float
        The distance in pixels, along x and along y, beyond which a control point has no influence.
    stiffness : float or (N,) float64
        The weight of smoothness against exactness: one value, or one for each control point. At 0,
        the field passes through the control points exactly, and they must be distinct. A higher
        value spreads motion to neighbours, and flattens sharp motions most.
    limit : bool
        If true, the field is scaled down in and around places where it folds, so that its Jacobian
        determinant is above `MINIMUM_JACOBIAN` everywhere.
    window : Window, optional
        The area in which the field may be non-zero. By default, the field is not restricted.
    local : LocalMotion, optional
        A motion to add, which is limited to its own area.

    Notes
    -----
    Where the field would need pixels from outside the picture, it fades towards the edge of the picture. So
    this edge stays in place.

    The kernel is Wendland's phi(1,1) (1995, doi:10.1007/BF02123482) along each axis.

    Raises
    ------
    ValueError
        If ``src`` and ``dst`` are not finite, (N, 2) and of equal shape, or the radius is not
        positive.
    """
    check_points(src, 2, "src")
    check_points(dst, 2, "dst")
    if src.shape != dst.shape:
        raise ValueError(f"src and dst must have the same shape, not {src.shape} and {dst.shape}")
    if not radius > 0:
        raise ValueError(f"radius must be positive, not {radius}")
    values = src - dst if local is None else np.concatenate([src - dst, local.moved], axis=1)
    if not values.any():
        return _zero_field(shape)

    pitch = max(1.0, radius / _NODES_PER_RADIUS)
    low = np.maximum(dst.min(axis=0) - radius, -pitch)
    high = np.minimum(dst.max(axis=0) + radius, (shape[1] - 1 + pitch, shape[0] - 1 + pitch))
    if window is not None:
        # Leave out nodes where the field is zero. The other nodes stay where they are without a window.
        outside = window.points.min(axis=0) - window.end - low
        low = low + pitch * np.maximum(np.floor(outside / pitch), 0.0)
        high = np.minimum(high, window.points.max(axis=0) + window.end + pitch)
    columns, rows = (np.ceil((high - low) / pitch).astype(int) + 1).tolist()
    if columns < 2 or rows < 2:
        return _zero_field(shape)
    x, y = low[0] + pitch * np.arange(columns), low[1] + pitch * np.arange(rows)
    weights = kernel_weights(dst, values, radius, stiffness)
    middle = dst.mean(axis=0)
    along_x, along_y = (
        _wendland(*(((at - middle[axis]) / radius).astype(weights.dtype) for at in (places, dst[:, axis])))
        for axis, places in enumerate((x, y))
    )
    nodes = _kernel_grid(along_x, along_y, weights[:, :2])
    if local is not None:
        part = local.extent(x, y)
        motion = _kernel_grid(along_x[part[1]], along_y[part[0]], weights[:, 2:])
        nodes[part] += motion * local.factors(x[part[1]], y[part[0]])[:, :, None]
    nodes[:, :, 0] *= _edge_fade(x, shape[1] - 1, nodes[:, :, 0])
    nodes[:, :, 1] *= _edge_fade(y, shape[0] - 1, nodes[:, :, 1].T)[:, None]

    if window is not None:
        nodes *= window.factors(low, pitch, nodes.shape[:2])[:, :, None]
    field = _trimmed(DisplacementField(shape, (float(low[0]), float(low[1])), pitch, nodes))
    return _unfolded(field) if limit else field


def _kernel_grid(along_x: NDArray[Any], along_y: NDArray[Any], weights: NDArray[Any]) -> Grid:
    """Return the sum (rows, columns, 2) of N weighted kernels on a grid.

    ``along_x`` (columns, N) and ``along_y`` (rows, N) are the factors of the kernels along each axis.
    """
    return np.stack(
        [(along_y * weights[:, axis]) @ along_x.T for axis in range(2)], axis=-1, dtype=np.float64
    )


def kernel_weights(
    points: Points2, values: Grid, radius: float, stiffness: float | Grid = 0.0
) -> NDArray[Any]:
    """Return the weights (N, C) with which the kernels at ``points`` (N, 2) add up to ``values`` (N, C).

    `kernel_sum` evaluates the sum. With a ``stiffness`` above 0, the sum is smoother and does not reach
    ``values`` exactly. ``stiffness`` is added to the diagonal of the system of equations.

    The weights are float32 if the stiffness is high enough, otherwise float64.

    Raises
    ------
    ValueError
        If two points coincide and ``stiffness`` is 0.
    """
    precision = np.float32 if np.min(stiffness) >= _SINGLE_PRECISION_STIFFNESS else np.float64
    # Small numbers have small rounding errors.
    placed = ((points - points.mean(axis=0)) / radius).astype(precision)
    # The system is symmetric, so compute one half of it, in blocks that fit in the processor's cache.
    system: NDArray[Any] = np.empty((len(points), len(points)), precision)
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, start + _BLOCK)
        system[rows, start:] = _kernel_matrix(placed[rows], placed[start:])
    # Adding 1e-10 has no visible effect, but keeps the system positive definite despite rounding.
    system[np.diag_indices_from(system)] += precision(stiffness) + precision(1e-10)
    try:
        # The transpose has the order of elements that LAPACK works on in place.
        factor = cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise ValueError("control points coincide: set stiffness above 0") from error
    weights: NDArray[Any] = cho_solve(factor, values.astype(precision), check_finite=False)
    return weights


def kernel_sum(points: Points2, weights: NDArray[Any], radius: float, query: Points2) -> NDArray[Any]:
    """Return the sum (M, C) of the weighted kernels at ``points``, evaluated at ``query`` (M, 2)."""
    placed = (((places - points.mean(axis=0)) / radius).astype(weights.dtype) for places in (query, points))
    field: NDArray[Any] = _kernel_matrix(*placed) @ weights
    return field


def minimum_jacobian(field: DisplacementField) -> float:
    """Return the smallest Jacobian determinant of the map p -> p + displacement(p).

    The determinant is evaluated at the grid's nodes and halfway between them, and if it is low anywhere, also
    at quarters. The result is at most 1, the determinant of an unchanged picture; 0 or less means a fold.
    """
    if field.is_zero:
        return 1.0
    lowest = 1.0
    for parts in (2, 4):
        trace, determinant = _gradient_invariants(field, parts)
        lowest = float(min(1.0, (1.0 + trace + determinant).min()))
        if lowest >= _JACOBIAN_CLOSE:
            break
    return lowest


def _wendland(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return the kernel (len(first), len(second)) for all pairs of positions along one axis, in radii.

    The kernel is (1 - r)^3 (3 r + 1) for distances r < 1, otherwise 0.
    """
    # Few operations in place, because these matrices are large. With s = 1 - r, the kernel is s^3 (4 - 3 s).
    room: NDArray[Any] = np.subtract.outer(first, second)
    np.abs(room, out=room)
    np.subtract(1.0, room, out=room)
    np.maximum(room, 0.0, out=room)
    kernel: NDArray[Any] = room * room
    kernel *= room
    room *= -3.0
    room += 4.0
    kernel *= room
    return kernel


def _kernel_matrix(query: NDArray[Any], points: NDArray[Any]) -> NDArray[Any]:
    """Return the kernel (Q, P) at ``query`` (Q, 2) around ``points`` (P, 2), all in radii."""
    matrix = _wendland(query[:, 0], points[:, 0])
    matrix *= _wendland(query[:, 1], points[:, 1])
    return matrix


def is_moving(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask (rows, columns): True where the displacement by ``x`` and ``y`` is visible."""
    return np.asarray(np.maximum(np.abs(x), np.abs(y)) > INVISIBLE)


def _zero_field(shape: tuple[int, int]) -> DisplacementField:
    return DisplacementField(shape, (0.0, 0.0), 1.0, np.zeros((2, 2, 2)))


def _trimmed(field: DisplacementField) -> DisplacementField:
    """Return the field with its grid cut to the area of visible displacements."""
    seen = is_moving(field.nodes[:, :, 0], field.nodes[:, :, 1])
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(rows) == 0:
        return _zero_field(field.shape)
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    kept = field.nodes[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2]
    origin = field.origin[0] + left * field.pitch, field.origin[1] + top * field.pitch
    return DisplacementField(field.shape, origin, field.pitch, np.ascontiguousarray(kept))


def _edge_fade(positions: Grid, last: int, displacement: Grid) -> Grid:
    """Return factors (P,) that fall to 0 at edges where the field would need pixels outside the picture.

    ``displacement`` (Q, P) is the field's component along ``positions`` (P,). The factors fall over a
    distance of four times the displacement at the edge. This reduces the Jacobian determinant by only about a
    third.
    """
    fade, pitch = np.ones(len(positions)), positions[1] - positions[0]
    for to_edge, outward in (
        (positions, -displacement.min(axis=0)),
        (last - positions, displacement.max(axis=0)),
    ):
        edge = int(np.argmin(np.abs(to_edge)))
        if abs(to_edge[edge]) > pitch or outward[edge] <= INVISIBLE:
            continue
        band = 4.0 * outward[edge]
        # The field may be larger inside the band than at the edge, so widen the band once.
        band = max(band, 4.0 * float(outward[to_edge <= band].max(initial=0.0)))
        fade *= smoothstep(to_edge / band)
    return fade


def smoothstep(t: NDArray[_Real]) -> NDArray[_Real]:
    """Return 0 up to 0, 1 from 1 on, and a smooth rise in between."""
    t = np.clip(t, 0.0, 1.0)
    step: NDArray[_Real] = t * t * (3.0 - 2.0 * t)
    return step


def _spline_taps(cells: Grid, nodes: int) -> tuple[NDArray[np.int32], Grid]:
    """Return the nodes (N, 4) of a Catmull-Rom spline, and their weights (N, 4), at N positions ``cells``.

    A position is 0 to ``nodes - 1``. The end nodes are repeated outwards.
    """
    first = np.clip(np.floor(cells).astype(np.int32), 0, nodes - 2)
    t = cells - first
    weights = np.stack([np.ones_like(t), t, t * t, t**3], axis=1) @ _SPLINE.T
    taps = np.clip(first[:, None] + np.arange(-1, 3, dtype=np.int32), 0, nodes - 1)
    return taps, weights


def _spline_matrix(cells: Grid, nodes: int) -> csr_array:
    """Return the weights (N, nodes) float32 of the nodes in a Catmull-Rom spline, at N positions."""
    taps, weights = _spline_taps(cells, nodes)
    # Products with a sparse matrix add up the weights of repeated end nodes.
    starts = np.arange(0, taps.size + 1, taps.shape[1], dtype=np.int32)
    return csr_array((weights.astype(np.float32).ravel(), taps.ravel(), starts), (len(cells), nodes))


def _gradient_invariants(
    field: DisplacementField, parts: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return trace and determinant (``parts`` ** 2, rows, columns) of the displacement's gradient.

    The entries of a node are at the node, and at the other points that divide the cell to its right and below
    into ``parts`` x ``parts``. For the field scaled by s, det(I + s G) = 1 + s trace(G) + s^2 det(G).
    """
    planes = [(field.nodes[:, :, axis] / field.pitch).astype(np.float32) for axis in range(2)]
    taps = [_value_and_slope(part / parts) for part in range(parts)]
    traces, determinants = [], []
    for value_below, slope_below in taps:
        for value_beside, slope_beside in taps:
            (xx, xy), (yx, yy) = (
                (_filtered(plane, slope_beside, value_below), _filtered(plane, value_beside, slope_below))
                for plane in planes
            )
            traces.append(xx + yy)
            determinants.append(xx * yy - xy * yx)
    return np.stack(traces), np.stack(determinants)


def _value_and_slope(t: float) -> tuple[Grid, Grid]:
    """Return the weights (4,) of the nodes around a cell for the spline and for its slope, at 0 <= t < 1."""
    powers = np.array([1.0, t, t * t, t**3])
    return _SPLINE @ powers, _SPLINE[:, 1:] @ (powers[:3] * (1.0, 2.0, 3.0))


# Catmull-Rom: for each node around a cell, the coefficients of its weight, a polynomial in the position.
_SPLINE = (
    np.array([[0.0, -1.0, 2.0, -1.0], [2.0, 0.0, -5.0, 3.0], [0.0, 1.0, 4.0, -3.0], [0.0, 0.0, -1.0, 1.0]])
    / 2
)


def _filtered(plane: NDArray[np.float32], along_x: Grid, along_y: Grid) -> NDArray[np.float32]:
    filtered = cv2.sepFilter2D(plane, -1, along_x, along_y, anchor=(1, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(filtered, np.float32)


def _unfolded(field: DisplacementField) -> DisplacementField:
    """Return the field, scaled down where it would fold, and with a smooth transition around these places."""
    for _ in range(_LIMITING_ROUNDS):
        if minimum_jacobian(field) >= _JACOBIAN_TARGET:
            return field
        factors = _unfolding_factors(field, _JACOBIAN_AIM)
        # Take the minimum over a disc, and then means over smaller boxes. The result is smooth, and never
        # above the factors.
        reach = max(1, round(_LIMIT_REACH * _NODES_PER_RADIUS / 2))
        least = cv2.erode(factors, disc(2 * reach), borderType=cv2.BORDER_REPLICATE)
        for _ in range(2):
            least = cv2.blur(least, (2 * reach + 1, 2 * reach + 1), borderType=cv2.BORDER_REPLICATE)
        nodes = field.nodes * np.asarray(least, np.float64)[:, :, None]
        field = DisplacementField(field.shape, field.origin, field.pitch, nodes)
    return field.scaled(float(_unfolding_factors(field, _JACOBIAN_TARGET).min()))


def _unfolding_factors(field: DisplacementField, target: float) -> Grid:
    """Return each node's largest factor, up to 1, that keeps nearby Jacobians at ``target`` or above."""
    trace, determinant = _gradient_invariants(field, 4)
    # The smallest positive s with 1 + s t + s^2 d = target. This form of the quadratic formula does not
    # divide by d, which may be 0.
    room = 1.0 - target
    discriminant = trace * trace - 4.0 * determinant * room
    denominator = -trace + np.sqrt(np.maximum(discriminant, 0.0))
    crosses = (discriminant >= 0) & (denominator > 2.0 * room)
    factors = np.where(crosses, 2.0 * room / np.where(crosses, denominator, 1.0), 1.0)
    # The points above and to the left are stored with the previous nodes.
    nearest = cv2.erode(np.ascontiguousarray(factors.min(axis=0)), np.ones((3, 3), np.uint8))
    return np.asarray(nearest, np.float64)


def disc(radius: int) -> NDArray[np.uint8]:
    """Return a disc of ones (2 * radius + 1, 2 * radius + 1), for morphological operations."""
    offsets = np.arange(-radius, radius + 1)
    return (np.hypot(offsets, offsets[:, None]) <= radius).astype(np.uint8)


def _distance_to_hull(points: Points2, shape: tuple[int, ...]) -> Grid:
    """Return the distance of each grid cell (rows, columns) to the convex hull of ``points``, in cells."""
    outside = np.ones(shape[:2], np.uint8)
    fraction_bits = 4
    corners = np.rint(points * 2**fraction_bits).astype(np.int32)
    cv2.fillConvexPoly(outside, cv2.convexHull(corners), (0,), cv2.LINE_8, fraction_bits)
    if outside.all():
        # The hull is outside the grid.
        return np.full(shape[:2], np.inf)
    return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float64)
