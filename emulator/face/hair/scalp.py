"""The scalp of a complete head: its surface as an obstacle, the hairline, and the roots of the hair.

All of this is in the frame of the average head (`emulator.face.complete_head.complete_head_data`), in
centimetres: a head is turned, scaled and moved to the average head first. So the same numbers describe the
hairline of all heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import cKDTree

from emulator.face.complete_head import CompleteHead, complete_head_data
from emulator.face.mesh import vertex_normals
from emulator.face.types import Matrix, Points3, Triangles

# The vertical axis that azimuths refer to: it goes through the middle between the ears.
_AXIS_Z = -2.5

# The hairline, as pairs of azimuth and height. The azimuth is 0 in front, 90 at the ears and 180 at the nape.
_HAIRLINE: Final = np.array(
    [
        (0, 8.5), (15, 8.45), (28, 8.3), (37, 7.8), (46, 6.6), (56, 4.4), (64, 2.0), (69, 0.2), (75, 0.2),
        (80, 1.7), (85, 2.4), (93, 2.7), (105, 2.4), (112, 0.6), (118, -2.0), (124, -3.8), (140, -5.2),
        (180, -5.4),
    ]
)  # fmt: skip

# The border of the face that hair must not cross. It is the hairline in front, and falls steeply in front of
# the ears, so that hair can hang at the ears.
_FACE_BORDER: Final = np.array([*_HAIRLINE[:7], (67, -3.0), (70, -20.0), (74, -60.0)])

# Vertices of the average head that belong to the ears: farther from the middle than this, below this height.
_EAR_X, _EAR_TOP = 7.4, 3.0

# Triangles with an edge longer than this are sampled in 16 places, others in one.
_LONG_EDGE_CM = 0.45

# The distance to the surface is the distance to the nearest sample if it is larger than this, and otherwise
# the distance to the tangent plane there.
_NEAR_CM = 0.35

# Points are moved to distances with this precision.
_PRECISE_CM = 0.002

# Larger distances are reported as this.
_FAR_CM = 4.0

_ROOT_CANDIDATES = 9000
_ROOT_SEED = 7


@dataclass(frozen=True, eq=False)
class Roots:
    """Places on the scalp, evenly spread. The first n of them are evenly spread, too, for any n.

    Attributes
    ----------
    corners : (N, 3) int32
        Vertices of the head.
    weights : (N, 3) float64
        Their barycentric weights.
    """

    corners: Triangles
    weights: Points3


class _Samples:
    """Samples of a surface (N, 3), and the unit normals (N, 3) there."""

    def __init__(self, places: Points3, normals: Points3) -> None:
        self._places, self._normals, self._tree = places, normals, cKDTree(places)

    def distance(self, points: Points3) -> tuple[NDArray[np.float64], Points3]:
        # Without the bound, far points would take most of the time.
        far, found = self._tree.query(points, distance_upper_bound=_FAR_CM)
        is_far = found == len(self._places)
        nearest = np.where(is_far, 0, found)
        normals = self._normals[nearest]
        above = ((points - self._places[nearest]) * normals).sum(axis=1)
        above = np.where(far > _NEAR_CM, np.copysign(far, above), above)
        return np.where(is_far, _FAR_CM, above), normals


class Scalp:
    """The surface of a head, in the frame of the average head.

    Parameters
    ----------
    head : CompleteHead
    """

    def __init__(self, head: CompleteHead) -> None:
        data = complete_head_data()
        count = data.part_vertices["skin"].stop
        turned = head.mesh.vertices[:count] @ head.rotation / head.scale
        resting = data.mesh.vertices[:count]
        skull = resting[:, 1] > _EAR_TOP
        self.scale: float = head.scale
        self.rotation: Matrix = head.rotation
        self.offset: NDArray[np.float64] = (turned[skull] - resting[skull]).mean(axis=0)
        self.vertices: Points3 = turned - self.offset
        self.triangles: Triangles = head.mesh.triangles[data.part_triangles["skin"]]
        self.normals: Points3 = vertex_normals(self.vertices, self.triangles)
        self._whole = _Samples(*_sampled(self.vertices, self.normals, self.triangles))
        ears = (np.abs(resting[:, 0]) > _EAR_X) & (resting[:, 1] < _EAR_TOP)
        bare = self.triangles[~ears[self.triangles].any(axis=1)]
        self._bare = _Samples(*_sampled(self.vertices, self.normals, bare))
        self._ear_tree = cKDTree(self.vertices[ears])
        self.ears: tuple[Points3, Points3] = (
            self.vertices[ears & (resting[:, 0] < 0)],
            self.vertices[ears & (resting[:, 0] > 0)],
        )

    def in_model_space(self, points: Points3) -> Points3:
        """Return ``points`` (N, 3) in model space."""
        moved: Points3 = self.scale * (points + self.offset) @ self.rotation.T
        return moved

    def distance(self, points: Points3, *, ears: bool = True) -> tuple[NDArray[np.float64], Points3]:
        """Return the signed distances (N,) of points (N, 3) from the skin, and its normals (N, 3) there.

        The distance is negative inside the head. It is an approximation, and 4 for all points that are
        farther than 4 cm from the skin. Without ``ears``, the ears are ignored.
        """
        return (self._whole if ears else self._bare).distance(points)

    def push_out(self, points: Points3, clearance: NDArray[np.float64], *, ears: bool = True) -> Points3:
        """Return ``points`` (N, 3), moved until each has at least its ``clearance`` (N,) from the skin."""
        moved = points.copy()
        for _ in range(3):
            above, normals = self.distance(moved, ears=ears)
            missing = np.maximum(clearance - above, 0.0)
            if missing.max(initial=0.0) < _PRECISE_CM:
                break
            moved += missing[:, None] * normals
        return moved

    def ear_distance(self, points: Points3) -> NDArray[np.float64]:
        """Return the distances (N,) of points (N, 3) from the vertices of the ears."""
        return np.asarray(self._ear_tree.query(points)[0])

    def beside_ears(self, points: Points3, clearance: float) -> Points3:
        """Return ``points`` (N, 3), moved along the skull until they are beside the ears."""
        found, nearest = self._ear_tree.query(points)
        distance: NDArray[np.float64] = np.asarray(found)
        away = (points - self._ear_tree.data[nearest]) * (0.0, 1.0, 1.0) + (0.0, 0.1, 0.0)
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
        moved: Points3 = points + np.maximum(clearance - distance, 0.0)[:, None] * away
        return moved

    def place(self, roots: Roots) -> tuple[Points3, Points3]:
        """Return the positions and the normals (N, 3) of roots on this head."""
        weights = roots.weights[:, :, None]
        normals = (self.normals[roots.corners] * weights).sum(axis=1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return (self.vertices[roots.corners] * weights).sum(axis=1), normals


def azimuth(points: Points3) -> NDArray[np.float64]:
    """Return the azimuths (N,) of points (N, 3) in degrees: 0 in front, 180 at the back, on both sides."""
    degrees: NDArray[np.float64] = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _AXIS_Z))
    return degrees


def above_hairline(points: Points3) -> NDArray[np.float64]:
    """Return how far (N,) points are above the hairline, in centimetres."""
    above: NDArray[np.float64] = points[:, 1] - _hairline()(azimuth(points))
    return above


def out_of_face(points: Points3, margin: float = 0.0) -> Points3:
    """Return ``points`` (N, 3), moved around the head until they are beyond the border of the face."""
    border, slope = _face_border()
    moved = points.copy()
    for _ in range(3):
        angle = np.minimum(azimuth(moved), _FACE_BORDER[-1, 0])
        missing = np.maximum(border(angle) + margin - moved[:, 1], 0.0)
        missing[azimuth(moved) > _FACE_BORDER[-1, 0]] = 0.0
        radius = np.maximum(np.hypot(moved[:, 0], moved[:, 2] - _AXIS_Z), 1.0)
        # The change of the border's height for each centimetre around the head.
        steep = np.degrees(slope(angle)) / radius
        step = missing / (1.0 + steep**2)
        moved[:, 1] += step
        turn = np.copysign(-step * steep / radius, moved[:, 0])
        x, z = moved[:, 0].copy(), moved[:, 2] - _AXIS_Z
        moved[:, 0] = x * np.cos(turn) + z * np.sin(turn)
        moved[:, 2] = z * np.cos(turn) - x * np.sin(turn) + _AXIS_Z
    return moved


@cache
def scalp_roots(count: int) -> Roots:
    """Return roots that are evenly spread on the scalp, the same for all heads."""
    data = complete_head_data()
    triangles = data.mesh.triangles[data.part_triangles["skin"]]
    corners = data.mesh.vertices[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    area[above_hairline(corners.mean(axis=1)) < -2.0] = 0.0
    random = np.random.default_rng(_ROOT_SEED)
    chosen = random.choice(len(triangles), 2 * _ROOT_CANDIDATES, p=area / area.sum())
    one, two = np.sort(random.random((2, len(chosen))), axis=0)
    weights = np.stack([one, two - one, 1.0 - two], axis=1)
    points = (corners[chosen] * weights[:, :, None]).sum(axis=1)
    kept = (above_hairline(points) > 0.0) & ~((np.abs(points[:, 0]) > _EAR_X) & (points[:, 1] < _EAR_TOP))
    chosen, weights, points = chosen[kept], weights[kept], points[kept]
    # Choose the candidate that is farthest from all chosen ones, again and again.
    order = np.zeros(count, np.int64)
    distance = np.full(len(points), np.inf)
    for position in range(1, count):
        distance = np.minimum(distance, ((points - points[order[position - 1]]) ** 2).sum(axis=1))
        order[position] = distance.argmax()
    return Roots(triangles[chosen[order]], weights[order])


def _sampled(vertices: Points3, normals: Points3, triangles: Triangles) -> tuple[Points3, Points3]:
    """Return samples of a surface, and its unit normals there."""
    corners = vertices[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    places, directions = [], []
    for chosen, weights in (
        (triangles[longest <= _LONG_EDGE_CM], np.full((1, 3), 1 / 3)),
        (triangles[longest > _LONG_EDGE_CM], _barycentric_grid(4)),
    ):
        places.append(np.einsum("kc,tcx->tkx", weights, vertices[chosen]).reshape(-1, 3))
        directions.append(np.einsum("kc,tcx->tkx", weights, normals[chosen]).reshape(-1, 3))
    normal = np.concatenate(directions)
    return np.concatenate(places), normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


def _barycentric_grid(steps: int) -> NDArray[np.float64]:
    """Return the barycentric weights (N, 3) of the centres of steps ** 2 equal parts of a triangle."""
    weights = []
    for i in range(steps):
        for j in range(steps - i):
            weights.append((i + 1 / 3, j + 1 / 3))
            if i + j < steps - 1:
                weights.append((i + 2 / 3, j + 2 / 3))
    one = np.array(weights) / steps
    return np.column_stack([one, 1.0 - one.sum(axis=1)])


@cache
def _hairline() -> PchipInterpolator:
    return PchipInterpolator(*_HAIRLINE.T)


@cache
def _face_border() -> tuple[PchipInterpolator, PchipInterpolator]:
    border = PchipInterpolator(*_FACE_BORDER.T)
    return border, border.derivative()
