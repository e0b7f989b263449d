from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emulator.face.mesh import Mesh
from emulator.face.rasterize import rasterize, render_mesh, uv_to_pixels


def brute_force(
    points: NDArray[np.float64], triangles: NDArray[np.int32], height: int, width: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Rasterise pixel by pixel in floating point. No pixel's centre may be on an edge of a triangle."""
    index = np.full((height, width), -1, np.int32)
    depth = np.full((height, width), np.inf)
    for t, corners in enumerate(points[triangles]):
        a, b, c = corners
        system = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]])
        for y in range(height):
            for x in range(width):
                weights = np.linalg.solve(system, [x, y, 1.0])
                z = weights @ corners[:, 2]
                if (weights >= 0).all() and z < depth[y, x]:
                    index[y, x], depth[y, x] = t, z
    return index, depth


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_agrees_with_brute_force_on_random_triangles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, 20, (12, 3))
    triangles = rng.permutation(12).reshape(4, 3).astype(np.int32)
    raster = rasterize(points, triangles, 14, 17)
    index, depth = brute_force(points, triangles, 14, 17)
    np.testing.assert_array_equal(raster.triangle_index, index)
    np.testing.assert_allclose(raster.depth, depth, atol=1e-9)
    seen = index >= 0
    place = raster.interpolate(points, triangles)[seen]
    y, x = np.nonzero(seen)
    np.testing.assert_allclose(place, np.stack([x, y, depth[seen]], axis=1), atol=2e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_neighbouring_triangles_leave_no_gap_and_do_not_overlap(seed: int) -> None:
    # A fan around any inner point covers each pixel of the square exactly once, even if edges and
    # corners are on pixel centres.
    rng = np.random.default_rng(seed)
    inner = rng.integers(1, 31, 2) / 2.0
    points = np.array([[0, 0, 0], [16, 0, 0], [16, 16, 0], [0, 16, 0], [*inner, 0]], np.float64)
    triangles = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], np.int32)
    alone = [rasterize(points, triangles[t : t + 1], 20, 20).triangle_index == 0 for t in range(4)]
    expected = np.zeros((20, 20), int)
    expected[:16, :16] = 1
    np.testing.assert_array_equal(np.sum(alone, axis=0), expected)


def test_of_equally_near_triangles_the_first_wins() -> None:
    points = np.array([[0, 0, 1], [8, 0, 1], [0, 8, 1]], np.float64)
    triangles = np.array([[0, 1, 2], [2, 1, 0]], np.int32)
    raster = rasterize(points, triangles, 8, 8)
    assert set(np.unique(raster.triangle_index)) == {-1, 0}
    assert (raster.triangle_index[:4, :4] == 0).all()


def test_the_nearer_triangle_hides_the_farther() -> None:
    points = np.array([[0, 0, 5], [8, 0, 5], [0, 8, 5], [0, 0, 2], [4, 0, 2], [0, 4, 2]], np.float64)
    raster = rasterize(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 8, 8)
    assert raster.triangle_index[0, 0] == 1
    assert raster.depth[0, 0] == 2.0
    assert raster.triangle_index[0, 6] == 0


def test_triangles_without_area_or_outside_cover_nothing() -> None:
    points = np.array(
        [[0, 0, 0], [4, 4, 0], [8, 8, 0], [1e9, 1e9, 0], [1e9, 2e9, 0], [2e9, 1e9, 0]], np.float64
    )
    raster = rasterize(points, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 8, 8)
    assert (raster.triangle_index == -1).all()
    assert np.isinf(raster.depth).all()
    assert not raster.barycentric.any()


def test_no_triangles_give_an_empty_raster() -> None:
    raster = rasterize(np.zeros((0, 3)), np.zeros((0, 3), np.int32), 3, 4)
    np.testing.assert_array_equal(raster.triangle_index, np.full((3, 4), -1))


def test_points_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        rasterize(np.full((3, 3), np.nan), np.array([[0, 1, 2]], np.int32), 4, 4)


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="pixels"):
        rasterize(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), 0, 4)


def test_uv_corners_are_the_image_corners() -> None:
    pixels = uv_to_pixels(np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]), 10, 20)
    np.testing.assert_array_equal(pixels, [[-0.5, 9.5], [19.5, -0.5], [9.5, 4.5]])


def test_a_rendered_square_shows_its_texture_upright_and_unmirrored() -> None:
    square = Mesh(
        np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64),
        np.array([[0, 1, 2], [0, 2, 3]], np.int32),
    )
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:4, :4] = (255, 0, 0)
    texture[:4, 4:] = (0, 255, 0)
    texture[4:, :4] = (0, 0, 255)
    picture = render_mesh(square, texture, np.eye(3), 64, background=(9, 9, 9))
    assert picture.shape == (64, 64, 3)
    assert picture[24, 24].argmax() == 0
    assert picture[24, 40].argmax() == 1
    assert picture[40, 24].argmax() == 2
    assert not picture[40, 40].any()
    np.testing.assert_array_equal(picture[0, 0], (9, 9, 9))
