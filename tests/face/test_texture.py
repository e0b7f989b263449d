from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.face.canonical import canonical_mesh
from emulator.face.detection import MediaPipeDetector
from emulator.face.fit import fit_head
from emulator.face.head import head_mesh, skin_places
from emulator.face.landmarks import (
    CHIN_TIP,
    LEFT_CHEEK,
    LEFT_EYE,
    LEFT_EYEBROW,
    LEFT_EYEBROW_UPPER,
    LIPS_OUTER,
    NOSTRILS,
    RIGHT_EYE,
    RIGHT_TEMPLE,
)
from emulator.face.mesh import Mesh
from emulator.face.pose import Pose, WeakPerspective, rotation_matrix
from emulator.face.rasterize import rasterize, uv_to_pixels
from emulator.face.synthetic import SyntheticFaceSpec, render_face
from emulator.face.texture import TextureView, bake_texture, pull_push
from emulator.face.types import Image, Points3
from emulator.face.unfolding import unfolded

SIZE = 256


def camera(yaw: float) -> WeakPerspective:
    return WeakPerspective(22.0, rotation_matrix(Pose(yaw, 0.0, 0.0)), np.array([200.0, 180.0]))


def smooth_texture() -> Image:
    """Return a soft, mirror-symmetric checkerboard pattern, so that each half determines the other."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    checks = np.cos((x - (SIZE - 1) / 2) / 9.0) * np.sin(y / 11.0)
    pixels = np.stack([128 + 90 * checks, 130 + 0.3 * y, 190 - 60 * checks], axis=2)
    texture: Image = np.rint(pixels).astype(np.uint8)
    return texture


def photograph(mesh: Mesh, points: Points3, texture: Image) -> Image:
    """Render the unlit mesh on a black background."""
    raster = rasterize(points, mesh.triangles, 400, 400)
    place = raster.interpolate(uv_to_pixels(mesh.uv, SIZE, SIZE), mesh.uv_triangles).astype(np.float32)
    seen = cv2.remap(texture, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.where(raster.triangle_index[..., np.newaxis] >= 0, seen, 0).astype(np.uint8)


def chart(mesh: Mesh) -> NDArray[np.bool_]:
    texels = np.zeros((len(mesh.uv), 3))
    texels[:, :2] = uv_to_pixels(mesh.uv, SIZE, SIZE)
    return rasterize(texels, mesh.uv_triangles, SIZE, SIZE).triangle_index >= 0


@pytest.mark.parametrize("yaw", [0.0, 25.0, -40.0])
def test_baking_a_photograph_restores_the_texture(yaw: float) -> None:
    mesh, truth = canonical_mesh(), smooth_texture()
    points = camera(yaw).project(mesh.vertices)
    baked = bake_texture(mesh, [TextureView(points, photograph(mesh, points, truth))], SIZE)
    difference = np.abs(baked.image.astype(int) - truth.astype(int)).max(axis=2)
    seen = baked.coverage > 0.99
    assert seen[chart(mesh)].mean() > 0.35
    # Two resamplings change a pattern with a period of 60 texels by only a few grey levels.
    assert np.percentile(difference[seen], 99) <= 4
    assert difference[seen].mean() < 1


def test_hidden_parts_are_taken_from_the_other_half() -> None:
    mesh, truth = canonical_mesh(), smooth_texture()
    points = camera(40.0).project(mesh.vertices)
    baked = bake_texture(mesh, [TextureView(points, photograph(mesh, points, truth))], SIZE)
    hidden = (baked.coverage == 0) & (baked.coverage[:, ::-1] > 0.99)
    assert hidden.sum() > 1000
    difference = np.abs(baked.image.astype(int) - truth.astype(int)).max(axis=2)
    assert np.percentile(difference[hidden], 95) <= 8


def test_the_background_does_not_reach_the_texture() -> None:
    # The face has one colour on black. No texel is darker than the face, not even outside the chart.
    mesh = canonical_mesh()
    for yaw in (0.0, 35.0):
        points = camera(yaw).project(mesh.vertices)
        flat = photograph(mesh, points, np.full((SIZE, SIZE, 3), 200, np.uint8))
        baked = bake_texture(mesh, [TextureView(points, flat)], SIZE)
        assert baked.image.min() >= 190
        assert baked.coverage[~chart(mesh)].max() == 0


def test_a_minified_photograph_is_averaged() -> None:
    # With four photograph pixels per texel, checks of single pixels average to their mean.
    mesh = canonical_mesh()
    points = camera(0.0).project(mesh.vertices) * 8
    y, x = np.mgrid[0:3200, 0:3200]
    checks = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    baked = bake_texture(mesh, [TextureView(points, checks)], SIZE)
    assert np.abs(baked.image[baked.coverage > 0.99].astype(int) - 128).max() <= 6


def test_baking_is_deterministic_and_does_not_change_its_arguments() -> None:
    mesh, truth = canonical_mesh(), smooth_texture()
    points = camera(20.0).project(mesh.vertices)
    picture = photograph(mesh, points, truth)
    before = points.copy(), picture.copy()
    first, second = (bake_texture(mesh, [TextureView(points, picture)], 128) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.coverage, second.coverage)
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(picture, before[1])


def test_a_face_outside_the_photograph_has_no_coverage() -> None:
    mesh = canonical_mesh()
    points = camera(0.0).project(mesh.vertices) + np.array([5000.0, 0.0, 0.0])
    baked = bake_texture(mesh, [TextureView(points, np.full((50, 50, 3), 90, np.uint8))], 64)
    assert not baked.coverage.any()
    assert not baked.image.any()


def test_points_that_do_not_match_the_mesh_are_refused() -> None:
    with pytest.raises(ValueError, match="camera_points"):
        bake_texture(canonical_mesh(), [TextureView(np.zeros((3, 3)), np.zeros((4, 4, 3), np.uint8))], 16)


def test_pull_push_keeps_known_values_and_continues_a_constant() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((37, 50, 3)).astype(np.float32)
    known = (rng.random((37, 50)) < 0.1).astype(np.float32)
    np.testing.assert_array_equal(pull_push(values, known)[known == 1], values[known == 1])
    constant = np.full((37, 50, 3), 7.0, np.float32)
    np.testing.assert_allclose(pull_push(constant * known[..., np.newaxis], known), constant, rtol=1e-5)


def lopsided_texture() -> Image:
    """Return a soft checkerboard pattern that is not mirror-symmetric in green."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    checks = np.cos((x - (SIZE - 1) / 2) / 9.0) * np.sin(y / 11.0)
    pixels = np.stack([128 + 60 * checks, 130 + 40 * np.sin(x / 14.0), 190 - 60 * checks], axis=2)
    texture: Image = np.rint(pixels).astype(np.uint8)
    return texture


