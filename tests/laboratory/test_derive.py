from __future__ import annotations

import numpy as np
import pytest

from emulator.face import identity
from emulator.face.canonical import canonical_data, canonical_mesh
from emulator.face.identity import IDENTITY_COUNT
from emulator.face.landmarks import FACE_OVAL, LEFT_IRIS, MIRROR, RIGHT_IRIS, SURFACE_COUNT
from emulator.face.mediapipe_models import face_mesh_edges
from emulator.face.pose import Pose, rotation_matrix
from emulator.face.types import Points3, Triangles
from laboratory.extension import extension_triangles, symmetric_extension
from laboratory.harmonics import harmonics
from laboratory.heads import aligned_heads, mouth_opening, observed_heads, symmetrised
from laboratory.layout import unwrapped
from laboratory.triangulation import filling_triangles, reflection, surface_triangles, symmetric_triangles

SURFACE_MIRROR = np.array(MIRROR[:SURFACE_COUNT])


def canonical_head() -> Points3:
    """Return the canonical mesh with irises 6.3 cm apart, (478, 3)."""
    head = np.zeros((len(MIRROR), 3))
    head[:SURFACE_COUNT] = canonical_mesh().vertices
    head[list(RIGHT_IRIS)] = (-3.15, 2.0, 5.5)
    head[list(LEFT_IRIS)] = (3.15, 2.0, 5.5)
    return head


def derived_triangles() -> Triangles:
    skin = symmetric_triangles(surface_triangles(face_mesh_edges()))
    return np.array(sorted(skin) + filling_triangles()[0], np.int32)


def test_the_stored_triangles_are_the_derived_ones() -> None:
    np.testing.assert_array_equal(derived_triangles(), canonical_mesh().triangles)


def test_every_edge_of_mediapipes_mesh_but_three_diagonals_is_kept() -> None:
    skin = symmetric_triangles(surface_triangles(face_mesh_edges()))
    edges = {frozenset(pair) for a, b, c in skin for pair in ((a, b), (b, c), (c, a))}
    original = {frozenset(edge) for edge in face_mesh_edges().tolist()}
    assert len(edges) == len(original)
    assert len(original - edges) == 3


def test_mirror_is_the_triangulations_reflection() -> None:
    skin = symmetric_triangles(surface_triangles(face_mesh_edges()))
    assert reflection(skin) == dict(enumerate(MIRROR[:SURFACE_COUNT]))


def test_a_triangulation_that_is_not_symmetric_has_no_reflection() -> None:
    with pytest.raises(ValueError, match="not symmetric"):
        reflection(surface_triangles(face_mesh_edges()))


def test_the_stored_harmonics_are_the_derived_ones() -> None:
    functions, frequencies = harmonics(canonical_mesh().triangles)
    np.testing.assert_allclose(functions, canonical_data().harmonics, atol=1e-6)
    np.testing.assert_allclose(frequencies, canonical_data().frequencies, rtol=1e-9)


def test_aligned_heads_are_in_model_space() -> None:
    rng = np.random.default_rng(0)
    head = canonical_head()
    scattered = np.array(
        [
            rng.uniform(5, 50) * head @ rotation_matrix(Pose(*rng.uniform(-40, 40, 3))).T + rng.normal(size=3)
            for _ in range(4)
        ]
    )
    aligned = aligned_heads(scattered)
    # The stored positions are rounded, so the chin is not exactly below the forehead.
    np.testing.assert_allclose(aligned, np.broadcast_to(head, aligned.shape), atol=1e-3)


def test_the_opening_of_the_mouth_is_separated_from_the_identity() -> None:
    rng = np.random.default_rng(1)
    slope = canonical_data().mouth_opening
    heads = []
    for _ in range(5):
        somebody = identity.mesh(rng.normal(size=IDENTITY_COUNT)).vertices.copy()
        somebody[[13, 14]] = canonical_mesh().vertices[[13, 14]]
        heads += [somebody, somebody + slope, somebody + 2 * slope]
    gap, found = mouth_opening(np.array(heads))
    closed = canonical_mesh().vertices[13, 1] - canonical_mesh().vertices[14, 1]
    np.testing.assert_allclose(gap, closed + np.tile([0.0, 1.0, 2.0], 5), atol=1e-5)
    np.testing.assert_allclose(found, slope, atol=1e-5)


def test_photos_with_equally_open_mouths_are_refused() -> None:
    with pytest.raises(ValueError, match="open"):
        mouth_opening(np.array([canonical_head()] * 3))


def test_symmetrised_is_exactly_symmetric_and_keeps_symmetric_faces() -> None:
    noisy = canonical_head() + np.random.default_rng(2).normal(size=(len(MIRROR), 3))
    result = symmetrised(noisy)
    np.testing.assert_array_equal(result[list(MIRROR)] * (-1, 1, 1), result)
    np.testing.assert_array_equal(symmetrised(canonical_mesh().vertices), canonical_mesh().vertices)


def test_the_layout_of_a_flat_mesh_is_that_mesh_stretched_to_the_square() -> None:
    flat = np.zeros((SURFACE_COUNT, 3))
    flat[:, :2] = (canonical_mesh().uv - 0.5) * 1000
    flat[:, 0] = (flat[:, 0] - flat[SURFACE_MIRROR, 0]) / 2
    layout = unwrapped(
        flat, canonical_mesh().triangles, np.ones(SURFACE_COUNT), FACE_OVAL, MIRROR[:SURFACE_COUNT]
    )
    # The layout is only stretched along each axis, up to the margins.
    low, high = canonical_mesh().uv.min(axis=0), canonical_mesh().uv.max(axis=0)
    expected = 0.02 + (canonical_mesh().uv - low) / (high - low) * 0.96
    assert np.abs(layout - expected).max() < 1e-4


def test_the_stored_extension_is_the_derived_one() -> None:
    stored, mesh = canonical_data(), canonical_mesh()
    np.testing.assert_array_equal(symmetric_extension(mesh.vertices, mesh.triangles), stored.extension)
    np.testing.assert_array_equal(np.array(extension_triangles()), stored.extension_triangles)


def test_derivation_refuses_photos_without_a_face() -> None:
    class Blind:
        def detect(self, image: object) -> tuple[()]:  # noqa: ARG002 - required by the protocol
            return ()

        def segment_person(self, image: object) -> None:
            raise NotImplementedError

    with pytest.raises(ValueError, match="no face"):
        observed_heads([np.zeros((4, 4, 3), np.uint8)], Blind())  # type: ignore[arg-type] # finds none
