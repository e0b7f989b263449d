"""Derives the canonical mesh from photographs: ``python -m laboratory.derive PHOTO...``.

Writes ``emulator/face/data/canonical_mesh.npz``.

The steps, each a function here:

1. the triangulation: the triangles among MediaPipe's mesh edges, made mirror-symmetric, the
   holes at eyes and mouth closed;
2. the mirror image of each landmark: the triangulation's own reflection;
3. the neutral head: what the mesh model sees in the photographs and their mirror images, brought
   to one pose, and carried to a closed mouth by linear regression on how far mouths are open;
4. the extension: rings of vertices that carry the face on to the hairline, the ears and below the jaw;
5. the texture layout: a flattening of the extended mesh of least symmetric Dirichlet energy;
6. the harmonics: eigenvectors of the mesh's graph Laplacian, and how much faces vary along them.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from emulator.face.canonical import Region
from emulator.face.detection import FaceDetector, MediaPipeDetector, face_mesh_edges
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_IRIS,
    LEFT_JAW,
    LIPS_OUTER,
    LOWER_LIP_INNER,
    MIRROR,
    NOSE,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_JAW,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID,
    SURFACE_COUNT,
    UPPER_LIP_INNER,
)
from emulator.face.mesh import boundary_edges
from emulator.face.pose import similarity_transform
from emulator.face.types import Image, Matrix, Points2, Points3, Triangles
from laboratory import DATA

Corners = tuple[int, int, int]

INTERPUPILLARY_CM = 6.3
"""Between the pupils of the canonical head: the mean of adults, which gives the mesh its scale."""

HARMONIC_COUNT = 60

EXTENSION_RINGS = 3

# How wide the extension is, in centimetres: over the forehead, beside the ears, below the jaw.
_FOREHEAD_WIDTH_CM, _EAR_WIDTH_CM, _JAW_WIDTH_CM = 2.9, 2.0, 1.3

# The layout is made for a mouth that is as open as smiles open it: it needs room inside the mouth.
_LAYOUT_OPENING_CM = 0.8

# Positions and texture coordinates are rounded to these, so that a mirror image is exact in
# binary and the file small.
_POSITION_STEP_CM = 2.0**-14
_UV_STEP = 2.0**-18

_UV_MARGIN = 0.02

_UPPER_LIP_MIDDLE = UPPER_LIP_INNER[len(UPPER_LIP_INNER) // 2]
_LOWER_LIP_MIDDLE = LOWER_LIP_INNER[len(LOWER_LIP_INNER) // 2]


# --- 1. The triangulation ---------------------------------------------------------------------


def surface_triangles(edges: NDArray[np.int32]) -> list[Corners]:
    """Return the triangles of the surface that ``edges`` (E, 2) draw, consistently wound.

    Every cycle of three edges is a triangle of the surface, except where one bounds a few others:
    then each of its edges lies in three cycles, and a surface has two at most.
    """
    neighbours: dict[int, set[int]] = {}
    for first, second in edges.tolist():
        neighbours.setdefault(first, set()).add(second)
        neighbours.setdefault(second, set()).add(first)
    cycles = sorted(
        {
            (first, second, third)
            for first, second in edges.tolist()
            for third in neighbours[first] & neighbours[second]
            if first < second < third
        }
    )
    uses: dict[tuple[int, int], int] = {}
    for cycle in cycles:
        for edge in combinations(cycle, 2):
            uses[edge] = uses.get(edge, 0) + 1
    real = [cycle for cycle in cycles if any(uses[edge] <= 2 for edge in combinations(cycle, 2))]
    return _wound(real)


def _wound(triangles: Sequence[Corners]) -> list[Corners]:
    """Return ``triangles`` wound alike, the forehead's first one counter-clockwise."""
    around: dict[frozenset[int], list[Corners]] = {}
    for triangle in triangles:
        for edge in combinations(triangle, 2):
            around.setdefault(frozenset(edge), []).append(triangle)
    # Seen from outside, the middle of the forehead's border (10), its neighbour to the picture's
    # left (109) and the point below (151) go counter-clockwise.
    seed: Corners = (FACE_OVAL[0], FACE_OVAL[-1], 151)
    wound = {frozenset(seed): seed}
    queue = deque([seed])
    while queue:
        triangle = queue.popleft()
        for corner in range(3):
            first, second = triangle[corner], triangle[(corner + 1) % 3]
            for other in around[frozenset((first, second))]:
                if frozenset(other) not in wound:
                    (third,) = set(other) - {first, second}
                    wound[frozenset(other)] = (second, first, third)
                    queue.append((second, first, third))
    return list(wound.values())


