from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from emulator.face.displacement import (
    displacement_field,
    minimum_jacobian,
)
from emulator.face.types import Image, Points2
from emulator.face.warp import Share, warp_cutout, warp_image

SHAPE = (240, 320)

R = TypeVar("R")


def picture(shape: tuple[int, int] = SHAPE) -> Image:
    return np.random.default_rng(7).integers(0, 256, (*shape, 3), dtype=np.uint8)


def lattice(step: int = 20) -> Points2:
    x, y = np.meshgrid(np.arange(80, 241, step), np.arange(60, 181, step))
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)


def test_a_field_that_moves_nothing_returns_the_input_bit_for_bit() -> None:
    image = picture()
    field = displacement_field(lattice(), lattice(), SHAPE, radius=50)
    assert field.is_zero
    warped = warp_image(image, field)
    assert np.array_equal(warped, image)
    assert not np.shares_memory(warped, image)
    assert minimum_jacobian(field) == 1.0


def test_pixels_that_do_not_move_equal_the_input() -> None:
    image = picture()
    src = lattice()
    field = displacement_field(src, src + np.array([4.0, 0.0]), SHAPE, radius=40)
    warped = warp_image(image, field)
    still = ~field.dense().any(axis=2)
    assert 0.1 < still.mean() < 0.9
    assert np.array_equal(warped[still], image[still])
    assert (warped[~still] != image[~still]).any(axis=1).mean() > 0.9


def test_a_shift_by_whole_pixels_copies_pixels_but_for_rounding() -> None:
    image = picture()
    src = lattice(10)
    field = displacement_field(src, src + np.array([3.0, 2.0]), SHAPE, radius=30, limit=False)
    # In the middle of the lattice, the field is close to the shift.
    inner = (slice(115, 125), slice(155, 165))
    assert np.abs(field.dense()[inner] - [-3.0, -2.0]).max() < 0.05
    difference = warp_image(image, field)[inner].astype(int) - image[113:123, 152:162]
    assert np.abs(difference).mean() < 3


def test_a_cutout_s_invisible_colours_do_not_bleed() -> None:
    image = np.full((*SHAPE, 3), (0, 255, 0), np.uint8)
    alpha = np.zeros(SHAPE, np.uint8)
    image[:, 100:200], alpha[:, 100:200] = (200, 40, 90), 255
    src = lattice()
    field = displacement_field(src, src + np.array([5.0, 0.0]), SHAPE, radius=60)
    warped, warped_alpha = warp_cutout(image, alpha, field)
    assert (np.abs(warped[warped_alpha > 0].astype(int) - (200, 40, 90)) <= 1).all()
    assert warped_alpha[120, 203] == 255
    assert warped_alpha[120, 102] == 0
    still = ~field.dense().any(axis=2)
    assert np.array_equal(warped[still], image[still])
    assert np.array_equal(warped_alpha[still], alpha[still])


def test_an_opaque_cutout_is_the_picture() -> None:
    image = picture()
    src = lattice()
    field = displacement_field(src, src + np.array([5.0, 2.0]), SHAPE, radius=60)
    warped, alpha = warp_cutout(image, np.full(SHAPE, 255, np.uint8), field)
    assert (alpha == 255).all()
    # Weighted and unweighted colours are rounded at different stages.
    assert np.abs(warped.astype(int) - warp_image(image, field)).max() <= 4


def test_the_resampled_positions_are_the_fields() -> None:
    x = np.broadcast_to(np.linspace(0, 255, SHAPE[1]), SHAPE)
    y = np.broadcast_to(np.linspace(0, 255, SHAPE[0])[:, None], SHAPE)
    ramps = np.stack([x, y, x], axis=-1)
    src = lattice()
    field = displacement_field(src, src + np.array([6.0, -3.0]), SHAPE, radius=60)
    warped = warp_image(np.rint(ramps).astype(np.uint8), field).astype(float)
    dense = field.dense()
    expected = ramps.copy()
    expected[:, :, 0] += dense[:, :, 0] * 255 / (SHAPE[1] - 1)
    expected[:, :, 1] += dense[:, :, 1] * 255 / (SHAPE[0] - 1)
    assert np.abs(warped - expected)[:, :, :2].max() < 1.2


def test_a_field_is_refused_for_a_picture_of_another_size() -> None:
    field = displacement_field(lattice(), lattice() + 1.0, SHAPE, radius=50)
    with pytest.raises(ValueError, match="field is for"):
        warp_image(picture((100, 100)), field)


def test_parts_can_be_resampled_in_any_order() -> None:
    def at_once(function: Callable[[], R]) -> Callable[[], R]:
        result = function()
        return lambda: result

    image, src = picture(), lattice()
    field = displacement_field(src, src + np.array([4.0, 2.0]), SHAPE, radius=60)
    np.testing.assert_array_equal(warp_image(image, field, later=at_once), warp_image(image, field))


def test_a_share_has_its_own_values_at_their_places_and_interpolates_between_them() -> None:
    values = np.random.default_rng(3).random((7, 5), dtype=np.float32)
    share = Share((-1.5, 4.0), (2.5, 1.25), values)
    x, y = -1.5 + 2.5 * np.arange(5), 4.0 + 1.25 * np.arange(7)
    np.testing.assert_array_equal(share.sampled(x, y), values)
    np.testing.assert_array_equal(share.sampled(x[1:], y[:-2]), values[:-2, 1:])
    between = share.sampled(x[:-1] + 1.25, y)
    np.testing.assert_allclose(between, (values[:, :-1] + values[:, 1:]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(share.sampled(x - 100.0, y), np.repeat(values[:, :1], 5, axis=1))
