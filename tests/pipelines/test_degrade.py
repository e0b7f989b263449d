from __future__ import annotations

import io
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, ImageCms, ImageFilter
from PIL import Image as PillowImage
from pydantic import ValidationError

from emulator.pipelines.common import PictureFault
from emulator.pipelines.degrade import degrade

EVERYTHING = PictureFault(drop_exif=True, rotate_deg=90, swap_channels=True, shrink=0.5, blur=1.0)
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def noise(height: int = 12, width: int = 20) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: Pixels, picture_format: str = "PNG", **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    written = io.BytesIO()
    PillowImage.fromarray(pixels).save(written, picture_format, **options)
    return written.getvalue()


def opened(data: bytes) -> PillowImage.Image:
    picture = PillowImage.open(io.BytesIO(data))
    picture.load()
    return picture


def decoded(data: bytes) -> Pixels:
    return np.asarray(opened(data).convert("RGB"))


def turned(orientation: int) -> PillowImage.Exif:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def test_without_a_fault_the_same_bytes_are_returned() -> None:
    data = encoded(noise(), "JPEG", quality=30)
    assert degrade(data, PictureFault()) is data


@pytest.mark.parametrize(("rotate_deg", "quarters"), [(90, -1), (180, 2), (270, 1)])
def test_pixels_are_rotated_clockwise_and_the_exif_orientation_stays(rotate_deg: Any, quarters: int) -> None:
    data = encoded(noise(), exif=turned(6))
    changed = degrade(data, PictureFault(rotate_deg=rotate_deg))
    np.testing.assert_array_equal(decoded(changed), np.rot90(noise(), quarters))
    assert opened(changed).getexif()[ExifTags.Base.Orientation] == 6


def test_swap_channels_swaps_red_and_blue_and_twice_restores_them() -> None:
    swap = PictureFault(swap_channels=True)
    once = degrade(encoded(noise()), swap)
    np.testing.assert_array_equal(decoded(once), noise()[:, :, ::-1])
    np.testing.assert_array_equal(decoded(degrade(once, swap)), noise())


@settings(deadline=None)
@given(shrink=st.floats(0.001, 1, exclude_max=True))
def test_shrinking_rounds_the_size_and_keeps_at_least_one_pixel(shrink: float) -> None:
    changed = opened(degrade(encoded(noise(12, 20)), PictureFault(shrink=shrink)))
    assert changed.size == (max(1, round(20 * shrink)), max(1, round(12 * shrink)))


def test_shrinking_keeps_the_mean() -> None:
    flat = np.full((40, 60, 3), (200, 100, 50), dtype=np.uint8)
    changed = decoded(degrade(encoded(flat), PictureFault(shrink=0.25)))
    np.testing.assert_array_equal(changed, np.full((10, 15, 3), (200, 100, 50)))


def test_a_blur_is_a_gaussian_with_the_given_deviation() -> None:
    pixels = np.zeros((81, 81, 3), dtype=np.uint8)
    pixels[:, 40:] = 255
    changed = decoded(degrade(encoded(pixels), PictureFault(blur=5.0)))
    expected = PillowImage.fromarray(pixels).filter(ImageFilter.GaussianBlur(5.0))
    np.testing.assert_array_equal(changed, np.asarray(expected))
    # A blurred edge is the normal distribution function: 82 % at 4.5 px, which is 0.9 deviations.
    assert changed[40, 44, 0] / 255 == pytest.approx(0.8159, abs=0.02)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP"])
def test_only_drop_exif_removes_metadata(picture_format: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Make] = "nobody"
    data = encoded(noise(64, 64), picture_format, exif=exif, icc_profile=profile)
    bare = opened(degrade(data, PictureFault(drop_exif=True)))
    assert (dict(bare.getexif()), bare.info.get("icc_profile")) == ({}, None)
    kept = opened(degrade(data, PictureFault(swap_channels=True)))
    assert (kept.getexif()[ExifTags.Base.Make], kept.info["icc_profile"]) == ("nobody", profile)


def test_dropping_the_exif_orientation_does_not_rotate_the_pixels() -> None:
    data = encoded(noise(), exif=turned(6))
    changed = degrade(data, PictureFault(drop_exif=True))
    np.testing.assert_array_equal(decoded(changed), noise())
    assert ExifTags.Base.Orientation not in opened(changed).getexif()


