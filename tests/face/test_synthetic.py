from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.face import identity
from emulator.face.detection import MediaPipeDetector
from emulator.face.mesh import boundary_edges
from emulator.face.pose import rotation_matrix
from emulator.face.synthetic import SyntheticFaceSpec, loop_subdivision, render_face

SMALL = SyntheticFaceSpec(seed=3, yaw=10.0, width=160, height=200)


@pytest.fixture(scope="module")
def detector() -> MediaPipeDetector:
    return MediaPipeDetector()


@pytest.mark.parametrize(("seed", "yaw", "limit"), [(0, 0.0, 0.02), (1, -30.0, 0.035), (2, 15.0, 0.025)])
def test_the_detector_finds_the_face_where_it_is(
    detector: MediaPipeDetector, seed: int, yaw: float, limit: float
) -> None:
    face = render_face(SyntheticFaceSpec(seed=seed, yaw=yaw, width=480, height=480))
    (found,) = detector.detect(face.image)
    error = np.linalg.norm(found.landmarks[:468, :2] - face.landmarks[:, :2], axis=1).mean()
    assert error / np.linalg.norm(face.landmarks[33] - face.landmarks[263]) < limit


def test_equal_specs_give_equal_pictures_bit_for_bit() -> None:
    first, second = render_face(SMALL), render_face(replace(SMALL))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_the_landmarks_are_the_projected_mesh() -> None:
    face = render_face(replace(SMALL, yaw=20.0, pitch=-10.0, roll=5.0))
    mesh = identity.mesh(face.identity_coefficients)
    np.testing.assert_array_equal(face.landmarks, face.camera.project(mesh.vertices))
    np.testing.assert_array_equal(face.camera.rotation, rotation_matrix(face.pose))
    assert (face.pose.yaw, face.pose.pitch, face.pose.roll) == (20.0, -10.0, 5.0)
    assert face.box.left == face.landmarks[:, 0].min()
    assert face.box.height == pytest.approx(np.ptp(face.landmarks[:, 1]))


def test_a_resting_face_is_as_wide_as_asked_for() -> None:
    face = render_face(replace(SMALL, yaw=0.0, face_fraction=0.3))
    assert face.box.width == pytest.approx(0.3 * SMALL.width)
    assert face.image.shape == (200, 160, 3)


def test_fixing_an_attribute_leaves_the_others() -> None:
    free = render_face(SMALL)
    fixed = render_face(replace(SMALL, skin_tone=9, hair_color="blond", hair_type="bald"))
    np.testing.assert_array_equal(free.identity_coefficients, fixed.identity_coefficients)
    np.testing.assert_array_equal(free.landmarks, fixed.landmarks)
    assert (fixed.skin_tone, fixed.hair_color, fixed.hair_type) == (9, "blond", "bald")
    assert (free.image != fixed.image).any()


def test_an_identity_can_be_given_and_a_drawn_one_is_bounded() -> None:
    coefficients = tuple(np.linspace(-1, 1, identity.IDENTITY_COUNT).tolist())
    face = render_face(replace(SMALL, identity_coefficients=coefficients))
    np.testing.assert_array_equal(face.identity_coefficients, coefficients)
    assert np.abs(render_face(SMALL).identity_coefficients).max() <= 2.0


def test_a_darker_tone_gives_a_darker_cheek() -> None:
    brightness = []
    for tone in (1, 4, 7, 10):
        face = render_face(replace(SMALL, skin_tone=tone, yaw=0.0))
        x, y = np.rint(face.landmarks[50, :2]).astype(int)
        brightness.append(face.image[y, x].mean())
    assert brightness == sorted(brightness, reverse=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"skin_tone": 11},
        {"hair_color": "green"},
        {"hair_type": "plaits"},
        {"width": 0},
        {"face_fraction": 0.0},
        {"identity_coefficients": (1.0,)},
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not "):
        SyntheticFaceSpec(**changes)  # type: ignore[arg-type]  # wrong on purpose


def test_loop_subdivision_keeps_a_closed_mesh_closed_and_a_plane_flat() -> None:
    octahedron = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], np.int32
    )
    matrix, triangles = loop_subdivision(octahedron, 6)
    assert matrix.shape == (18, 6)
    assert triangles.shape == (32, 3)
    assert len(boundary_edges(triangles)) == 0
    # Affine maps commute with the subdivision: each row sums to one.
    np.testing.assert_allclose(matrix @ np.ones(6), np.ones(18), atol=1e-15)
    # By symmetry every old vertex moves towards the centre, by Loop's weight for four neighbours.
    corners = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
    np.testing.assert_allclose((matrix @ corners)[:6], corners * (1 - 4 * 3 / 32))
