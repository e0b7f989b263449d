from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from emulator.pipelines.encoding import encode_jpeg, encode_png, encode_png_below


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


@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        ((1, 1, 3), "RGB"),
        ((1, 7, 3), "RGB"),
        ((9, 1, 3), "RGB"),
        ((37, 53, 3), "RGB"),
        ((37, 53), "L"),
        ((37, 53, 2), "LA"),
        ((37, 53, 4), "RGBA"),
    ],
)
@pytest.mark.parametrize("icc_profile", [None, b"a profile"])
def test_a_png_decodes_to_the_same_pixels(
    shape: tuple[int, ...], mode: str, icc_profile: bytes | None
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    with PillowImage.open(io.BytesIO(encode_png(noise, icc_profile))) as stored:
        assert (stored.format, stored.mode) == ("PNG", mode)
        assert stored.info.get("icc_profile") == icc_profile
        np.testing.assert_array_equal(np.asarray(stored), noise)


@pytest.mark.parametrize("shape", [(1, 1, 3), (37, 53, 3), (200, 300, 3)])
def test_a_jpeg_has_the_bytes_that_pillow_encodes_from_rgb(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    expected = io.BytesIO()
    PillowImage.fromarray(noise).save(expected, "JPEG", quality=90, subsampling=0, icc_profile=b"a profile")
    assert encode_jpeg(noise, 90, b"a profile") == expected.getvalue()


def test_opencv_reads_a_png_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    """It checks the sums of the chunks, and prints what is wrong."""
    noise = np.random.default_rng(4).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    read = cv2.imdecode(np.frombuffer(encode_png(noise), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(np.asarray(read)[:, :, ::-1], noise)
    assert capfd.readouterr().err == ""
