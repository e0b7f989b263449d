from __future__ import annotations

import cv2
import numpy as np
import pytest

from emulator.face.resampling import part_for
from emulator.face.types import Image, Matrix


def ramps(height: int, width: int) -> Image:
    """Return a picture with red = x and green = y, so that a mean of pixels is their mean position."""
    y, x = np.indices((height, width), np.uint8)
    return np.stack([x, y, np.zeros_like(x)], axis=2)


def similarity(scale: float, angle_deg: float, x: float, y: float) -> Matrix:
    angle = np.radians(angle_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, (x, y)])


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.4, 2.0, 3.3, 5.0])
@pytest.mark.parametrize("angle_deg", [0, 30, -75, 180])
def test_a_sample_has_the_pixels_of_its_place(scale: float, angle_deg: float) -> None:
    picture = ramps(220, 240)
    x, y = 120 - scale * 10, 110 - scale * 10
    to_picture = similarity(scale, angle_deg, x, y)
    # Rotate about the middle of the sample, so that it stays in the picture.
    to_picture[:, 2] += np.array([10.0, 10.0]) * scale - to_picture[:, :2] @ (10.0, 10.0)
    part = part_for(picture, to_picture, 21, 21)
    assert part.factor == max(1, round(scale))
    sampled = part.sample(to_picture, 21, 21, cv2.BORDER_CONSTANT)
    rows, columns = np.mgrid[:21, :21]
    places = np.stack([columns, rows], axis=2) @ to_picture[:, :2].T + to_picture[:, 2]
    # Values are rounded twice, and positions are in steps of 1/32 of the part's pixels.
    assert np.abs(sampled[..., :2] - places).max() <= 1.0 + scale / 32


def test_a_sample_at_full_scale_has_the_same_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    to_picture = similarity(1.0, 0, 7, 9)
    part = part_for(picture, to_picture, 20, 16)
    np.testing.assert_array_equal(part.sample(to_picture, 20, 16, cv2.BORDER_REPLICATE), picture[9:25, 7:27])


def test_a_reduced_sample_averages_all_pixels() -> None:
    # The stripes are finer than the sample's pixels. Sampling without averaging would show some of them.
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[:, ::2] = 200
    to_picture = similarity(4.0, 0, 1.5, 1.5)
    sampled = part_for(picture, to_picture, 60, 60).sample(to_picture, 60, 60, cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(sampled, np.full((60, 60, 3), 100, np.uint8))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (50, 2, 3)])
@pytest.mark.parametrize("place", [(-500.0, -500.0), (0.0, 0.0), (700.0, 10.0)])
def test_a_sample_outside_the_picture_repeats_its_edge(
    shape: tuple[int, int, int], place: tuple[float, float]
) -> None:
    picture = np.full(shape, 77, np.uint8)
    to_picture = similarity(6.0, 20, *place)
    sampled = part_for(picture, to_picture, 30, 30, margin=0.1).sample(
        to_picture, 30, 30, cv2.BORDER_REPLICATE
    )
    np.testing.assert_array_equal(sampled, np.full((30, 30, 3), 77, np.uint8))


def test_a_margin_contains_the_pixels_of_a_turned_sample() -> None:
    picture = ramps(200, 200)
    plain, turned = similarity(1.0, 0, 80, 80), similarity(1.0, 5, 80, 80)
    wide = part_for(picture, plain, 40, 40, margin=0.12)
    own = part_for(picture, turned, 40, 40)
    np.testing.assert_array_equal(
        wide.sample(turned, 40, 40, cv2.BORDER_CONSTANT), own.sample(turned, 40, 40, cv2.BORDER_CONSTANT)
    )
