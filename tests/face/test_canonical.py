from __future__ import annotations

import numpy as np
import pytest

from emulator.face.canonical import Region, canonical_data, canonical_mesh, region_triangles
from emulator.face.landmarks import (
    CHIN_TIP,
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    MIRROR,
    RIGHT_EYE,
    SURFACE_COUNT,
)
from emulator.face.mesh import boundary_edges
from emulator.face.types import Triangles

SURFACE_MIRROR = np.array(MIRROR[:SURFACE_COUNT])


def directed_edges(triangles: Triangles) -> Triangles:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def rotated_to_smallest_first(triangles: Triangles) -> set[tuple[int, ...]]:
    return {tuple(np.roll(triangle, -int(triangle.argmin())).tolist()) for triangle in triangles}


def test_every_landmark_is_a_vertex_of_some_triangle() -> None:
    mesh = canonical_mesh()
    assert mesh.vertices.shape == (SURFACE_COUNT, 3)
    np.testing.assert_array_equal(np.unique(mesh.triangles), np.arange(SURFACE_COUNT))


def test_the_mesh_is_a_manifold_with_consistent_winding() -> None:
    # No directed edge occurs twice, so at most two triangles share an edge, in opposite directions.
    edges = directed_edges(canonical_mesh().triangles)
    assert len(np.unique(edges, axis=0)) == len(edges)


def test_it_is_a_disc_whose_border_is_the_face_oval() -> None:
    triangles = canonical_mesh().triangles
    border = boundary_edges(triangles)
    # Seen from outside, counter-clockwise means down the person's right side and up the left.
    ring = FACE_OVAL[::-1]
    assert {tuple(edge) for edge in border.tolist()} == set(zip(ring, ring[1:] + ring[:1], strict=True))
    edge_count = len(np.unique(np.sort(directed_edges(triangles), axis=1), axis=0))
    assert SURFACE_COUNT - edge_count + len(triangles) == 1


def test_it_faces_the_camera() -> None:
    mesh = canonical_mesh()
    corners = mesh.vertices[mesh.triangles]
    towards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert np.linalg.norm(np.minimum(towards, 0)) < 0.02 * np.linalg.norm(towards)


def test_no_triangle_is_degenerate() -> None:
    mesh = canonical_mesh()
    corners = mesh.vertices[mesh.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert area.min() > 1e-3


def test_it_is_symmetric_to_the_bit() -> None:
    mesh = canonical_mesh()
    np.testing.assert_array_equal(mesh.vertices[SURFACE_MIRROR] * (-1, 1, 1), mesh.vertices)
    np.testing.assert_array_equal(mesh.uv[SURFACE_MIRROR] * (-1, 1) + (1, 0), mesh.uv)
    image = SURFACE_MIRROR[mesh.triangles][:, ::-1]
    assert rotated_to_smallest_first(image) == rotated_to_smallest_first(mesh.triangles)


def test_the_mesh_is_in_model_space() -> None:
    vertices = canonical_mesh().vertices
    np.testing.assert_array_equal(vertices[234] + vertices[454], 0)
    assert vertices[CHIN_TIP, 2] == pytest.approx(vertices[FACE_OVAL[0], 2], abs=1e-3)
    assert vertices[FACE_OVAL[0], 1] > 0 > vertices[CHIN_TIP, 1]


def test_texture_has_no_seam_no_flip_and_no_overlap() -> None:
    mesh = canonical_mesh()
    np.testing.assert_array_equal(mesh.uv_triangles, mesh.triangles)
    assert mesh.uv.min() >= 0.02 - 1e-5
    assert mesh.uv.max() <= 0.98 + 1e-5
    corners = mesh.uv[mesh.triangles]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    assert area.min() > 0
    # All triangles are positively oriented, so they cover a point as often as the border winds around
    # it. A border that is star-shaped about the centre winds around every point at most once.
    ring = mesh.uv[list(FACE_OVAL[::-1])] - 0.5
    turns = np.cross(ring, np.roll(ring, -1, axis=0))
    assert turns.min() > 0
    assert turns.sum() / 2 == pytest.approx(area.sum())
    # The rings around the face take the rest of the texture.
    assert area.sum() > 0.45


def test_texture_is_upright() -> None:
    mesh = canonical_mesh()
    assert mesh.uv[FACE_OVAL[0], 1] > 0.8
    assert mesh.uv[CHIN_TIP, 1] < 0.2
    assert (mesh.uv[list(RIGHT_EYE), 0] < 0.5).all()


def test_texture_resolution_is_even() -> None:
    mesh = canonical_mesh()
    skin = mesh.triangles[region_triangles(Region.SKIN)]
    flat, solid = mesh.uv[skin], mesh.vertices[skin]
    in_texture = np.cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    in_space = np.linalg.norm(np.cross(solid[:, 1] - solid[:, 0], solid[:, 2] - solid[:, 0]), axis=1)
    scale = np.sqrt(in_texture / in_space)
    assert np.quantile(scale, 0.98) < 2 * np.quantile(scale, 0.02)


@pytest.mark.parametrize(
    ("region", "ring"),
    [(Region.RIGHT_EYE, RIGHT_EYE), (Region.LEFT_EYE, LEFT_EYE), (Region.MOUTH, LIPS_INNER)],
)
def test_openings_are_closed_by_triangles_between_their_rings(region: Region, ring: tuple[int, ...]) -> None:
    closing = canonical_mesh().triangles[region_triangles(region)]
    assert set(closing.ravel().tolist()) == set(ring)
    assert len(closing) == len(ring) - 2
    assert set(boundary_edges(closing).ravel().tolist()) == set(ring)
    assert len(boundary_edges(closing)) == len(ring)


def test_every_triangle_has_a_region() -> None:
    counts = [int(region_triangles(region).sum()) for region in Region]
    assert counts == [852, 14, 14, 18]


def test_the_mesh_is_shared_and_read_only() -> None:
    assert canonical_mesh() is canonical_mesh()
    data = canonical_data()
    for array in (data.mesh.vertices, data.mesh.triangles, data.mesh.uv, data.regions, data.harmonics):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_harmonics_are_orthonormal_and_even_or_odd() -> None:
    data = canonical_data()
    np.testing.assert_allclose(data.harmonics @ data.harmonics.T, np.eye(len(data.harmonics)), atol=1e-6)
    assert (np.diff(data.frequencies) > 0).all()
    for harmonic in data.harmonics:
        image = harmonic[SURFACE_MIRROR]
        assert np.array_equal(image, harmonic) or np.array_equal(image, -harmonic)


def test_the_mouth_opening_parts_the_lips_symmetrically_by_a_centimetre() -> None:
    opening = canonical_data().mouth_opening
    np.testing.assert_array_equal(opening[SURFACE_MIRROR] * (-1, 1, 1), opening)
    assert opening[13, 1] - opening[14, 1] == pytest.approx(1, abs=1e-6)
