from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

from emulator.face import identity
from emulator.face.canonical import canonical_mesh
from emulator.face.fit import camera_on, fit_head
from emulator.face.head import head_mesh
from emulator.face.identity import IDENTITY_COUNT
from emulator.face.landmarks import LOWER_LIP_INNER, LOWER_LIP_OUTER, MIRROR, SURFACE_COUNT, UPPER_LIP_INNER
from emulator.face.likely_shape import observed_shape
from emulator.face.synthetic import Expression, SyntheticFaceSpec, render_face
from emulator.face.synthetic.expression import expressed
from emulator.face.synthetic.named import NAMED_FACES
from emulator.face.types import Points3
from emulator.face.unfolding import opening_vertices, unfolded
from emulator.pipelines.core import detector
from emulator.pipelines.reconstruct import CROPS
from laboratory.crossings import crossing_triangles


def crossings(face: Points3) -> int:
    """Return the number of pairs of triangles that intersect in the delivered head."""
    head = head_mesh(face)
    return len(crossing_triangles(head.vertices, head.triangles))


def somebody(seed: int, expression: Expression = Expression()) -> Points3:  # noqa: B008 - it is frozen
    coefficients = np.random.default_rng(seed).normal(size=IDENTITY_COUNT)
    return expressed(identity.mesh(coefficients).vertices, expression)


def acting(seed: int) -> Expression:
    rng = np.random.default_rng([seed, 1])
    return Expression(*(rng.random(4) * (rng.random(4) < 0.4)))


def pressed(face: Points3, overlap_cm: float) -> Points3:
    """Return a face with its lower lip pushed up through the upper lip."""
    moved = face.copy()
    for row in (LOWER_LIP_INNER, LOWER_LIP_OUTER):
        moved[list(row[1:-1]), 1] += overlap_cm
    return moved


def test_the_check_finds_a_triangle_that_passes_through_another_one() -> None:
    vertices = np.array(
        [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0.5, 0.5, -1], [0.5, 0.5, 1], [3, 3, 1], [9, 9, 9], [8, 9, 9]],
        float,
    )
    crossing = crossing_triangles(vertices, np.array([[0, 1, 2], [3, 4, 5], [0, 6, 7]], np.int32))
    assert crossing.tolist() == [[0, 1]]


def test_the_check_ignores_triangles_that_only_touch() -> None:
    square = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [2, 2, 0], [1, 1, 1], [1, 1, 3]], float)
    # The two halves of a square, and one that stands on their common edge.
    halves = np.array([[0, 1, 2], [1, 3, 2], [0, 4, 5]], np.int32)
    assert len(crossing_triangles(square, halves)) == 0


FACES = Path(__file__).parents[2] / "fixtures" / "faces"
FACES_ALONE = [name for name, face in NAMED_FACES.items() if len(face.people) == 1 and face.damage is None]


@pytest.mark.parametrize("name", FACES_ALONE)
def test_no_test_face_has_a_head_that_intersects_itself(name: str) -> None:
    with PillowImage.open(FACES / f"{name}.jpg") as picture:
        image = np.asarray(picture.convert("RGB"))
    for face in detector().detect(image, crops=CROPS):
        fit = fit_head(face.landmarks)
        for shape in (observed_shape([fit]), fit.mesh.vertices, fit.landmarks_cm):
            assert crossings(unfolded(shape)) == 0


def test_unfolding_the_lips_of_a_test_face_keeps_its_head_on_the_photo() -> None:
    fit = fit_head(
        detector().detect(render_face(NAMED_FACES["ok-frontal"].people[0]).image, crops=CROPS)[0].landmarks
    )
    shape = fit.mesh.vertices
    free = unfolded(shape)
    assert crossings(shape) > 50
    assert 0.0 < np.linalg.norm(free - shape, axis=1).max() < 0.16
    goal = fit.camera.project(fit.landmarks_cm)[:, :2]
    off = {
        name: float(np.linalg.norm(camera_on(fit, face).project(face)[:, :2] - goal, axis=1).mean())
        for name, face in (("before", shape), ("after", free))
    }
    assert off["after"] < 1.01 * off["before"]