def reflection(triangles: Sequence[Corners]) -> dict[int, int]:
    """Return the mirror image of each vertex: the reflection that keeps landmark 10 in place.

    It walks over the surface from the forehead's border to both sides at once, over every edge.

    Raises
    ------
    ValueError
        If the triangles are not mirror-symmetric.
    """
    opposite = {
        (triangle[corner], triangle[(corner + 1) % 3]): triangle[(corner + 2) % 3]
        for triangle in triangles
        for corner in range(3)
    }
    top, left, right = FACE_OVAL[0], FACE_OVAL[1], FACE_OVAL[-1]
    images = {top: top, left: right, right: left}
    # The edge from 10 to 109 has the surface on its left, the edge from 10 to 338 on its right.
    start = (top, right)
    queue = deque([start])
    seen = {start}
    while queue:
        first, second = queue.popleft()
        if (first, second) not in opposite:
            continue
        third, image = opposite[first, second], opposite.get((images[second], images[first]))
        if image is None or images.setdefault(third, image) != image:
            raise ValueError(f"the triangles are not symmetric at {first}, {second}, {third}")
        for edge in ((third, second), (first, third)):
            if edge not in seen:
                seen.add(edge)
                queue.append(edge)
    return images


def symmetric_triangles(triangles: Sequence[Corners]) -> list[Corners]:
    """Return ``triangles`` with the diagonals of a few quadrilaterals flipped to mirror the others.

    MediaPipe's mesh cuts three quadrilaterals (at the eye and the nostril) differently on the two
    sides. The person's right side is taken for both.
    """
    present = {frozenset(triangle) for triangle in triangles}
    kept, added = [], []
    for triangle in triangles:
        image = frozenset(MIRROR[corner] for corner in triangle)
        if image in present:
            kept.append(triangle)
        elif _is_right(triangle):
            kept.append(triangle)
            added.append((MIRROR[triangle[0]], MIRROR[triangle[2]], MIRROR[triangle[1]]))
    return kept + added


def _is_right(triangle: Corners) -> bool:
    """Return whether a triangle lies on the person's right side: the lower landmark numbers."""
    return sum(triangle) < sum(MIRROR[corner] for corner in triangle)


def filling_triangles() -> tuple[list[Corners], list[Region]]:
    """Return triangles that close the eyes and the mouth, each spanning both lids or lips."""
    right = _strip(RIGHT_UPPER_LID, RIGHT_LOWER_LID)
    left = [(MIRROR[a], MIRROR[c], MIRROR[b]) for a, b, c in right]
    # The mouth's right half and its mirror image, so that the diagonals are symmetric too.
    middle = len(UPPER_LIP_INNER) // 2 + 1
    half = _strip(UPPER_LIP_INNER[:middle], LOWER_LIP_INNER[:middle])
    mouth = half + [(MIRROR[a], MIRROR[c], MIRROR[b]) for a, b, c in half]
    regions = [Region.RIGHT_EYE] * len(right) + [Region.LEFT_EYE] * len(left) + [Region.MOUTH] * len(mouth)
    return right + left + mouth, regions


def _strip(upper: Sequence[int], lower: Sequence[int]) -> list[Corners]:
    """Return counter-clockwise triangles between two lines that run to the viewer's right.

    Points that both lines share need no triangle of their own.
    """
    strip: list[Corners] = []
    for index in range(len(upper) - 1):
        strip.append((upper[index], lower[index], lower[index + 1]))
        strip.append((upper[index], lower[index + 1], upper[index + 1]))
    return [triangle for triangle in strip if len(set(triangle)) == len(triangle)]


# --- 3. The neutral head ----------------------------------------------------------------------


def observed_heads(photos: Sequence[Image], detector: FaceDetector) -> NDArray[np.float64]:
    """Return the faces in ``photos`` and in their mirror images, (N, 478, 3): x right, y up, z near."""
    heads = [
        face.landmarks * (1.0, -1.0, -1.0)
        for photo in photos
        for view in (photo, photo[:, ::-1])
        for face in detector.detect(view)
    ]
    if not heads:
        raise ValueError("no face was found in the photos")
    return np.array(heads)