def difference_on_chart(baked: Image, truth: Image) -> float:
    inside = chart(canonical_mesh())
    return float(np.abs(baked.astype(int) - truth.astype(int)).max(axis=2)[inside].mean())


def test_more_photographs_cover_more_and_each_half_comes_from_the_photograph_that_shows_it() -> None:
    mesh, truth = canonical_mesh(), lopsided_texture()
    views = [
        TextureView(points, photograph(mesh, points, truth))
        for points in (camera(yaw).project(mesh.vertices) for yaw in (0.0, 45.0, -45.0))
    ]
    one, three = (bake_texture(mesh, views[:count], SIZE) for count in (1, 3))
    assert three.coverage.sum() > 1.1 * one.coverage.sum()
    assert (three.coverage >= one.coverage - 1e-6).all()
    assert difference_on_chart(three.image, truth) < 0.5 * difference_on_chart(one.image, truth)
    seen = three.coverage > 0.99
    difference = np.abs(three.image.astype(int) - truth.astype(int)).max(axis=2)
    assert np.percentile(difference[seen], 99) <= 5


def test_photographs_in_other_light_meet_without_a_seam() -> None:
    mesh = canonical_mesh()
    views = []
    for yaw, grey in ((35.0, 120), (-35.0, 160)):
        points = camera(yaw).project(mesh.vertices)
        views.append(TextureView(points, photograph(mesh, points, np.full((SIZE, SIZE, 3), grey, np.uint8))))
    baked = bake_texture(mesh, views, SIZE)
    assert np.abs(baked.image.astype(int) - 120).max() <= 3


