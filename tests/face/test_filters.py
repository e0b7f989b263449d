from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emulator.face.color_filter import ColorFilter
from emulator.face.filters import apply_filter
from emulator.face.types import Image

small = st.floats(-1.0, 1.0)
tints = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
recipes = st.builds(
    ColorFilter,
    st.floats(0.0, 2.0),
    small,
    small,
    small,
    st.floats(0.0, 0.3),
    tints,
    tints,
    st.floats(0.0, 1.0),
)
images = arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


@pytest.fixture(scope="module")
def ramp() -> Image:
    """Every eighth colour, in a random order, so that the vignette does not depend on the colour."""
    values = np.arange(0, 256, 15, dtype=np.uint8)
    colors = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.random.default_rng(1).permutation(colors).reshape(54, -1, 3)


def means(image: Image) -> Any:
    return image.reshape(-1, 3).astype(float).mean(axis=0)


@given(images, recipes)
@settings(max_examples=60)
def test_a_filter_keeps_the_size_and_the_input(image: Image, recipe: ColorFilter) -> None:
    before = image.copy()
    filtered = apply_filter(image, recipe)
    assert filtered.shape == image.shape
    assert filtered.dtype == np.uint8
    assert np.array_equal(image, before)
    assert np.array_equal(apply_filter(image, recipe), filtered)


@given(images)
def test_the_default_recipe_changes_nothing(image: Image) -> None:
    filtered = apply_filter(image, ColorFilter())
    assert np.array_equal(filtered, image)
    assert not np.shares_memory(filtered, image)


@given(images, recipes)
@settings(max_examples=60)
def test_without_a_vignette_equal_colours_stay_equal(image: Image, recipe: ColorFilter) -> None:
    recipe = replace(recipe, vignette=0.0)
    alone = [apply_filter(color[None, None], recipe) for color in image.reshape(-1, 3)]
    assert np.array_equal(np.concatenate(alone).reshape(image.shape), apply_filter(image, recipe))


def test_saturation_0_is_the_luminance(ramp: Image) -> None:
    grey = apply_filter(ramp, ColorFilter(saturation=0.0)).astype(float)
    assert (grey == grey[:, :, :1]).all()
    assert np.abs(grey[:, :, 0] - ramp.astype(float) @ (0.299, 0.587, 0.114)).max() <= 0.6


def test_warmth_moves_red_and_blue_apart(ramp: Image) -> None:
    red, _, blue = means(apply_filter(ramp, ColorFilter(warmth=0.5))) - means(ramp)
    assert red > 3.0
    assert blue < -3.0
    red, _, blue = means(apply_filter(ramp, ColorFilter(warmth=-0.5))) - means(ramp)
    assert red < -3.0
    assert blue > 3.0


@pytest.mark.parametrize("is_contrast", [False, True], ids=["brightness", "contrast"])
@pytest.mark.parametrize("amount", [-0.6, 0.6])
def test_a_tone_curve_keeps_black_white_and_the_order(amount: float, *, is_contrast: bool) -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    recipe = ColorFilter(contrast=amount) if is_contrast else ColorFilter(brightness=amount)
    curve = apply_filter(grey, recipe)[0, :, 0].astype(int)
    assert (curve[0], curve[255]) == (0, 255)
    assert (np.diff(curve) >= 0).all()
    # A brightness acts most in the middle; a contrast moves dark and bright colours in opposite directions.
    assert np.sign(curve[64] - 64) == (-np.sign(amount) if is_contrast else np.sign(amount))
    assert np.sign(curve[192] - 192) == np.sign(amount)


def test_fade_and_tints_act_on_dark_and_bright_colours() -> None:
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert apply_filter(ends, ColorFilter(fade=0.2)).tolist() == [[[51, 51, 51], [255, 255, 255]]]
    tinted = apply_filter(ends, ColorFilter(shadows=(0.2, 0.0, 0.1), highlights=(0.0, -0.2, -0.4)))
    assert tinted.tolist() == [[[51, 0, 26], [255, 204, 153]]]


def test_the_vignette_darkens_the_corners_and_not_the_middle() -> None:
    white = np.full((300, 201, 3), 255, np.uint8)
    vignetted = apply_filter(white, ColorFilter(vignette=0.5))
    assert np.array_equal(vignetted, vignetted[::-1, ::-1])
    assert (vignetted[120:180, 80:120] == 255).all()
    assert vignetted[0, 0, 0] == pytest.approx(128, abs=2)
    assert (np.diff(vignetted[150, 100:, 0].astype(int)) <= 0).all()
