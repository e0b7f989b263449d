from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, ImageCms
from PIL import Image as PillowImage

from emulator.face.beauty_parameters import BeautyParameters
from emulator.face.color_filter import ColorFilter
from emulator.face.errors import ImageFormatUnsupported, ImageTooSmall, ImageUndecodable
from emulator.face.types import Image
from emulator.pipelines.beautify import beautify_picture
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_jpeg, encode_png
from emulator.pipelines.options import BeautifyOptions, ImageRules

RULES = ImageRules(frozenset({"jpeg", "png"}), longest_side=4096, shortest_side=48)
NOTHING = BeautifyOptions(RULES, BeautyParameters(), ColorFilter())
WHITE = replace(NOTHING, parameters=BeautyParameters(whitening=1.0))
WARM = replace(NOTHING, color_filter=ColorFilter(warmth=0.8))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened(data: bytes) -> PillowImage.Image:
    picture = PillowImage.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    return picture


def pixels(data: bytes) -> NDArray[np.int64]:
    """Return the pixels as stored, without applying the EXIF orientation."""
    return np.asarray(opened(data)).astype(np.int64)


def webp() -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (64, 64)).save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def portrait(face_jpeg: bytes) -> Image:
    return decode_picture(face_jpeg, RULES).image


@pytest.fixture(scope="module")
def gradient(landscape_jpeg: bytes) -> Image:
    return decode_picture(landscape_jpeg, RULES).image


def test_zero_strengths_change_the_picture_only_by_compression(portrait: Image) -> None:
    """These are the numbers in docs/faceplusplus.md."""
    difference = np.abs(pixels(beautify_picture(encode_png(portrait), NOTHING)) - portrait)
    assert difference.mean() < 0.7
    assert difference.max() <= 14


def test_a_face_is_changed_and_the_result_is_reproducible(face_jpeg: bytes, portrait: Image) -> None:
    options = replace(WHITE, parameters=BeautyParameters(1.0, 1.0, 0.5, 0.5, 0.5, 0.5))
    result = beautify_picture(face_jpeg, options)
    assert opened(result).size == (portrait.shape[1], portrait.shape[0])
    # In whitened skin, all channels are brighter.
    assert (pixels(result) - portrait > 5).all(axis=2).mean() > 0.1
    assert beautify_picture(face_jpeg, options) == result


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_stays(gradient: Image, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    PillowImage.fromarray(gradient[:120]).save(buffer, "PNG", exif=exif)
    result = beautify_picture(buffer.getvalue(), NOTHING)
    assert opened(result).getexif().get(ExifTags.Base.Orientation, 1) == orientation
    assert np.abs(pixels(result) - gradient[:120]).max() <= 14


def test_the_profile_stays_and_other_metadata_is_removed(gradient: Image) -> None:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    buffer = io.BytesIO()
    PillowImage.fromarray(gradient).save(buffer, "JPEG", quality=95, icc_profile=PROFILE, exif=exif)
    result = opened(beautify_picture(buffer.getvalue(), WARM))
    assert result.info["icc_profile"] == PROFILE
    assert ExifTags.Base.Make not in result.getexif()


def test_a_transparent_picture_is_on_white(gradient: Image) -> None:
    alpha = np.full(gradient.shape[:2], 255, np.uint8)
    alpha[:100], alpha[100:200] = 0, 128
    buffer = io.BytesIO()
    PillowImage.fromarray(np.dstack([gradient, alpha])).save(buffer, "PNG")
    result = pixels(beautify_picture(buffer.getvalue(), NOTHING))
    assert result.shape == gradient.shape
    assert (result[:90] >= 253).all()
    half = (gradient.astype(float) * 128 + 255 * 127) / 255
    assert np.abs(result - half)[110:190].max() <= 14
    assert np.abs(result - gradient)[210:].max() <= 14


@pytest.mark.parametrize(
    ("options", "mode"), [(NOTHING, "L"), (WHITE, "L"), (WARM, "RGB")], ids=["nothing", "white", "warm"]
)
def test_a_grey_picture_has_colours_only_after_a_filter_with_colours(
    gradient: Image, options: BeautifyOptions, mode: str
) -> None:
    grey = PillowImage.fromarray(gradient).convert("L")
    buffer = io.BytesIO()
    grey.save(buffer, "JPEG", quality=95)
    result = opened(beautify_picture(buffer.getvalue(), options))
    assert result.mode == mode
    assert result.size == grey.size


def test_black_and_white_is_grey_in_the_file(gradient: Image) -> None:
    result = pixels(
        beautify_picture(encode_jpeg(gradient), replace(NOTHING, color_filter=ColorFilter(saturation=0.0)))
    )
    assert (result == result[:, :, :1]).all()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no picture", ImageUndecodable),
        (encode_jpeg(np.zeros((47, 60, 3), np.uint8)), ImageTooSmall),
        (webp(), ImageFormatUnsupported),
    ],
    ids=["text", "small", "webp"],
)
def test_a_picture_that_is_not_accepted_is_an_error(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        beautify_picture(data, NOTHING)
