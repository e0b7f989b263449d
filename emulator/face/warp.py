"""Dense displacement fields, and the one resampling that carries them out.

The field interpolates its control points with a compactly supported radial kernel: Wendland's
C2 function taken along x and along y and multiplied. Why this and not the usual two:

- moving least squares (Schaefer 2006, doi 10.1145/1141911.1141920) and thin-plate splines
  (Bookstein 1989) are global: a moved chin shifts the far corner of the picture a little, and
  "a little" has to be cut off by extra anchors. Here the field is exactly zero beyond the
  kernel's radius, so the picture there is untouched to the bit;
- a product of positive definite functions is positive definite, so any set of distinct control
  points can be interpolated, with one Cholesky solve;
- on a grid, the product makes the evaluation two thin matrices multiplied with one another,
  which costs next to nothing for hundreds of control points.

Convention: pixels, x right, y down. A field is a *backward* map: the output at pixel p is the
input at p + displacement(p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_array, csr_array

from emulator.face.types import Image, Points2, check_image, check_points

Grid: TypeAlias = NDArray[np.float64]

MINIMUM_JACOBIAN = 0.1
"""What the determinant stays above: an area never shrinks to less than a tenth, nor turns over."""

# The Jacobian is checked on a lattice. The reserve covers what happens between its points.
_JACOBIAN_TARGET = 0.15

# Nodes of the coarse grid per kernel radius. The kernel itself is then followed to 1e-4.
_NODES_PER_RADIUS = 30

# Pixels: less than this is nothing (the resampling itself knows steps of 1/32).
_INVISIBLE = 0.01

# Rows enlarged and resampled at once: bounds the memory at 4096 pixels.
_STRIP_ROWS = 512


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """A smooth backward map of a picture, zero outside a rectangle.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the picture.
    origin : (float, float)
        x and y of the first node, in pixels. The grid may reach beyond the picture.
    pitch : float
        Pixels from node to node.
    nodes : (rows, columns, 2) float64
        Displacements (x, y) in pixels on a regular grid. Between the nodes the field is their
        Catmull-Rom spline, beyond the grid it is zero.
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
            by_row = _spline_matrix(cells[inside, 1], rows)
            by_column = _spline_matrix(cells[inside, 0], columns).toarray()
            in_rows = (by_row @ self.nodes.reshape(rows, -1)).reshape(-1, columns, 2)
            displacements[inside] = (in_rows * by_column[:, :, None]).sum(axis=1)
        return displacements

    def dense(self) -> NDArray[np.float32]:
        """Return the displacements (H, W, 2) of every pixel of the picture."""
        displacements = np.zeros((*self.shape, 2), dtype=np.float32)
        rows, columns = self.pixels
        displacements[rows, columns] = self.rendered(rows, columns)
        return displacements

    def rendered(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the displacements (h, w, 2) of some of the picture's pixels that the grid covers."""
        count = self.nodes.shape
        x = (np.arange(columns.start, columns.stop) - self.origin[0]) / self.pitch
        y = (np.arange(rows.start, rows.stop) - self.origin[1]) / self.pitch
        by_column = _spline_matrix(x, count[1]).astype(np.float32)
        by_row = _spline_matrix(y, count[0]).astype(np.float32)
        # Columns first, then rows: the rows of pixels come out in one piece.
        across = self.nodes.transpose(1, 0, 2).reshape(count[1], -1).astype(np.float32)
        wide = (by_column @ across).reshape(len(x), count[0], 2).transpose(1, 0, 2)
        dense: NDArray[np.float32] = by_row @ np.ascontiguousarray(wide).reshape(count[0], -1)
        return dense.reshape(len(y), len(x), 2)


def displacement_field(
    src: Points2,
    dst: Points2,
    shape: tuple[int, int],
    *,
    radius: float,
    stiffness: float = 0.0,
    limit: bool = True,
) -> DisplacementField:
    """Return the smooth field under which the picture's content at ``src`` appears at ``dst``.

    Parameters
    ----------
    src, dst : (N, 2) float64
        Where the control points are in the input and where in the output. A point that stays
        (``src`` equal to ``dst``) holds its surroundings.
    shape : (int, int)
        Rows and columns of the picture.
    radius : float
        Pixels, along x and along y, beyond which a control point has no influence.
    stiffness : float
        How much smoothness counts against exactness; 0 goes through the control points exactly
        (they must be distinct then); more lets neighbours share, sharp motions most.
    limit : bool
        Scale the field down if it would fold, until its Jacobian determinant is above
        `MINIMUM_JACOBIAN` everywhere.

    Notes
    -----
    Where a displacement would fetch pixels from outside the picture, it fades towards that side,
    so that the picture's edge stays where it is and nothing has to be invented.

    The kernel is Wendland's phi(3,1) (doi 10.1007/BF02123482) along each axis.

    Raises
    ------
    ValueError
        If the points are not (N, 2), finite and equally many, or the radius is not positive.
    """
    check_points(src, 2, "src")
    check_points(dst, 2, "dst")
    if src.shape != dst.shape:
        raise ValueError(f"src and dst must have one shape, not {src.shape} and {dst.shape}")
    if not radius > 0:
        raise ValueError(f"radius must be positive, not {radius}")
    moved = src - dst
    if not moved.any():
        return _zero_field(shape)

    weights = kernel_weights(dst, moved, radius, stiffness)
    pitch = max(1.0, radius / _NODES_PER_RADIUS)
    low = np.maximum(dst.min(axis=0) - radius, -pitch)
    high = np.minimum(dst.max(axis=0) + radius, (shape[1] - 1 + pitch, shape[0] - 1 + pitch))
    columns, rows = (np.ceil((high - low) / pitch).astype(int) + 1).tolist()
    if columns < 2 or rows < 2:
        return _zero_field(shape)
    x, y = low[0] + pitch * np.arange(columns), low[1] + pitch * np.arange(rows)
    along_x = _wendland(np.abs(x[:, None] - dst[None, :, 0]) / radius)
    along_y = _wendland(np.abs(y[:, None] - dst[None, :, 1]) / radius)
    nodes = np.stack([(along_y * weights[:, axis]) @ along_x.T for axis in range(2)], axis=-1)
    nodes[:, :, 0] *= _edge_fade(x, shape[1] - 1, nodes[:, :, 0])
    nodes[:, :, 1] *= _edge_fade(y, shape[0] - 1, nodes[:, :, 1].T)[:, None]

    field = _trimmed(DisplacementField(shape, (float(low[0]), float(low[1])), pitch, nodes))
    return field.scaled(_unfolding_factor(field)) if limit else field


def kernel_weights(points: Points2, values: Points2, radius: float, stiffness: float = 0.0) -> Points2:
    """Return the weights (N, 2) of the kernels at ``points`` whose sum takes ``values`` there.

    `kernel_sum` evaluates that sum. ``stiffness`` is added to the system's diagonal.

    Raises
    ------
    ValueError
        If two points coincide and ``stiffness`` is 0.
    """
    system = _kernel_matrix(points, points, radius)
    # Enough against rounding, too little to be seen: 1e-10 of a displacement.
    system[np.diag_indices_from(system)] += stiffness + 1e-10
    try:
        weights: Points2 = cho_solve(cho_factor(system), values)
    except np.linalg.LinAlgError as error:
        raise ValueError("control points coincide: give some stiffness") from error
    return weights


def kernel_sum(points: Points2, weights: Points2, radius: float, query: Points2) -> Points2:
    """Return the field (M, 2) at ``query`` (M, 2) that the weighted kernels at ``points`` add up to."""
    field: Points2 = _kernel_matrix(query, points, radius) @ weights
    return field


def minimum_jacobian(field: DisplacementField) -> float:
    """Return the smallest Jacobian determinant of the map p -> p + displacement(p).

    1 is an untouched picture; 0 or less, a fold. Taken at the grid's nodes and halfway between.
    """
    if field.is_zero:
        return 1.0
    trace, determinant = _gradient_invariants(field)
    return float(min(1.0, (1.0 + trace + determinant).min()))


def warp_image(image: Image, field: DisplacementField) -> Image:
    """Return ``image`` (H, W, 3) resampled once under ``field``.

    Pixels that the field does not move are the input's to the bit; a zero field returns an equal
    copy. The kernel is bicubic.

    Raises
    ------
    ValueError
        If ``image`` is no Image, or the field is for a picture of another size.
    """
    check_image(image)
    if image.shape[:2] != field.shape:
        raise ValueError(f"the field is for {field.shape}, the image is {image.shape[:2]}")
    warped = image.copy()
    if field.is_zero:
        return warped
    source = np.ascontiguousarray(image)
    rows, columns = field.pixels
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    for start in range(rows.start, rows.stop, _STRIP_ROWS):
        strip = slice(start, min(start + _STRIP_ROWS, rows.stop))
        displacement = field.rendered(strip, columns)
        still = (displacement[:, :, 0] == 0) & (displacement[:, :, 1] == 0)
        displacement[:, :, 0] += x
        displacement[:, :, 1] += np.arange(strip.start, strip.stop, dtype=np.float32)[:, None]
        resampled = cv2.remap(
            source,
            displacement,
            np.empty(0, dtype=np.float32),
            interpolation=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        target = warped[strip, columns]
        resampled[still] = target[still]
        target[:] = resampled
    return warped


def _wendland(distance: Grid) -> Grid:
    """Return (1 - r)^3 (3 r + 1), zero from r = 1 on."""
    inner = np.maximum(1.0 - distance, 0.0)
    values: Grid = inner * inner * inner * (3.0 * distance + 1.0)
    return values


def _kernel_matrix(query: Points2, points: Points2, radius: float) -> Grid:
    along_x = _wendland(np.abs(query[:, None, 0] - points[None, :, 0]) / radius)
    along_y = _wendland(np.abs(query[:, None, 1] - points[None, :, 1]) / radius)
    return along_x * along_y


def _zero_field(shape: tuple[int, int]) -> DisplacementField:
    return DisplacementField(shape, (0.0, 0.0), 1.0, np.zeros((2, 2, 2)))


def _trimmed(field: DisplacementField) -> DisplacementField:
    """Return the field with a grid no larger than where it can be seen."""
    seen = np.abs(field.nodes).max(axis=2) > _INVISIBLE
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(rows) == 0:
        return _zero_field(field.shape)
    top, left = max(int(rows[0]) - 1, 0), max(int(columns[0]) - 1, 0)
    kept = field.nodes[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2]
    origin = field.origin[0] + left * field.pitch, field.origin[1] + top * field.pitch
    return DisplacementField(field.shape, origin, field.pitch, np.ascontiguousarray(kept))


def _edge_fade(positions: Grid, last: int, displacement: Grid) -> Grid:
    """Return factors (P,) that fall to 0 at the picture's edges where the field leaves the picture.

    ``displacement`` (Q, P) is the field's component along ``positions``. The band is four times as
    broad as the field reaches out, so that the fading alone takes about a third of the Jacobian.
    """
    fade, pitch = np.ones(len(positions)), positions[1] - positions[0]
    for to_edge, outward in (
        (positions, -displacement.min(axis=0)),
        (last - positions, displacement.max(axis=0)),
    ):
        edge = int(np.argmin(np.abs(to_edge)))
        if abs(to_edge[edge]) > pitch or outward[edge] <= _INVISIBLE:
            continue
        band = 4.0 * outward[edge]
        # The field may grow inwards: once more with the most that it has within the band.
        band = 4.0 * float(outward[to_edge <= band].max())
        fade *= _smoothstep(to_edge / band)
    return fade


def _smoothstep(t: Grid) -> Grid:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _spline_matrix(cells: Grid, nodes: int, *, derivative: bool = False) -> csr_array:
    """Return (N, nodes): Catmull-Rom weights of the nodes at positions ``cells`` (0 to nodes - 1).

    With ``derivative``, the weights of the slope per cell. The end nodes repeat outwards.
    """
    first = np.clip(np.floor(cells).astype(int), 0, nodes - 2)
    t = cells - first
    if derivative:
        taps = (
            (-1 + 4 * t - 3 * t * t) / 2,
            (-10 * t + 9 * t * t) / 2,
            (1 + 8 * t - 9 * t * t) / 2,
            (-2 * t + 3 * t * t) / 2,
        )
    else:
        taps = (
            t * (-1 + t * (2 - t)) / 2,
            (2 + t * t * (-5 + 3 * t)) / 2,
            t * (1 + t * (4 - 3 * t)) / 2,
            t * t * (-1 + t) / 2,
        )
    columns = np.clip(first + np.arange(-1, 3)[:, None], 0, nodes - 1)
    rows = np.broadcast_to(np.arange(len(cells)), columns.shape)
    # Weights of one node, where the end nodes repeat, are summed.
    return coo_array((np.stack(taps).ravel(), (rows.ravel(), columns.ravel())), (len(cells), nodes)).tocsr()


def _gradient_invariants(field: DisplacementField) -> tuple[Grid, Grid]:
    """Return trace and determinant of the displacement's gradient at the nodes and halfway between.

    det(I + s G) = 1 + s trace(G) + s^2 det(G) for the field scaled by s.
    """
    rows, columns = field.nodes.shape[:2]
    y, x = np.arange(2 * rows - 1) / 2, np.arange(2 * columns - 1) / 2
    value_y, slope_y = (_spline_matrix(y, rows, derivative=d) for d in (False, True))
    value_x, slope_x = (_spline_matrix(x, columns, derivative=d) for d in (False, True))
    flat = field.nodes.reshape(rows, -1) / field.pitch
    values = (value_y @ flat).reshape(len(y), columns, 2).transpose(1, 2, 0).reshape(columns, -1)
    slopes = (slope_y @ flat).reshape(len(y), columns, 2).transpose(1, 2, 0).reshape(columns, -1)
    by_x = (slope_x @ values).reshape(len(x), 2, len(y))
    by_y = (value_x @ slopes).reshape(len(x), 2, len(y))
    return by_x[:, 0] + by_y[:, 1], by_x[:, 0] * by_y[:, 1] - by_y[:, 0] * by_x[:, 1]


def _unfolding_factor(field: DisplacementField) -> float:
    """Return the largest factor up to 1 under which the field keeps its Jacobian above the target."""
    trace, determinant = _gradient_invariants(field)
    if (1.0 + trace + determinant).min() >= _JACOBIAN_TARGET:
        return 1.0
    # The first crossing of 1 + s t + s^2 d = target, place by place, in the form of the quadratic
    # formula that divides by no vanishing d.
    room = 1.0 - _JACOBIAN_TARGET
    discriminant = trace * trace - 4.0 * determinant * room
    denominator = -trace + np.sqrt(np.maximum(discriminant, 0.0))
    crosses = (discriminant >= 0) & (denominator > 0)
    factors = 2.0 * room / np.where(crosses, denominator, 1.0)
    return float(min(1.0, factors[crosses].min()))
