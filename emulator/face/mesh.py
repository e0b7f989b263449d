"""Triangle meshes with texture coordinates, their normals and their boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.face.types import Points2, Points3, Triangles


@dataclass(frozen=True, eq=False)
class Mesh:
    """A textured triangle mesh.

    Positions and texture coordinates are indexed separately, because a vertex on a seam of the texture has
    several texture coordinates.

    Attributes
    ----------
    vertices : (V, 3) float64
        Centimetres in model space: x to the viewer's right, y up, z towards the camera.
    triangles : (T, 3) int32
        Indices into ``vertices``, counter-clockwise as seen from outside.
    uv : (U, 2) float64
        0 to 1, with the origin at the bottom left of the texture, as in OBJ.
    uv_triangles : (T, 3) int32
        Indices into ``uv``, for the same corners as ``triangles``.
    """

    vertices: Points3
    triangles: Triangles
    uv: Points2
    uv_triangles: Triangles

    def with_vertices(self, vertices: Points3) -> Mesh:
        """Return a mesh with other ``vertices``, and the triangles and texture coordinates of this one.

        Raises
        ------
        ValueError
            If the number of vertices differs.
        """
        if vertices.shape != self.vertices.shape:
            raise ValueError(f"vertices must be {self.vertices.shape}, not {vertices.shape}")
        return Mesh(vertices, self.triangles, self.uv, self.uv_triangles)


def vertex_normals(vertices: Points3, triangles: Triangles) -> Points3:
    """Return the unit normals (V, 3): for each vertex, the area-weighted mean of its triangles' normals.

    A vertex that no triangle uses gets (0, 0, 1).
    """
    corners = vertices[triangles]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    corner = triangles.T.reshape(-1)
    # Computing one axis at a time takes half as long as NumPy's functions for all three axes.
    normals = np.empty_like(vertices)
    for axis in range(3):
        after, last = (axis + 1) % 3, (axis + 2) % 3
        weighted = one[:, after] * two[:, last] - one[:, last] * two[:, after]
        normals[:, axis] = np.bincount(corner, np.tile(weighted, 3), len(vertices))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    normals[length[:, 0] == 0] = (0.0, 0.0, 1.0)
    return normals


def boundary_edges(triangles: Triangles) -> Triangles:
    """Return the directed edges (E, 2) that belong to only one triangle."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    keys = np.sort(edges, axis=1)
    _, inverse, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    boundary: Triangles = edges[counts[inverse.reshape(-1)] == 1]
    return boundary
