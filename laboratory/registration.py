"""Registration of a head with another mesh: finds the point of the mesh for each landmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from emulator.face.canonical import canonical_mesh
from emulator.face.fit import landmark_weights
from emulator.face.landmarks import (
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    MIRROR,
    NOSE,
    RIGHT_EYE,
    SURFACE_COUNT,
)
from emulator.face.mesh import vertex_normals
from emulator.face.pose import similarity_transform
from emulator.face.types import Points3, Triangles
from laboratory.deviations import Floats
from laboratory.harmonics import graph_laplacian

_SAMPLES = 80_000
_NEIGHBOURS = 1500
# Weight of a distance along the surface, relative to a distance across the surface, in the search for the
# nearest point.
_ALONG = 6.0
# Stiffness of the canonical mesh, from the first steps to the last ones.
_STIFFNESS = (300.0, 100.0, 30.0, 15.0, 8.0)
_STEPS = 12
# Weights of the detected positions in the frontal plane. A detector finds eyes, nose and lips on a bare head.
# It guesses the brows and the hairline, so there the proportions of the canonical mesh decide.
_FEATURES, _ELSEWHERE = 0.5, 0.01
_TANGENTIAL = 0.02


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points on a mesh: ``corners`` (N, 3) are vertex indices, ``weights`` (N, 3) barycentric weights."""

    corners: Triangles
    weights: Floats

    def on(self, vertices: Points3) -> Points3:
        """Return the points (N, 3) on a mesh with ``vertices`` (V, 3)."""
        points: Points3 = (vertices[self.corners] * self.weights[:, :, None]).sum(axis=1)
        return points


def registered(vertices: Points3, skin: Triangles, detected: Points3) -> SurfacePoints:
    """Return the points of a symmetric head that correspond to the 468 landmarks.

    The canonical mesh is laid on the head and deformed: each vertex is pulled to the nearest point of the
    surface, and to x and y of its landmark in ``detected``. The mesh resists changes of its Laplacian
    coordinates.

    Parameters
    ----------
    vertices : (V, 3) float64
        The head, looking along z.
    skin : (T, 3)
        The visible triangles of the face, without eyeballs and ears.
    detected : (468, 3) float64
        The landmarks that are detected in frontal pictures of the head, in the coordinates of ``vertices``.
    """
    surface = _Surface(vertices, skin)
    mirror, triangles = list(MIRROR[:SURFACE_COUNT]), canonical_mesh().triangles
    goal = (detected + detected[mirror] * (-1.0, 1.0, 1.0)) / 2
    scale, rotation, translation = similarity_transform(canonical_mesh().vertices, goal, landmark_weights())
    start = scale * canonical_mesh().vertices @ rotation.T + translation
    for points in (start, goal):
        for _ in range(30):
            points[:, 2] += np.median((surface.nearest(points)[0] - points)[:, 2])
    frontal = np.full(SURFACE_COUNT, _ELSEWHERE)
    frontal[[*RIGHT_EYE, *LEFT_EYE, *LIPS_OUTER, *LIPS_INNER, *NOSE]] = _FEATURES
    pull = frontal[:, None, None] * np.diag([1.0, 1.0, 0.0])
    bending = sparse.kron(_bending(triangles), sparse.eye_array(3))
    shape = start
    for stiffness in np.repeat(_STIFFNESS, _STEPS):
        points, normals, _, _ = surface.nearest(shape, vertex_normals(shape, triangles))
        onto = normals[:, :, None] * normals[:, None, :] + _TANGENTIAL * np.eye(3)
        wanted = np.einsum("vij,vj->vi", onto, points) + np.einsum("vij,vj->vi", pull, goal)
        matrix = sparse.block_diag(list(onto + pull)) + stiffness * bending
        solved = spsolve(matrix.tocsc(), wanted.reshape(-1) + stiffness * (bending @ start.reshape(-1)))
        shape = solved.reshape(SURFACE_COUNT, 3)
        shape = (shape + shape[mirror] * (-1.0, 1.0, 1.0)) / 2
    _, _, corners, weights = surface.nearest(shape, vertex_normals(shape, triangles))
    return SurfacePoints(corners, weights)


class _Surface:
    """A mesh, sampled densely and evenly."""

    def __init__(self, vertices: Points3, triangles: Triangles) -> None:
        rng = np.random.default_rng(0)
        corners = vertices[triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(normals, axis=1)
        chosen = rng.choice(len(triangles), _SAMPLES, p=area / area.sum())
        root, share = np.sqrt(rng.random(_SAMPLES)), rng.random(_SAMPLES)
        self._weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
        self._corners = triangles[chosen]
        self._points = (corners[chosen] * self._weights[:, :, None]).sum(axis=1)
        self._normals = (normals / area[:, None])[chosen]
        self._tree = cKDTree(self._points)

    def nearest(
        self, points: Points3, normals: Points3 | None = None
    ) -> tuple[Points3, Points3, Triangles, Floats]:
        """Return the nearest samples: points, normals, corners and weights.

        With ``normals``, a sample must face the same side, and distances along the surface count more.
        """
        distance, near = map(np.asarray, self._tree.query(points, k=1 if normals is None else _NEIGHBOURS))
        if normals is None:
            found = near
        else:
            across = ((self._points[near] - points[:, None]) * normals[:, None]).sum(axis=2)
            cost = _ALONG * (distance**2 - across**2) + across**2
            cost[(self._normals[near] * normals[:, None]).sum(axis=2) < 0.5] = np.inf
            found = near[np.arange(len(points)), cost.argmin(axis=1)]
        return self._points[found], self._normals[found], self._corners[found], self._weights[found]


def _bending(triangles: Triangles) -> sparse.csr_array:
    """Return the matrix (V, V) of the squared graph Laplacian."""
    whole = graph_laplacian(triangles, SURFACE_COUNT)
    # Divided by the number of neighbours, so that a vertex is compared with their mean.
    laplacian = sparse.csr_array(whole / np.diag(whole)[:, None])
    return sparse.csr_array(laplacian.T @ laplacian)
