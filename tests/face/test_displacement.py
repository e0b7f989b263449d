from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.face.displacement import (
    MINIMUM_JACOBIAN,
    ProtectedArea,
    Window,
    displacement_field,
    kernel_sum,
    kernel_weights,
    minimum_jacobian,
)
from emulator.face.types import Image, Points2

SHAPE = (240, 320)


def picture(shape: tuple[int, int] = SHAPE) -> Image:
    return np.random.default_rng(7).integers(0, 256, (*shape, 3), dtype=np.uint8)


def lattice(step: int = 20) -> Points2:
    x, y = np.meshgrid(np.arange(80, 241, step), np.arange(60, 181, step))
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)


def test_kernels_take_the_given_values_at_their_points() -> None:
    random = np.random.default_rng(1)
    points = lattice() + random.uniform(-5, 5, lattice().shape)
    values = random.normal(0, 4, points.shape)
    weights = kernel_weights(points, values, radius=90)
    assert np.abs(kernel_sum(points, weights, 90, points) - values).max() < 1e-6


def test_kernels_are_exactly_zero_beyond_their_radius() -> None:
    points = np.array([[100.0, 100.0], [120.0, 90.0]])
    weights = kernel_weights(points, np.ones((2, 2)), radius=30)
    far = np.array([[151.0, 100.0], [69.0, 100.0], [100.0, 131.0]])
    assert not kernel_sum(points, weights, 30, far).any()


def test_coinciding_points_need_stiffness() -> None:
    points = np.full((2, 2), 50.0)
    values = np.array([[2.0, 0.0], [4.0, 0.0]])
    weights = kernel_weights(points, values, 40, stiffness=1e-6)
    assert kernel_sum(points, weights, 40, points) == pytest.approx(np.array([[3.0, 0.0]] * 2), abs=1e-4)


def test_the_field_leads_from_each_control_point_to_its_source() -> None:
    src = lattice()
    dst = src + np.random.default_rng(3).uniform(-2, 2, src.shape)
    field = displacement_field(src, dst, SHAPE, radius=60, limit=False)
    # The remaining error, up to 1/50 pixel, comes from the coarse grid.
    assert np.abs(dst + field.at(dst) - src).max() < 0.02


def test_the_dense_field_and_the_field_at_points_agree() -> None:
    src = lattice()
    field = displacement_field(src, src + np.array([3.0, -2.0]), SHAPE, radius=50)
    dense = field.dense()
    x, y = np.meshgrid(np.arange(0, SHAPE[1], 7), np.arange(0, SHAPE[0], 7))
    points = np.column_stack([x.ravel(), y.ravel()])
    assert np.abs(dense[points[:, 1], points[:, 0]] - field.at(points.astype(np.float64))).max() < 1e-4


def test_the_jacobian_is_that_of_the_dense_map() -> None:
    src = lattice()
    dst = src + np.random.default_rng(5).uniform(-3, 3, src.shape)
    field = displacement_field(src, dst, SHAPE, radius=60, limit=False)
    dense = field.dense().astype(np.float64)
    dx, dy = np.gradient(dense, axis=1), np.gradient(dense, axis=0)
    determinant = (1 + dx[..., 0]) * (1 + dy[..., 1]) - dy[..., 0] * dx[..., 1]
    assert minimum_jacobian(field) == pytest.approx(float(determinant.min()), abs=0.03)


def test_points_that_change_places_do_not_fold_the_picture_or_move_distant_pixels() -> None:
    swapped = np.array([[40.0, 120.0], [56.0, 120.0]])
    elsewhere = np.array([[260.0, 60.0], [280.0, 170.0]])
    src = np.concatenate([swapped, elsewhere])
    dst = np.concatenate([swapped[::-1], elsewhere + np.array([3.0, -2.0])])
    folded = displacement_field(src, dst, SHAPE, radius=80, limit=False)
    assert minimum_jacobian(folded) < 0
    limited = displacement_field(src, dst, SHAPE, radius=80)
    assert minimum_jacobian(limited) > MINIMUM_JACOBIAN
    assert np.abs(limited.at(swapped)).max() < np.abs(folded.at(swapped)).max()
    # The field is not scaled far from the fold, so it is bit-identical there.
    assert np.array_equal(limited.at(elsewhere), folded.at(elsewhere))


def test_a_window_limits_the_field_and_protects_its_areas() -> None:
    src = lattice()
    dst = src + np.array([4.0, 3.0])
    protected = np.array([[210.0, 100.0], [240.0, 100.0], [240.0, 140.0], [210.0, 140.0]])
    window = Window(dst, 10.0, 30.0, (ProtectedArea(protected, 20.0),))
    field = displacement_field(src, dst, SHAPE, radius=70, window=window)
    open_field = displacement_field(src, dst, SHAPE, radius=70)
    inner = np.array([[120.0, 90.0]])
    assert field.at(inner) == pytest.approx(open_field.at(inner), abs=1e-9)
    assert field.at(np.array([[220.0, 120.0], [238.0, 102.0]])) == pytest.approx(0.0, abs=0.02)
    dense = field.dense()
    # Check pixels beyond the end of the window and the reach of the spline between nodes.
    end = 30 + 2 * int(np.ceil(field.pitch))
    left, top = dst.min(axis=0).astype(int) - end
    assert left > 0
    assert top > 0
    assert not dense[:, :left].any()
    assert not dense[:top].any()
    assert open_field.dense()[:, : left + 1].any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0.5, 80))
def test_no_field_folds(seed: int, size: float) -> None:
    random = np.random.default_rng(seed)
    dst = random.uniform((0, 0), (SHAPE[1], SHAPE[0]), (30, 2))
    src = dst + random.normal(0, size, dst.shape)
    field = displacement_field(src, dst, SHAPE, radius=70, stiffness=1e-3)
    assert minimum_jacobian(field) > MINIMUM_JACOBIAN
    dense = field.dense().astype(np.float64)
    gx, gy = np.diff(dense, axis=1)[:-1], np.diff(dense, axis=0)[:, :-1]
    assert ((1 + gx[..., 0]) * (1 + gy[..., 1]) - gx[..., 1] * gy[..., 0]).min() > 0


def test_nothing_is_fetched_from_outside_the_picture() -> None:
    src = lattice() - [80.0, 0.0]
    field = displacement_field(src, src + np.array([9.0, 0.0]), SHAPE, radius=50)
    x = np.arange(SHAPE[1]) + field.dense()[:, :, 0]
    assert x.min() > -0.5
    # Elsewhere, the field still moves pixels.
    assert np.abs(field.dense()[120, 120]).max() > 5


@pytest.mark.parametrize(
    ("src", "dst", "radius"),
    [
        (np.zeros((3, 2)), np.ones((4, 2)), 10.0),
        (np.zeros((3, 2)), np.ones((3, 2)), 0.0),
        (np.full((3, 2), np.nan), np.ones((3, 2)), 10.0),
        (np.zeros((3, 3)), np.ones((3, 3)), 10.0),
    ],
)
def test_bad_control_points_are_refused(src: Points2, dst: Points2, radius: float) -> None:
    with pytest.raises(ValueError, match="must"):
        displacement_field(src, dst, SHAPE, radius=radius)
