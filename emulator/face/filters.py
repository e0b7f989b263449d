"""Application of colour filters to pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emulator.face.color_filter import ColorFilter
from emulator.face.types import Image, check_image

# Weights of red, green and blue in the luminance (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])

# Factors of red, green and blue at the warmth 1 are 1 plus these numbers.
_WARM = np.array([0.16, 0.02, -0.18])

# Exponent of the tone curve at the brightness -1. At the brightness 1, the exponent is its reciprocal.
_BRIGHT = 2.0

# Share of the steep curve in the tone curve at the contrast 1.
_STEEP = 1.0

# Steps of the tone curves. Colours between the steps take the nearest one, with an error of less than an
# eighth of an 8-bit step.
_STEPS = 4096

# The vignette grows between these distances from the centre, as fractions of the distance of the corners.
_VIGNETTE = (0.35, 1.0)

# Rows that are changed at a time, to bound the memory for pictures of 4096 pixels.
_STRIP_ROWS = 128


def apply_filter(image: Image, recipe: ColorFilter) -> Image:
    """Return ``image`` (H, W, 3) with the colours of a filter.

    The default recipe returns an equal copy.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`.
    """
    check_image(image)
    if recipe == ColorFilter():
        return image.copy()
    filtered = np.empty_like(image)
    matrix, curves = _matrix(recipe).astype(np.float32), _curves(recipe)
    for top in range(0, len(image), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        mixed = cv2.transform(image[rows].astype(np.float32), matrix * np.float32((_STEPS - 1) / 255.0))
        steps = np.clip(np.rint(mixed), 0, _STEPS - 1).astype(np.intp)
        colors = np.stack([curves[channel][steps[:, :, channel]] for channel in range(3)], axis=-1)
        if recipe.vignette:
            colors *= 1.0 - recipe.vignette * _darkness(image.shape, rows)[:, :, None]
        filtered[rows] = np.rint(colors)
    return filtered


def _matrix(recipe: ColorFilter) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of saturation and warmth."""
    grey = np.tile(_LUMINANCE, (3, 1))
    mixed = recipe.saturation * np.eye(3) + (1.0 - recipe.saturation) * grey
    warmer: NDArray[np.float64] = (1.0 + recipe.warmth * _WARM)[:, None] * mixed
    return warmer


def _curves(recipe: ColorFilter) -> NDArray[np.float32]:
    """Return the tone curves (3, steps) of red, green and blue, from 0 to 255."""
    values = np.linspace(0.0, 1.0, _STEPS)
    values = values ** (_BRIGHT**-recipe.brightness)
    steep = values * values * (3.0 - 2.0 * values)
    values = values + _STEEP * recipe.contrast * (steep - values)
    values = recipe.fade + (1.0 - recipe.fade) * values
    # Tints grow towards black or white, and are small in the middle of the range.
    dark, bright = (1.0 - values) ** 2, values**2
    curves = values + np.outer(recipe.shadows, dark) + np.outer(recipe.highlights, bright)
    scaled: NDArray[np.float32] = (255.0 * np.clip(curves, 0.0, 1.0)).astype(np.float32)
    return scaled


def _darkness(shape: tuple[int, ...], rows: slice) -> NDArray[np.float32]:
    """Return how strongly the vignette applies to each pixel of some rows, 0 to 1."""
    height, width = shape[:2]
    across = (np.arange(width, dtype=np.float32) + 0.5) / width * 2.0 - 1.0
    down = (np.arange(height, dtype=np.float32)[rows] + 0.5) / height * 2.0 - 1.0
    distance = np.sqrt((across**2 + down[:, None] ** 2) / 2.0)
    begin, end = _VIGNETTE
    growth = np.clip((distance - begin) / (end - begin), 0.0, 1.0)
    darkness: NDArray[np.float32] = (growth * growth * (3.0 - 2.0 * growth)).astype(np.float32)
    return darkness
