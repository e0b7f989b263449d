"""Hair as one closed surface around the strands of a style."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from emulator.face.complete_head import CompleteHead
from emulator.face.hair.cards import card_ribbons
from emulator.face.hair.scalp import Scalp
from emulator.face.hair.strands import HairStyle
from emulator.face.mesh import Mesh, vertex_normals
from emulator.face.types import Points3, Triangles

Floats = NDArray[np.float64]

# Initial widths of the grid's cells. They are adapted until the number of vertices is within the limits.
_CELL_CM: Final = {"short": 0.42, "long": 0.6, "ponytail": 0.42}
_FEWEST, _MOST, _WANTED = 11_000, 19_000, 15_000

# Standard deviation of the blur that turns strands into a solid body, and the threshold of the body.
_BLUR_CM = 0.42
_BODY = 0.35
# Samples of strands per square centimetre of a surface that count as a dense body.
_DENSE = 9.0

# Smallest absolute value of the field at the nodes, so that added nodes are clearly inside.
_LEAST = 1e-3

# Distance between the body and the skin.
_OFF_SKIN_CM = 0.12
_SMOOTHINGS = 6


def hair_volume(head: CompleteHead, style: HairStyle) -> tuple[Mesh, Points3]:
    """Return the closed surface of the hair of a head in model space, and its normals.

    It has 11,000 to 19,000 vertices. The texture coordinates are all 0.
    """
    scalp = Scalp(head)
    samples = _samples(scalp, style)
    cell = _CELL_CM[style.length]
    for _ in range(6):
        vertices, triangles = _surface(scalp, samples, cell)
        if _FEWEST <= len(vertices) <= _MOST:
            break
        cell *= (len(vertices) / _WANTED) ** 0.5
    vertices = scalp.in_model_space(vertices)
    uv = np.zeros((len(vertices), 2))
    return Mesh(vertices, triangles, uv, triangles), vertex_normals(vertices, triangles)


def _samples(scalp: Scalp, style: HairStyle) -> Points3:
    """Return points (N, 3) on the cards of a style."""
    found = []
    along = np.linspace(0.0, 1.0, 8, endpoint=False)[None, None, :, None, None]
    across = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    for ribbon, _ in card_ribbons(scalp, style):
        wide = np.einsum("ac,nkcx->nkax", across, ribbon)
        dense = (1.0 - along) * wide[:, :-1, None] + along * wide[:, 1:, None]
        found.append(dense.reshape(-1, 3))
    return np.concatenate(found)


def _surface(scalp: Scalp, samples: Points3, cell: float) -> tuple[Points3, Triangles]:
    """Return the vertices and the triangles of the surface, on a grid with cells of this width."""
    margin = 4 * _BLUR_CM
    origin = samples.min(axis=0) - margin
    shape = np.ceil((samples.max(axis=0) + margin - origin) / cell).astype(int) + 1
    index = np.rint((samples - origin) / cell).astype(int)
    counts = np.bincount(np.ravel_multi_index(tuple(index.T), tuple(shape)), minlength=int(shape.prod()))
    density = ndimage.gaussian_filter(counts.reshape(shape) / (_DENSE * cell**2), _BLUR_CM / cell)
    field = 1.0 - np.exp(-density) - _BODY
    near = field > -_BODY + 0.01
    nodes = np.argwhere(near) * cell + origin
    above, _ = scalp.distance(nodes)
    field[near] = np.minimum(field[near], above - _OFF_SKIN_CM)
    inside = _well_composed(field > 0.0)
    field = np.where(inside, np.maximum(field, _LEAST), np.minimum(field, -_LEAST))
    places, triangles = _surface_net(field)
    vertices = _smoothed(places * cell + origin, triangles)
    return scalp.push_out(vertices, np.full(len(vertices), _OFF_SKIN_CM)), triangles


def _well_composed(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return one solid body without cavities, with a surface that does not touch itself.

    Where two of its nodes only touch diagonally, nodes are added.
    """
    labels, _ = ndimage.label(inside)
    body: NDArray[np.bool_] = labels == np.bincount(labels[inside]).argmax()
    while True:
        body = ndimage.binary_fill_holes(body)
        before = int(body.sum())
        for first, second in ((0, 1), (0, 2), (1, 2)):
            _join_faces(np.moveaxis(body, (first, second), (0, 1)))
        _join_cubes(body)
        if int(body.sum()) == before:
            return body