def test_a_picture_gains_no_exif_orientation_from_its_xmp_data() -> None:
    data = encoded(noise(), "JPEG", xmp=b'<rdf:Description tiff:Orientation="3"/>')
    assert opened(data).getexif()[ExifTags.Base.Orientation] == 3
    changed = degrade(data, PictureFault(blur=0.1))
    assert ExifTags.Base.Orientation not in opened(changed).getexif()


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_picture_keeps_its_format(picture_format: str) -> None:
    changed = opened(degrade(encoded(noise(64, 48), picture_format), EVERYTHING))
    assert (changed.format, changed.size) == (picture_format, (32, 24))


def test_a_heic_becomes_a_jpeg_if_the_operation_accepts_heic() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Make] = "nobody"
    data = encoded(noise(48, 64), "HEIF", exif=exif, icc_profile=profile)
    changed = opened(degrade(data, PictureFault(shrink=0.5), heic_format="JPEG"))
    assert (changed.format, changed.size) == ("JPEG", (32, 24))
    assert (changed.getexif()[ExifTags.Base.Make], changed.info["icc_profile"]) == ("nobody", profile)
    bare = opened(degrade(data, PictureFault(drop_exif=True), heic_format="JPEG"))
    assert (dict(bare.getexif()), bare.info.get("icc_profile")) == ({}, None)


def test_a_transparent_heic_becomes_a_jpeg() -> None:
    pixels = np.dstack([noise(48, 64), np.full((48, 64), 128, dtype=np.uint8)])
    changed = opened(degrade(encoded(pixels, "HEIF"), EVERYTHING, heic_format="JPEG"))
    assert (changed.format, changed.size) == ("JPEG", (24, 32))


def test_a_heic_is_only_truncated_if_the_operation_refuses_heic() -> None:
    """Otherwise the operation would accept the JPEG."""
    data = encoded(noise(48, 64), "HEIF")
    fault = EVERYTHING.model_copy(update={"truncate": 0.5})
    assert degrade(data, fault) == data[: round(len(data) / 2)]
    assert degrade(data, PictureFault(truncate=0.5), heic_format="JPEG") == data[: round(len(data) / 2)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "I;16"])
def test_every_pixel_mode_is_degraded(mode: str) -> None:
    grey = PillowImage.fromarray(noise()).convert("L")
    picture = PillowImage.new(mode, grey.size) if mode == "I;16" else grey.convert(mode)
    picture_format = "TIFF" if mode == "PA" else "PNG"
    written = io.BytesIO()
    try:
        picture.save(written, picture_format)
    except OSError:
        pytest.skip(f"Pillow cannot write {mode}")
    assert opened(degrade(written.getvalue(), EVERYTHING)).size == (6, 10)


def test_swap_channels_keeps_transparency() -> None:
    pixels = np.dstack([noise(), np.arange(240, dtype=np.uint8).reshape(12, 20)])
    changed = np.asarray(opened(degrade(encoded(pixels), PictureFault(swap_channels=True))))
    np.testing.assert_array_equal(changed, pixels[:, :, [2, 1, 0, 3]])


@settings(deadline=None)
@given(data=st.binary(max_size=200), keep=st.floats(0, 1))
def test_a_file_that_is_no_picture_is_only_truncated(data: bytes, keep: float) -> None:
    fault = EVERYTHING.model_copy(update={"truncate": keep})
    assert degrade(data, fault) == data[: round(len(data) * keep)]


def test_truncate_keeps_the_beginning_of_the_file() -> None:
    data = encoded(noise(), "JPEG")
    assert degrade(data, PictureFault(truncate=0.5)) == data[: round(len(data) / 2)]
    assert degrade(data, PictureFault(truncate=0.0)) == b""


def test_a_picture_that_cannot_be_decoded_or_written_is_unchanged() -> None:
    """A JPEG with damaged pixels, and a format that Pillow can only read."""
    jpeg = encoded(noise(64, 64), "JPEG")
    icon = bytearray(encoded(noise(16, 16), "ICO", sizes=[(16, 16)], bitmap_format="bmp"))
    icon[2] = 2  # type 2 in the header makes the icon a cursor
    assert opened(bytes(icon)).format == "CUR"
    for data in (jpeg[: len(jpeg) // 2], bytes(icon)):
        assert degrade(data, EVERYTHING) == data


def test_the_degraded_file_is_truncated_last() -> None:
    data = encoded(noise(), "JPEG")
    whole = degrade(data, EVERYTHING)
    assert degrade(data, EVERYTHING.model_copy(update={"truncate": 0.5})) == whole[: round(len(whole) * 0.5)]


@pytest.mark.parametrize(
    "fault",
    [{"rotate_deg": 45}, {"shrink": 0}, {"shrink": 1.1}, {"blur": -1}, {"truncate": 2}, {"mirror": True}],
    ids=str,
)
def test_an_invalid_picture_fault_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PictureFault.model_validate(fault)
