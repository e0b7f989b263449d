from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from emulator.pipelines.encoding import encode_png, encode_png_below


def test_encode_png_below_stays_below_its_limit() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    data = encode_png_below(noise, 100_000)
    with PillowImage.open(io.BytesIO(data)) as opened:
        assert opened.width == opened.height
        # Noise takes three bytes a pixel, so the picture is as large as the limit allows.
        assert 0.9 * 100_000 < len(data) < 100_000 < 3.3 * opened.width**2 * 1.1
    assert encode_png_below(noise, 100_000) == data
    assert encode_png_below(noise, 400_000) == encode_png(noise)
    with pytest.raises(ValueError, match="10 bytes"):
        encode_png_below(noise, 10)


def test_a_texture_of_768_pixels_is_always_below_2_mb() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (768, 768, 3), dtype=np.uint8)
    assert len(encode_png(noise)) < 2_000_000