def _join_faces(body: NDArray[np.bool_]) -> None:
    """Fill each square in the plane of the first two axes if only two opposite corners are in the body."""
    ends = slice(None, -1), slice(1, None)
    one, two, three, four = (body[ends[i], ends[j]].copy() for i, j in ((0, 0), (1, 1), (0, 1), (1, 0)))
    split = (one & two & ~three & ~four) | (~one & ~two & three & four)
    for i, j in np.ndindex(2, 2):
        body[ends[i], ends[j]] |= split


def _join_cubes(body: NDArray[np.bool_]) -> None:
    """Fill each cube if only two opposite corners of it are in the body, or only two are not in it."""
    ends = slice(None, -1), slice(1, None)
    corners = {(i, j, k): body[ends[i], ends[j], ends[k]].copy() for i, j, k in np.ndindex(2, 2, 2)}
    total = np.sum([corner.astype(np.int8) for corner in corners.values()], axis=0)
    for j, k in np.ndindex(2, 2):
        one, two = corners[0, j, k], corners[1, 1 - j, 1 - k]
        split = ((total == 2) & one & two) | ((total == 6) & ~one & ~two)
        for at, across, deep in np.ndindex(2, 2, 2):
            body[ends[at], ends[across], ends[deep]] |= split


def _surface_net(field: Floats) -> tuple[Points3, Triangles]:
    """Return the border between positive and negative nodes: vertices, in units of cells, and triangles.

    Each cell with both kinds has one vertex: the mean of the points on the cell's edges where the field is 0.
    """
    cells = np.array(field.shape) - 1
    total, crossings = np.zeros((*cells, 3)), np.zeros(cells)
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        low, high = _ends(field, axis)
        crossed = (low > 0.0) != (high > 0.0)
        where = np.divide(low, low - high, out=np.zeros_like(low), where=crossed)
        for one, two in np.ndindex(2, 2):
            part = [slice(None)] * 3
            part[others[0]] = slice(one, one + cells[others[0]])
            part[others[1]] = slice(two, two + cells[others[1]])
            hit = crossed[tuple(part)]
            crossings += hit
            total[..., axis] += where[tuple(part)]
            total[..., others[0]] += one * hit
            total[..., others[1]] += two * hit
    used = crossings > 0.0
    vertices = np.argwhere(used).astype(np.float64) + total[used] / crossings[used][:, None]
    return vertices, _net_triangles(field > 0.0, used, vertices)


def _net_triangles(inside: NDArray[np.bool_], used: NDArray[np.bool_], vertices: Points3) -> Triangles:
    """Return two triangles for each edge of the grid that crosses the surface."""
    number = np.cumsum(used.reshape(-1)).reshape(used.shape) - 1
    quads = []
    for axis in range(3):
        low, high = _ends(inside, axis)
        edges = np.argwhere(low != high)
        around = []
        for one, two in ((1, 1), (0, 1), (0, 0), (1, 0)):
            cell = edges.copy()
            cell[:, (axis + 1) % 3] -= one
            cell[:, (axis + 2) % 3] -= two
            around.append(number[tuple(cell.T)])
        quad = np.stack(around, axis=1)
        quads.append(np.where(inside[tuple(edges.T)][:, None], quad, quad[:, ::-1]))
    quad = np.concatenate(quads)
    corner = vertices[quad]
    # Divide each quadrilateral along its shorter diagonal.
    diagonals = np.linalg.norm(corner[:, :2] - corner[:, 2:], axis=2)
    turned = np.where((diagonals[:, 0] <= diagonals[:, 1])[:, None], quad, np.roll(quad, -1, axis=1))
    triangles: Triangles = turned[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
    return triangles


def _ends(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the values at the two ends of all edges of the grid along an axis."""
    return np.delete(values, -1, axis), np.delete(values, 0, axis)


def _smoothed(vertices: Points3, triangles: Triangles) -> Points3:
    """Return the vertices of a smoother surface of about the same volume."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    count = len(vertices)
    links = sparse.csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    degree = np.asarray(links.sum(axis=1)).reshape(-1, 1)
    moved = vertices
    for _ in range(_SMOOTHINGS):
        for share in (0.5, -0.52):
            moved = moved + share * (links @ moved / degree - moved)
    return moved