def test_the_same_photograph_twice_gives_the_texture_of_one() -> None:
    mesh, truth = canonical_mesh(), lopsided_texture()
    points = camera(15.0).project(mesh.vertices)
    view = TextureView(points, photograph(mesh, points, truth))
    once, twice = (bake_texture(mesh, [view] * count, SIZE) for count in (1, 2))
    assert np.abs(once.image.astype(int) - twice.image.astype(int)).max() <= 1
    np.testing.assert_allclose(once.coverage, twice.coverage)


def test_a_texture_beyond_the_resolution_of_the_photograph_is_enlarged() -> None:
    mesh, truth = canonical_mesh(), smooth_texture()
    points = camera(0.0).project(mesh.vertices)
    view = TextureView(points, photograph(mesh, points, truth))
    small, large = (bake_texture(mesh, [view], size).image for size in (256, 1024))
    assert large.shape == (1024, 1024, 3)
    shrunk = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(shrunk - small.astype(int))[chart(mesh)].mean() < 1.5


def test_an_empty_list_of_photographs_is_refused() -> None:
    with pytest.raises(ValueError, match="views"):
        bake_texture(canonical_mesh(), [], 16)


def test_hair_over_forehead_and_temples_is_not_in_the_texture_but_brows_and_beard_are() -> None:
    mesh = head_mesh(canonical_mesh().vertices)
    points = WeakPerspective(18.0, rotation_matrix(Pose(0.0, 0.0, 0.0)), np.array([200.0, 200.0])).project(
        mesh.vertices
    )
    skin, hair = (205, 165, 140), (60, 40, 25)
    picture = np.full((400, 400, 3), skin, np.uint8)
    brows = int(points[list(LEFT_EYEBROW_UPPER), 1].min())
    left, right = points[list(LEFT_EYE), 0].max() + 35, points[list(RIGHT_EYE), 0].min() - 35
    picture[: brows - 35] = hair
    picture[:, int(left) :] = picture[:, : int(right)] = hair
    # Dark parts of the face itself must stay: the brows and a beard.
    picture[brows : brows + 12] = (70, 50, 40)
    picture[int(points[CHIN_TIP, 1]) - 30 :] = (90, 70, 60)

    view = TextureView(points, picture)
    with_hair = bake_texture(mesh, [view], SIZE).image
    bare = bake_texture(mesh, [view], SIZE, skin_places()).image

    def at(image: Image, *landmarks: int) -> NDArray[np.int64]:
        columns, rows = np.rint(uv_to_pixels(mesh.uv[list(landmarks)], SIZE, SIZE)).astype(int).T
        colors: NDArray[np.int64] = image[rows, columns].astype(np.int64)
        return colors

    covered = (10, 338, 109, 297, 67)
    assert np.abs(at(with_hair, *covered) - hair).max() <= 12
    assert np.abs(at(bare, *covered) - skin).max() <= 30
    # The outer edge of the cheek is omitted, because the hair covers it.
    kept = (*LEFT_EYE, *LIPS_OUTER, *LEFT_EYEBROW, CHIN_TIP, *LEFT_CHEEK[4:7], *LEFT_CHEEK[8:])
    # These are far from the hair. They differ only by rounding, because filled areas blend with them.
    assert np.abs(at(bare, *kept) - at(with_hair, *kept)).max() <= 1


