from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import canonical_mesh
from emulator.face.laplacian import cotangent_weights
from emulator.face.mesh import Mesh


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return canonical_mesh()


def test_an_equilateral_triangle_has_the_cotangent_of_60_degrees() -> None:
    corners = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, np.sqrt(3.0), 0.0]])
    weights, area = cotangent_weights(corners, np.array([[0, 1, 2]], np.int32))
    expected = (1.0 - np.eye(3)) / np.tan(np.pi / 3) / 2
    np.testing.assert_allclose(weights.toarray(), expected, atol=1e-12)
    np.testing.assert_allclose(area, np.sqrt(3.0) / 3)


def test_weights_are_symmetric_positive_and_of_edges_only(mesh: Mesh) -> None:
    weights, _ = cotangent_weights(mesh.vertices, mesh.triangles)
    dense = weights.toarray()
    np.testing.assert_array_equal(dense, dense.T)
    edges = {
        tuple(sorted(edge)) for t in mesh.triangles.tolist() for edge in zip(t, t[1:] + t[:1], strict=True)
    }
    assert {tuple(pair) for pair in np.argwhere(np.triu(dense)).tolist()} == edges
    assert dense[dense != 0].min() > 0


def test_areas_add_up_to_the_surface(mesh: Mesh) -> None:
    _, area = cotangent_weights(mesh.vertices, mesh.triangles)
    one, two, three = mesh.vertices[mesh.triangles].transpose(1, 0, 2)
    surface = np.linalg.norm(np.cross(two - one, three - one), axis=1).sum() / 2
    assert area.sum() == pytest.approx(surface)
