"""Colours of skin and hair, and conversion between sRGB and linear light."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]

HairColor: TypeAlias = Literal["black", "dark_brown", "brown", "auburn", "blond", "grey"]

SKIN_TONES: Final = (
    "f6ede4",
    "f3e7db",
    "f7ead0",
    "eadaba",
    "d7bd96",
    "a07e56",
    "825c43",
    "604134",
    "3a312a",
    "292420",
)
"""The Monk Skin Tone scale from tone 1 to 10, as published sRGB values (https://skintone.google)."""

HAIR_COLORS: Final[dict[HairColor, str]] = {
    "black": "1d1a1a",
    "dark_brown": "35241b",
    "brown": "553826",
    "auburn": "6a3522",
    "blond": "b28a55",
    "grey": "9a9792",
}
"""The hair colours of synthetic faces, in sRGB."""


def single(values: object) -> Singles:
    """Convert to float32. Also hides the imprecise types of the libraries' stubs from the type checker."""
    single: Singles = np.asarray(values, np.float32)
    return single


def linear(hex_color: str) -> Singles:
    """Convert an sRGB colour in hexadecimal to linear light (3,)."""
    srgb = np.array([int(hex_color[i : i + 2], 16) for i in (0, 2, 4)]) / 255.0
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb(linear: Singles) -> Singles:
    """Convert linear light to sRGB, 0 to 1."""
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(
        clipped <= 0.0031308, 12.92 * clipped, 1.055 * np.power(clipped, np.float32(1 / 2.4)) - 0.055
    ).astype(np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Singles:
    """Return smooth noise with features of ``cell`` pixels and a variance of 1 or slightly less."""
    coarse = rng.standard_normal((int(shape[0] / cell) + 3, int(shape[1] / cell) + 3)).astype(np.float32)
    fine = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return single(fine[: shape[0], : shape[1]])


def affected(amount: Singles) -> tuple[slice, slice]:
    """Return the rectangle in which ``amount`` (h, w) is visible. Most strokes are small."""
    rows, columns = np.flatnonzero(amount.max(axis=1) > 1e-3), np.flatnonzero(amount.max(axis=0) > 1e-3)
    return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else np.s_[:0, :0]


def mixed(albedo: Singles, color: Singles, amount: Singles) -> Singles:
    """Blend ``color`` over ``albedo`` (h, w, 3) in place, and return ``albedo``.

    ``amount`` (h, w) is the opacity of ``color``.
    """
    part = affected(amount)
    over = color[part] if color.ndim == 3 else color
    albedo[part] += (over - albedo[part]) * amount[part][..., np.newaxis]
    return albedo


def darkened(albedo: Singles, factor: float | Singles, amount: Singles) -> Singles:
    """Multiply ``albedo`` (h, w, 3) by ``factor`` in place, and return ``albedo``.

    ``amount`` (h, w) is the strength, 0 to 1.
    """
    part = affected(amount)
    albedo[part] *= 1 + (np.asarray(factor, np.float32) - 1) * amount[part][..., np.newaxis]
    return albedo