@pytest.mark.parametrize("seed", range(8))
def test_no_person_in_any_pose_or_expression_has_a_head_that_intersects_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spec = SyntheticFaceSpec(
        seed=710_000 + seed,
        expression=acting(seed),
        yaw=rng.uniform(-40, 40),
        pitch=rng.uniform(-20, 20),
        roll=rng.uniform(-30, 30),
        width=360,
        height=360,
    )
    for face in detector().detect(render_face(spec).image, crops=CROPS):
        fit = fit_head(face.landmarks)
        assert crossings(unfolded(observed_shape([fit]))) == 0


@pytest.mark.parametrize("seed", range(40))
def test_no_head_of_the_model_intersects_itself(seed: int) -> None:
    assert crossings(unfolded(somebody(seed, acting(seed)))) == 0


@pytest.mark.parametrize("overlap_cm", [0.05, 0.2, 0.4])
def test_lips_that_are_pressed_into_each_other_are_parted(overlap_cm: float) -> None:
    face = pressed(canonical_mesh().vertices, overlap_cm)
    free = unfolded(face)
    assert crossings(face) > 20
    assert crossings(free) == 0
    upper, lower = free[list(UPPER_LIP_INNER[1:-1])], free[list(LOWER_LIP_INNER)]
    assert (upper[:, 1] > np.interp(upper[:, 0], lower[:, 0], lower[:, 1])).all()
    # Both lips yield, so neither moves by the whole overlap.
    assert np.linalg.norm(free - face, axis=1).max() < overlap_cm + 0.03


def test_a_face_whose_triangles_all_face_the_front_stays_as_it_is() -> None:
    face = canonical_mesh().vertices
    np.testing.assert_array_equal(unfolded(face), face)


@pytest.mark.parametrize("seed", range(5))
def test_only_lips_lids_and_the_skin_beside_them_move_and_only_in_the_frontal_plane(seed: int) -> None:
    face = pressed(somebody(seed), 0.2)
    moved = unfolded(face) - face
    assert (moved[:, 2] == 0).all()
    touched = np.zeros(SURFACE_COUNT, np.bool_)
    triangles = canonical_mesh().triangles
    touched[triangles[np.isin(triangles, opening_vertices()).any(axis=1)]] = True
    assert (moved[~touched] == 0).all()


def test_unfolding_a_mirror_image_gives_the_mirror_image() -> None:
    mirror = np.array(MIRROR[:SURFACE_COUNT])
    flip: NDArray[np.float64] = np.array([-1.0, 1.0, 1.0])
    face = pressed(somebody(3), 0.15)
    np.testing.assert_allclose(unfolded(face[mirror] * flip), unfolded(face)[mirror] * flip, atol=1e-6)


def test_the_input_stays_unchanged() -> None:
    face = pressed(canonical_mesh().vertices, 0.2)
    before = face.copy()
    unfolded(face)
    np.testing.assert_array_equal(face, before)


@pytest.mark.parametrize("face", [np.zeros((467, 3)), np.zeros((468, 2)), np.full((468, 3), np.nan)])
def test_other_faces_are_refused(face: Points3) -> None:
    with pytest.raises(ValueError, match="face"):
        unfolded(face)


def test_a_face_that_no_motion_unfolds_is_returned_without_more_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = 0

    def no_motion(slopes: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal rounds
        rounds += 1
        return np.zeros(slopes.shape[1])

    monkeypatch.setattr("emulator.face.unfolding._shortest_motion", no_motion)
    face = canonical_mesh().vertices * (-1.0, 1.0, 1.0)
    np.testing.assert_array_equal(unfolded(face), face)
    # One for each of the mouth, the two eyes and the nostrils.
    assert rounds == 4
