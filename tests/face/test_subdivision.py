from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.mesh import boundary_edges
from emulator.face.subdivision import loop_subdivision, midpoint_subdivision, passing_through
from emulator.face.types import Triangles

TETRAHEDRON: Triangles = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32)


@pytest.mark.parametrize("triangles", [TETRAHEDRON, canonical_mesh().triangles])
def test_weights_sum_to_one_and_none_is_negative(triangles: Triangles) -> None:
    count = int(triangles.max()) + 1
    for step in (loop_subdivision, midpoint_subdivision):
        matrix, finer = step(triangles, count)
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
        assert matrix.min() >= 0
        assert len(finer) == 4 * len(triangles)
        assert finer.max() == matrix.shape[0] - 1


def test_a_flat_mesh_stays_flat_and_linear_functions_stay_linear_inside() -> None:
    # In a regular triangulation, all valences are six, and Loop's scheme reproduces linear functions.
    side = 7
    grid = np.array([(x, y, 0.0) for y in range(side) for x in range(side)])
    index = np.arange(side * side).reshape(side, side)
    a, b, c, d = (
        index[:-1, :-1].ravel(),
        index[:-1, 1:].ravel(),
        index[1:, :-1].ravel(),
        index[1:, 1:].ravel(),
    )
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    matrix, finer = loop_subdivision(triangles, len(grid))
    fine = matrix @ grid
    inside = index[1:-1, 1:-1].ravel()
    np.testing.assert_allclose(fine[inside], grid[inside], atol=1e-12)
    corners = fine[finer]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert area.min() > 0


def test_the_border_depends_on_the_border_alone() -> None:
    triangles = canonical_mesh().triangles
    matrix, finer = loop_subdivision(triangles, 468)
    old = np.unique(boundary_edges(triangles))
    new = np.unique(boundary_edges(finer))
    inner = np.setdiff1d(np.arange(468), old)
    assert abs(matrix[new][:, inner]).sum() == 0
    assert len(new) == 2 * len(old)


def test_midpoints_keep_every_vertex() -> None:
    vertices = canonical_mesh().vertices
    matrix, finer = midpoint_subdivision(canonical_mesh().triangles, len(vertices))
    fine = matrix @ vertices
    np.testing.assert_array_equal(fine[: len(vertices)], vertices)
    area = [
        np.linalg.norm(np.cross(v[:, 1] - v[:, 0], v[:, 2] - v[:, 0]), axis=1).sum()
        for v in (vertices[canonical_mesh().triangles], fine[finer])
    ]
    assert area[1] == pytest.approx(area[0])


def test_the_surface_passes_through_the_vertices() -> None:
    vertices = canonical_mesh().vertices
    matrix, _ = loop_subdivision(canonical_mesh().triangles, len(vertices))
    smooth = matrix @ passing_through(vertices, matrix)
    np.testing.assert_allclose(smooth[: len(vertices)], vertices, atol=1e-4)
