"""The texture of hair cards: strands with gaps between them."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLUMNS: Final = 4
"""Number of columns. The first is dense, for the cards that cover the scalp; the others have gaps."""

# Together, the columns have the width of a power of two, as some renderers require.
_WIDTH, _HEIGHT = 64, 512
_SEED = 5

# Greys are multiples of this, so that the file is small.
_GREY_STEP = 8


@cache
def strand_texture() -> NDArray[np.uint8]:
    """Return the texture (H, W, 2): grey and opacity. The roots are at the top.

    The greys are near white, because a renderer multiplies them with the colour of the hair.
    """
    random = np.random.default_rng(_SEED)
    columns = [_column(random, 64, dense=True)]
    columns += [_column(random, strands, dense=False) for strands in (30, 25, 20)]
    texture = np.concatenate(columns, axis=1)
    texture.flags.writeable = False
    return texture


def _column(random: np.random.Generator, strands: int, *, dense: bool) -> NDArray[np.uint8]:
    row = np.linspace(0.0, 1.0, _HEIGHT)[None, :]
    # Middles of strands, in shares of the width. They come together at the tips.
    root = (0.06 + 0.88 * (np.arange(strands) + random.random(strands)) / strands)[:, None]
    drift = 0.5 + (root - 0.5) * (1.0 - (0.12 if dense else 0.3) * row**2)
    bend = random.normal(0.0, 0.03, (strands, 1)) * np.sin(
        2 * np.pi * (row * random.uniform(0.4, 1.2, (strands, 1)))
    )
    middle = np.clip(drift + bend, 0.03, 0.97)
    width = random.uniform(0.022, 0.045, (strands, 1)) * (1.3 if dense else 1.0)
    begin = random.uniform(0.0, 0.06 if dense else 0.04, (strands, 1))
    end = random.uniform(0.72, 1.0, (strands, 1))
    thin = np.clip((row - begin) / 0.02, 0, 1) * np.clip((end - row) / 0.12, 0, 1) ** 0.5
    grey = random.uniform(0.6, 1.0, (strands, 1)) * (0.7 + 0.3 * np.clip(row / 0.3, 0, 1))
    across = (np.arange(_WIDTH) + 0.5) / _WIDTH
    away = np.abs(across[None, :, None] - middle[:, None, :])
    cover = np.clip(1.5 - away / np.maximum(0.5 * (width * thin)[:, None, :], 1e-6), 0.0, 1.0)
    nearest = cover.argmax(axis=0)
    opacity = cover.max(axis=0).T
    shade = grey[nearest, np.arange(_HEIGHT)]
    levels: NDArray[np.float64] = np.minimum(np.rint(255 * shade / _GREY_STEP) * _GREY_STEP, 255)
    column: NDArray[np.uint8] = np.stack([levels.T, np.rint(15 * opacity) * 17], axis=2).astype(np.uint8)
    return column