def aligned_heads(heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``heads`` (N, 478, 3) brought to one pose and scale, in model space.

    Generalised Procrustes analysis (J. C. Gower 1975, doi:10.1007/BF02291478) by the points that
    expressions move little; then the mean's plane of symmetry becomes x = 0.
    """
    weights = np.full(heads.shape[1], 0.1)
    weights[list(RIGID)] = 1.0
    mean = heads[0]
    for _ in range(12):
        aligned = np.array([_carried(head, mean, weights) for head in heads])
        mean = aligned.mean(axis=0)
        reflected = mean[list(MIRROR)] * (-1.0, 1.0, 1.0)
        mean = (mean + _carried(reflected, mean, weights)) / 2
    return np.array([in_model_space(head, mean) for head in aligned])


def in_model_space(head: Points3, mean: Points3) -> Points3:
    """Return ``head`` (478, 3) carried as ``mean`` must be to stand in model space.

    ``mean`` becomes upright and symmetric about x = 0, with the origin between the ears and the
    pupils as far apart as they shall be.
    """
    # All differences between mirror images point across the plane of symmetry.
    across = np.linalg.svd(mean[list(MIRROR)] - mean)[2][0]
    ear_right, ear_left = mean[RIGHT_JAW[0]], mean[LEFT_JAW[0]]
    across = across * np.sign(across @ (ear_left - ear_right))
    up = mean[FACE_OVAL[0]] - mean[CHIN_TIP]
    up = up - (up @ across) * across
    up /= np.linalg.norm(up)
    axes = np.stack([across, up, np.cross(across, up)])
    pupils = np.linalg.norm(mean[LEFT_IRIS[0]] - mean[RIGHT_IRIS[0]])
    placed: Points3 = (head - (ear_right + ear_left) / 2) @ axes.T
    return placed * (INTERPUPILLARY_CM / pupils)


def _carried(src: Points3, dst: Points3, weights: NDArray[np.float64]) -> Points3:
    """Return ``src`` moved, turned and scaled onto ``dst``."""
    scale, rotation, translation = similarity_transform(src, dst, weights)
    carried: Points3 = scale * src @ rotation.T + translation
    return carried


def mouth_opening(heads: NDArray[np.float64]) -> tuple[NDArray[np.float64], Points3]:
    """Return how far mouths are open (N,), and what that does to a face (V, 3), per centimetre.

    The field is the slope of each coordinate of ``heads`` (N, V, 3) on the gap between the lips,
    by linear regression. Mouths open in smiles, so this is a smile's effect on the whole face.
    """
    gap = heads[:, _UPPER_LIP_MIDDLE, 1] - heads[:, _LOWER_LIP_MIDDLE, 1]
    centred = gap - gap.mean()
    spread = float(centred @ centred)
    if spread < 1e-6:
        raise ValueError("the photos must show mouths that are open and mouths that are closed")
    field: Points3 = np.tensordot(centred, heads - heads.mean(axis=0), axes=1) / spread
    return gap, field


def symmetrised(vertices: Points3) -> Points3:
    """Return ``vertices`` (V, 3) averaged with their mirror image, symmetric to the bit."""
    rounded = np.round(vertices / _POSITION_STEP_CM) * _POSITION_STEP_CM
    image = rounded[list(MIRROR[: len(vertices)])] * (-1.0, 1.0, 1.0)
    # Adding 0.0 turns -0.0 into 0.0.
    result: Points3 = (rounded + image) / 2 + 0.0
    return result


def with_lips_touching(vertices: Points3, gap_cm: float = 0.03) -> Points3:
    """Return ``vertices`` with the inner edges of the lips ``gap_cm`` apart, that they never cross."""
    result = vertices.copy()
    for upper, lower in zip(UPPER_LIP_INNER[1:-1], LOWER_LIP_INNER[1:-1], strict=True):
        result[[upper, lower]] = (vertices[upper] + vertices[lower]) / 2
        result[upper, 1] += gap_cm / 2
        result[lower, 1] -= gap_cm / 2
    return result


# --- 4. The extension -------------------------------------------------------------------------


def extension(vertices: Points3, triangles: Triangles) -> Points3:
    """Return the vertices (rings * 36, 3) that continue the face beyond its oval, ring by ring.

    Each ring runs along the oval (``FACE_OVAL``). The surface leaves the face in the direction that
    the face has there and bends backwards: over the forehead to where hair begins, to the ears, and
    below the jaw towards the neck.
    """
    oval = list(FACE_OVAL)
    border = vertices[oval]
    neighbours: list[set[int]] = [set() for _ in oval]
    for triangle in triangles.tolist():
        for corner in set(triangle) & set(oval):
            neighbours[oval.index(corner)].update(set(triangle) - set(oval))
    outward = np.array(
        [
            border[row] - vertices[sorted(found)].mean(axis=0) if found else np.zeros(3)
            for row, found in enumerate(neighbours)
        ]
    )
    along = np.roll(border, -1, axis=0) - np.roll(border, 1, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    outward -= (outward * along).sum(axis=1, keepdims=True) * along
    for _ in range(6):
        outward = (np.roll(outward, 1, axis=0) + 2 * outward + np.roll(outward, -1, axis=0)) / 4
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)

    # 1 at the forehead, 0 beside the ears, -1 at the chin.
    height = border[:, 1] / np.where(border[:, 1] > 0, border[:, 1].max(), -border[:, 1].min())
    up, down = np.clip(height, 0, 1), np.clip(-height, 0, 1)
    side = border[:, 0] / np.abs(border[:, 0]).max()
    # Jaws narrow towards the neck and rise to it.
    backward = np.stack(
        [
            -0.12 * np.sign(side) * side**2 * down - 0.05 * side,
            0.25 * up + 0.45 * down,
            -np.ones(len(border)),
        ],
        axis=1,
    )
    backward /= np.linalg.norm(backward, axis=1, keepdims=True)
    width = _EAR_WIDTH_CM + (_FOREHEAD_WIDTH_CM - _EAR_WIDTH_CM) * up**2
    width = width[:, None] + (_JAW_WIDTH_CM - _EAR_WIDTH_CM) * down[:, None]
    # A parabola from the one direction to the other.
    steps = np.arange(1, EXTENSION_RINGS + 1) / EXTENSION_RINGS
    rings = [border + width * ((s - s**2 / 2) * outward + s**2 / 2 * backward) for s in steps]
    return np.concatenate(rings)


def extension_triangles() -> list[Corners]:
    """Return the triangles between the oval and the rings around it, symmetric like the face's."""
    count = len(FACE_OVAL)
    levels = [
        list(FACE_OVAL),
        *(
            list(range(SURFACE_COUNT + ring * count, SURFACE_COUNT + (ring + 1) * count))
            for ring in range(EXTENSION_RINGS)
        ),
    ]
    found: list[Corners] = []
    for inner, outer in pairwise(levels):
        for here in range(count):
            there = (here + 1) % count
            # The diagonals of one side mirror those of the other.
            if here < count // 2:
                found += [(inner[here], outer[there], outer[here]), (inner[here], inner[there], outer[there])]
            else:
                found += [(inner[here], inner[there], outer[here]), (inner[there], outer[there], outer[here])]
    return found


def head_mirror() -> list[int]:
    """Return the mirror image of each vertex of the extended mesh."""
    count = len(FACE_OVAL)
    rings = range(EXTENSION_RINGS)
    return [
        *MIRROR[:SURFACE_COUNT],
        *(SURFACE_COUNT + ring * count + (-place) % count for ring in rings for place in range(count)),
    ]


def symmetric_extension(vertices: Points3, triangles: Triangles) -> Points3:
    """Return ``extension``, rounded and symmetric to the bit like ``vertices``."""
    beyond = np.round(extension(vertices, triangles) / _POSITION_STEP_CM) * _POSITION_STEP_CM
    image = beyond[np.array(head_mirror()[SURFACE_COUNT:]) - SURFACE_COUNT] * (-1.0, 1.0, 1.0)
    result: Points3 = (beyond + image) / 2 + 0.0
    return result


# --- 5. The texture layout --------------------------------------------------------------------


def layout(
    vertices: Points3, opening: Points3, triangles: Triangles, beyond: Points3, around: Triangles
) -> Points2:
    """Return the texture coordinates (576, 2) of the face and its extension."""
    open_mouthed = np.concatenate([vertices + _LAYOUT_OPENING_CM * opening, beyond])
    outermost = range(len(open_mouthed) - len(FACE_OVAL), len(open_mouthed))
    return unwrapped(
        open_mouthed,
        np.concatenate([triangles, around]),
        features_magnified(open_mouthed),
        tuple(outermost),
        head_mirror(),
    )


def unwrapped(
    vertices: Points3,
    triangles: Triangles,
    magnification: NDArray[np.float64],
    border: Sequence[int],
    mirror: Sequence[int],
    iterations: int = 1500,
) -> Points2:
    """Return texture coordinates (V, 2): symmetric, nothing flipped, nothing overlapping.

    Starts from the embedding of W. T. Tutte (1963, doi:10.1112/plms/s3-13.1.743), which never
    flips a triangle, and reduces the symmetric Dirichlet energy (J. Smith and S. Schaefer 2015,
    doi:10.1145/2766947), which becomes infinite before one does, by gradient descent
    preconditioned with the Laplacian. The result is stretched to fill the square.

    Parameters
    ----------
    vertices : (V, 3)
    triangles : (T, 3)
    magnification : (V,)
        How much longer lengths shall be in the texture there than elsewhere.
    border : sequence of int
        The vertices around the mesh, from its top clockwise as the viewer sees it.
    mirror : sequence of int
        The mirror image of each vertex.
    """
    size = magnification[triangles].mean(axis=1)
    corners = vertices[triangles]
    edge, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(edge, axis=1)
    along = (edge * other).sum(axis=1) / length
    height = np.linalg.norm(np.cross(edge, other), axis=1) / length
    # The triangle laid flat, as a matrix whose columns are two of its edges.
    flat = np.zeros((len(triangles), 2, 2))
    flat[:, 0, 0], flat[:, 0, 1], flat[:, 1, 1] = length * size, along * size, height * size
    area = length * height * size**2 / 2
    from_flat = np.linalg.inv(flat)

    laplacian = graph_laplacian(triangles, len(vertices))
    position = _tutte(laplacian, float(area.sum()), np.array(border))
    # A free border may slide as a whole; the small diagonal holds it.
    precondition = np.linalg.inv(laplacian + 1e-3 * np.eye(len(vertices)))
    energy, gradient = _dirichlet(position, triangles, from_flat, area)
    direction = np.zeros_like(position)
    previous = np.ones_like(position)
    for _ in range(iterations):
        # Polak-Ribiere conjugate gradients.
        step = precondition @ gradient
        blend = max(0.0, float(((gradient - previous) * step).sum()) / _inner(previous, precondition))
        previous = gradient
        direction = -step + blend * direction
        if (direction * gradient).sum() >= 0:
            direction = -step
        slope = float((direction * gradient).sum())
        if slope > -1e-9 * energy:
            break
        rate = 1.0
        while True:
            moved = position + rate * direction
            moved_energy, moved_gradient = _dirichlet(moved, triangles, from_flat, area)
            if moved_energy <= energy + 1e-4 * rate * slope:
                break
            rate /= 2
            if rate < 1e-12:
                return _fitted(position, np.array(mirror), np.array(border))
        position, energy, gradient = moved, moved_energy, moved_gradient
    return _fitted(position, np.array(mirror), np.array(border))


def _inner(vectors: Points2, matrix: Matrix) -> float:
    return float(np.vdot(vectors, matrix @ vectors))


def features_magnified(vertices: Points3) -> NDArray[np.float64]:
    """Return (V,) how much longer lengths shall be in the texture: more at eyes, lips and nose."""
    features = [*RIGHT_EYE, *(MIRROR[index] for index in RIGHT_EYE), *LIPS_OUTER, *NOSE]
    distance = np.linalg.norm(vertices[:, None] - vertices[None, features], axis=2).min(axis=1)
    return np.asarray(1.0 + 0.35 * np.exp(-((distance / 1.2) ** 2)))


def graph_laplacian(triangles: Triangles, count: int) -> Matrix:
    """Return the Laplacian (``count``, ``count``) of the triangles' edges, all edges alike."""
    laplacian = np.zeros((count, count))
    for first, second in ((0, 1), (1, 2), (2, 0)):
        laplacian[triangles[:, first], triangles[:, second]] = -1.0
        laplacian[triangles[:, second], triangles[:, first]] = -1.0
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    return laplacian


def _tutte(laplacian: Matrix, area: float, border: NDArray[np.int64]) -> Points2:
    """Return the vertices (V, 2) with the border on a circle and the others in balance."""
    inner = np.setdiff1d(np.arange(len(laplacian)), border)
    angle = np.pi / 2 - 2 * np.pi * np.arange(len(border)) / len(border)
    position = np.zeros((len(laplacian), 2))
    position[border] = np.sqrt(area / np.pi) * np.column_stack([np.cos(angle), np.sin(angle)])
    position[inner] = np.linalg.solve(
        laplacian[np.ix_(inner, inner)], -laplacian[np.ix_(inner, border)] @ position[border]
    )
    return position


def _dirichlet(
    position: Points2, triangles: Triangles, from_flat: NDArray[np.float64], area: NDArray[np.float64]
) -> tuple[float, Points2]:
    """Return the symmetric Dirichlet energy of a layout and its gradient (V, 2); infinite if flipped."""
    corners = position[triangles]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    jacobian = edges @ from_flat
    determinant = np.linalg.det(jacobian)
    if determinant.min() <= 0:
        return np.inf, np.zeros_like(position)
    norm = (jacobian**2).sum(axis=(1, 2))
    energy = float(area @ (norm * (1 + determinant**-2)))
    cofactor = np.empty_like(jacobian)
    cofactor[:, 0, 0], cofactor[:, 0, 1] = jacobian[:, 1, 1], -jacobian[:, 1, 0]
    cofactor[:, 1, 0], cofactor[:, 1, 1] = -jacobian[:, 0, 1], jacobian[:, 0, 0]
    by_jacobian = 2 * jacobian * (1 + determinant**-2)[:, None, None]
    by_jacobian -= (2 * norm * determinant**-3)[:, None, None] * cofactor
    by_edges = area[:, None, None] * (by_jacobian @ from_flat.transpose(0, 2, 1))
    gradient = np.zeros_like(position)
    np.add.at(gradient, triangles[:, 1], by_edges[:, :, 0])
    np.add.at(gradient, triangles[:, 2], by_edges[:, :, 1])
    np.add.at(gradient, triangles[:, 0], -by_edges.sum(axis=2))
    return energy, gradient


def _fitted(position: Points2, mirror: NDArray[np.int64], border: NDArray[np.int64]) -> Points2:
    """Return a layout made symmetric to the bit and stretched to the square within its margin."""
    image = position[mirror] * (-1.0, 1.0)
    quarter = len(border) // 4
    if position[border[quarter], 0] <= position[border[-quarter], 0]:
        raise ValueError("the layout must be upright")
    centred = (position + image) / 2
    half = np.abs(centred[:, 0]).max()
    low, high = centred[:, 1].min(), centred[:, 1].max()
    room = 1.0 - 2 * _UV_MARGIN
    sideways = np.floor(centred[:, 0] / half * (room / 2) / _UV_STEP) * _UV_STEP
    # floor() treats the two signs differently: the left side is taken from the right.
    left = sideways > 0
    sideways[left] = -sideways[mirror[left]]
    sideways[mirror == np.arange(len(mirror))] = 0.0
    upward = np.round((_UV_MARGIN + (centred[:, 1] - low) / (high - low) * room) / _UV_STEP) * _UV_STEP
    # The two halves' heights may differ in their last bit before rounding.
    upward = np.minimum(upward, upward[mirror])
    return np.column_stack([0.5 + np.clip(sideways, -room / 2, room / 2), upward])


# --- 6. The harmonics -------------------------------------------------------------------------


def harmonics(triangles: Triangles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the smoothest functions on the mesh, exactly even or odd under the mirror image.

    The eigenvectors of the graph Laplacian (B. Vallet and B. Levy 2008,
    doi:10.1111/j.1467-8659.2008.01122.x, with all edges alike: the landmarks stand close where
    faces have detail, and so do the harmonics then), found among the even and the odd functions
    apart. The constant is left out; the sign is such that the largest entry is positive.

    Returns
    -------
    functions : (HARMONIC_COUNT, V) float64
        Orthonormal, from the coarsest to the finest.
    frequencies : (HARMONIC_COUNT,) float64
        Their eigenvalues.
    """
    laplacian = graph_laplacian(triangles, SURFACE_COUNT)
    mirror = np.array(MIRROR[:SURFACE_COUNT])
    pairs = [(index, int(image)) for index, image in enumerate(mirror) if index < image]
    middle = [index for index, image in enumerate(mirror) if index == image]
    found: list[tuple[float, int, NDArray[np.float64]]] = []
    for parity in (1, -1):
        basis = np.zeros((len(pairs) + (len(middle) if parity > 0 else 0), SURFACE_COUNT))
        for row, (index, image) in enumerate(pairs):
            basis[row, index], basis[row, image] = np.sqrt(0.5), parity * np.sqrt(0.5)
        if parity > 0:
            basis[np.arange(len(pairs), len(basis)), middle] = 1.0
        values, vectors = np.linalg.eigh(basis @ laplacian @ basis.T)
        for value, vector in zip(values, vectors.T, strict=True):
            # The reduced basis copies one number to both sides, so the parity is exact.
            function = vector @ basis
            if value > 1e-9:
                sign = np.sign(function[np.argmax(np.abs(function).round(9))])
                found.append((float(value), parity, function * sign))
    found.sort(key=lambda entry: (entry[0], entry[1]))
    found = found[:HARMONIC_COUNT]
    return np.array([entry[2] for entry in found]), np.array([entry[0] for entry in found])


def deviation_law(
    heads: NDArray[np.float64],
    functions: NDArray[np.float64],
    frequencies: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return ``a`` and ``b`` (2,): faces deviate by about ``a * frequency ** -b`` along a harmonic.

    A line through the logarithms, since a handful of faces says little about a single harmonic.

    Parameters
    ----------
    heads : (N, V, 3)
        In model space, centimetres.
    """
    deviations = heads - heads.mean(axis=0)
    coefficients = np.einsum("hv,nvc->hnc", functions, deviations)
    spread = np.sqrt((coefficients**2).mean(axis=(1, 2)))
    slope, offset = np.polyfit(np.log(frequencies), np.log(spread), 1)
    return np.array([np.exp(offset), -slope])


# --- The whole --------------------------------------------------------------------------------


def derive(photos: Sequence[Image], detector: FaceDetector) -> dict[str, NDArray[np.generic]]:
    """Return what ``canonical_mesh.npz`` holds, by name.

    Raises
    ------
    ValueError
        If ``photos`` show no face, or the topology is not the one that ``landmarks`` describes.
    """
    surface = surface_triangles(face_mesh_edges())
    skin = symmetric_triangles(surface)
    if reflection(skin) != dict(enumerate(MIRROR[:SURFACE_COUNT])):
        raise ValueError("landmarks.MIRROR is not the reflection of this topology")
    skin.sort()
    filling, filling_regions = filling_triangles()
    triangles = np.array(skin + filling, np.int32)
    regions = np.array([Region.SKIN] * len(skin) + filling_regions, np.uint8)
    if len(boundary_edges(triangles)) != len(FACE_OVAL):
        raise ValueError("the face oval must be the only border")

    heads = aligned_heads(observed_heads(photos, detector))
    gap, slope = mouth_opening(heads)
    neutral_heads = heads - gap[:, None, None] * slope
    neutral = neutral_heads.mean(axis=0)
    opening = symmetrised(in_model_space(neutral + slope, neutral) - in_model_space(neutral, neutral))
    # Closing the mouth turned the head's upright a little, and with it what the gap is.
    opening /= opening[_UPPER_LIP_MIDDLE, 1] - opening[_LOWER_LIP_MIDDLE, 1]
    neutral = symmetrised(in_model_space(neutral, neutral))[:SURFACE_COUNT]
    vertices = symmetrised(with_lips_touching(neutral))
    around = np.array(extension_triangles(), np.int32)
    beyond = symmetric_extension(vertices, triangles)
    uv = layout(vertices, opening[:SURFACE_COUNT], triangles, beyond, around)
    functions, frequencies = harmonics(triangles)
    return {
        "vertices": vertices,
        "triangles": triangles.astype(np.int16),
        "regions": regions,
        "extension": beyond,
        "extension_triangles": around.astype(np.int16),
        "uv": uv,
        "mouth_opening": opening[:SURFACE_COUNT].astype(np.float32),
        "harmonics": functions.astype(np.float32),
        "frequencies": frequencies,
        "deviation_law": deviation_law(neutral_heads[:, :SURFACE_COUNT], functions, frequencies),
    }


def main(paths: Sequence[str]) -> None:
    """Derive from the photos at ``paths`` and write the face core's data file."""
    photos = []
    for path in paths:
        with PillowImage.open(path) as photo:
            photos.append(np.asarray(ImageOps.exif_transpose(photo).convert("RGB")))
    arrays = derive(photos, MediaPipeDetector())
    with (DATA / "canonical_mesh.npz").open("wb") as stream:
        np.savez_compressed(stream, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
