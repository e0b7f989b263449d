from __future__ import annotations

import numpy as np
import pytest

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.head import head_mesh
from emulator.face.identity import IDENTITY_COUNT
from emulator.face.landmarks import MIRROR, SURFACE_COUNT
from emulator.face.mesh import Mesh, boundary_edges, vertex_normals
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from laboratory.extension import head_mirror


def somebodys_head(seed: int = 0) -> Mesh:
    return head_mesh(identity.mesh(np.random.default_rng(seed).normal(size=IDENTITY_COUNT)).vertices)


def test_the_first_vertices_are_the_landmarks() -> None:
    face = identity.mesh(np.random.default_rng(0).normal(size=IDENTITY_COUNT)).vertices
    np.testing.assert_allclose(head_mesh(face).vertices[:SURFACE_COUNT], face, atol=1e-4)


def test_it_is_a_fine_manifold_disc_and_every_vertex_is_used() -> None:
    head = somebodys_head()
    assert len(head.vertices) == 2265
    triangles = head.triangles
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    np.testing.assert_array_equal(np.unique(triangles), np.arange(len(head.vertices)))
    edge_count = len(np.unique(np.sort(edges, axis=1), axis=0))
    assert len(head.vertices) - edge_count + len(triangles) == 1
    border = boundary_edges(triangles)
    assert len(border) == 72


def test_the_canonical_head_is_symmetric() -> None:
    vertices = head_mesh(canonical_mesh().vertices).vertices
    mirrored = vertices * (-1, 1, 1)
    nearest = np.array([np.linalg.norm(vertices - point, axis=1).min() for point in mirrored])
    assert nearest.max() < 1e-9
    mirror = np.array(head_mirror())
    np.testing.assert_allclose(vertices[: len(mirror)][mirror], mirrored[: len(mirror)], atol=1e-9)


def test_it_reaches_beyond_the_face_on_all_sides() -> None:
    face, head = canonical_mesh().vertices, head_mesh(canonical_mesh().vertices).vertices
    assert head[:, 1].max() > face[:, 1].max() + 1.0
    assert head[:, 2].min() < face[:, 2].min() - 1.0
    assert (head[np.abs(head[:, 1]) < 1, 2].min()) < face[234, 2] - 1.0


@pytest.mark.parametrize("seed", range(3))
def test_its_layout_has_no_flip_no_overlap_and_every_triangle_has_an_area(seed: int) -> None:
    head = somebodys_head(seed)
    np.testing.assert_array_equal(head.uv_triangles, head.triangles)
    corners = head.uv[head.uv_triangles]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    assert area.min() > 1e-7
    # Without flipped triangles, a star-shaped border (checked below) means that nothing overlaps.
    border = boundary_edges(head.triangles)
    start, end = head.uv[border[:, 0]] - 0.5, head.uv[border[:, 1]] - 0.5
    turns = np.cross(start, end)
    assert turns.min() > 0
    assert turns.sum() / 2 == pytest.approx(area.sum())
    assert area.sum() > 0.65
    assert head.uv.min() > 0.015
    assert head.uv.max() < 0.985


def test_its_layout_is_symmetric() -> None:
    uv = somebodys_head().uv[:SURFACE_COUNT]
    np.testing.assert_allclose(uv[list(MIRROR[:SURFACE_COUNT])] * (-1, 1) + (1, 0), uv, atol=1e-12)


def test_it_is_smoother_than_the_landmarks() -> None:
    def roughness(mesh: Mesh) -> float:
        corners = mesh.vertices[mesh.triangles]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        flat /= np.linalg.norm(flat, axis=1, keepdims=True)
        smooth = vertex_normals(mesh.vertices, mesh.triangles)[mesh.triangles].mean(axis=1)
        smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
        return float(np.degrees(np.arccos(np.clip((flat * smooth).sum(axis=1), -1, 1))).mean())

    face = canonical_mesh()
    assert roughness(head_mesh(face.vertices)) < 0.7 * roughness(face)


def test_the_head_can_be_computed_before_or_after_the_projection() -> None:
    # So projecting the head mesh of unprojected landmarks gives the head's vertices in the photograph.
    face = identity.mesh(np.random.default_rng(1).normal(size=IDENTITY_COUNT)).vertices
    camera = WeakPerspective(20.0, rotation_matrix(Pose(20, 10, 5)), np.array([300.0, 200.0]))
    landmarks = camera.project(face)
    carried = camera.unproject(landmarks)
    projected = camera.project(head_mesh(carried).vertices)
    np.testing.assert_allclose(projected[:SURFACE_COUNT], landmarks, atol=2e-3)


def test_wrong_shapes_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="468"):
        head_mesh(np.zeros((469, 3)))
    with pytest.raises(ValueError, match="finite"):
        head_mesh(np.full((SURFACE_COUNT, 3), np.nan))
