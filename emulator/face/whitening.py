"""Whitening: brighter and paler colours."""

from __future__ import annotations

import numpy as np

from emulator.face.types import Image, Mask, check_image

# Base of the logarithm in the tone curve. It raises the middle of the range by 0.13 of the whole range.
_BASE = 3.0

# Rows that are changed at a time, to bound the memory for pictures of 4096 pixels.
_STRIP_ROWS = 256


def whiten(image: Image, strength: float, mask: Mask | None) -> Image:
    """Return ``image`` (H, W, 3) with brighter colours where ``mask`` (H, W) is above 0.

    At the ``strength`` 1 and where the mask is 1, each channel follows a logarithmic curve, which keeps black
    and white, and makes colours brighter and paler. ``strength`` 0 changes nothing. Without a mask, the whole
    picture is whitened.

    Raises
    ------
    ValueError
        If ``image`` is not an `Image`.
    """
    check_image(image)
    if strength == 0:
        return image.copy()
    values = np.arange(256, dtype=np.float64) / 255.0
    curve = np.log1p(values * (_BASE - 1.0)) / np.log(_BASE)
    rise = (255.0 * strength * (curve - values)).astype(np.float32)
    whitened = image.copy()
    for top in range(0, len(image), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        change = rise[image[rows]]
        if mask is not None:
            change *= mask[rows, :, None]
        whitened[rows] = np.rint(image[rows] + change).astype(np.uint8)
    return whitened