def test_hair_over_the_outer_cheeks_is_not_spread_over_the_sides_of_the_head() -> None:
    mesh = head_mesh(canonical_mesh().vertices)
    points = WeakPerspective(18.0, rotation_matrix(Pose(30.0, 0.0, 0.0)), np.array([200.0, 200.0])).project(
        mesh.vertices
    )
    skin, hair = (205, 165, 140), (150, 110, 60)
    picture = np.full((400, 400, 3), skin, np.uint8)
    # On the nearer side, blond hair covers the area beside the eye, down to the mouth.
    edge = int(points[list(RIGHT_TEMPLE), 0].mean())
    picture[: int(points[list(LIPS_OUTER), 1].mean()), :edge] = hair
    sides = mesh.vertices[:, 1] > mesh.vertices[list(LIPS_OUTER), 1].max()
    sides &= (np.abs(mesh.vertices[:, 0]) > 5.4) & (mesh.vertices[:, 1] < 4.0)
    columns, rows = np.rint(uv_to_pixels(mesh.uv[sides], SIZE, SIZE)).astype(int).T
    baked = bake_texture(mesh, [TextureView(points, picture)], SIZE, skin_places()).image[rows, columns]
    assert np.abs(baked.astype(int) - skin).mean() < 3.0


@pytest.mark.parametrize("seed", [64, 70, 71, 72])
def test_the_tips_of_a_fringe_leave_no_spots_on_the_forehead(seed: int) -> None:
    drawn = render_face(SyntheticFaceSpec(seed=seed, width=800, height=800))
    landmarks = MediaPipeDetector().detect(drawn.image)[0].landmarks
    fit = fit_head(landmarks)
    seen = TextureView(fit.camera.project(head_mesh(fit.landmarks_cm).vertices), drawn.image)
    head = head_mesh(fit.mesh.vertices)
    texture = bake_texture(head, [seen], 384, skin_places()).image
    # The middle half of the width, from above the brows to the top.
    forehead = cv2.cvtColor(texture[: int(0.2 * 384), 96:288], cv2.COLOR_RGB2GRAY).astype(np.float32)
    around = cv2.GaussianBlur(forehead, (0, 0), 20)
    assert float((forehead / around).min()) > 0.82


@pytest.mark.parametrize(
    ("seed", "yaw", "pitch"), [(17, 0, 0), (54, 0, 0), (20, 0, 0), (64, 0, 5), (65, -30, 10)]
)
def test_nostrils_stay_as_dark_as_in_the_photograph(seed: int, yaw: float, pitch: float) -> None:
    picture = render_face(SyntheticFaceSpec(seed=seed, yaw=yaw, pitch=pitch)).image
    fit = fit_head(MediaPipeDetector().detect(picture, crops=4)[0].landmarks)
    head = head_mesh(unfolded(fit.landmarks_cm))
    points = fit.camera.project(head.vertices)
    texture = bake_texture(head, [TextureView(points, picture)], 512, skin_places()).image
    nearer = [index for index in NOSTRILS if canonical_mesh().vertices[index, 0] * yaw >= 0]
    columns, rows = uv_to_pixels(head.uv[nearer], 512, 512).T
    baked = _lightness(texture, columns, rows)
    photo = _lightness(picture, *points[nearer, :2].T)
    skin = float(np.median(_lightness(picture, *points[list(LEFT_CHEEK), :2].T)))
    dark = photo <= np.quantile(photo, 0.25)
    assert photo[dark].mean() < 0.6 * skin
    assert baked[dark].mean() < photo[dark].mean() + 0.02 * skin
    assert np.abs(baked - photo).mean() < 0.035 * skin


def _lightness(image: Image, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the luminance (N,) at positions in pixels."""
    soft = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.5), cv2.COLOR_RGB2GRAY)
    at = (columns.astype(np.float32), rows.astype(np.float32))
    return np.asarray(cv2.remap(soft, *at, cv2.INTER_LINEAR), np.float64).ravel()
