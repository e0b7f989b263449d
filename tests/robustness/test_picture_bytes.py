"""Damaged and hostile pictures raise only the exceptions for pictures, and take little memory."""

from __future__ import annotations

import resource
import struct
import sys
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import png, quadrants, saved
from PIL import Image as PillowImage
from PIL import ImageCms

from emulator.face.errors import ImageError
from emulator.pipelines.common import PictureFault
from emulator.pipelines.decoding import FORMATS, decode_original, decode_picture
from emulator.pipelines.degrade import degrade
from emulator.pipelines.encoding import encode_like
from emulator.pipelines.options import ImageRules
from emulator.pipelines.structure import MOST_SIDE

EXAMPLES = 1_000
LONG_EXAMPLES = 20_000

MOST_PIXELS = 1_000_000
RULES = ImageRules(frozenset(FORMATS.values()), most_pixels=MOST_PIXELS)
MOST_GROWTH_MB = 100
"""A picture of a million pixels takes 20 MB in several copies. HEIC keeps a few buffers."""


def _seeds() -> dict[str, bytes]:
    colour = PillowImage.fromarray(quadrants(16, 24))
    clear = colour.convert("RGBA")
    clear.putalpha(90)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    return {
        "jpeg": saved(colour, "JPEG", exif=exif, icc_profile=profile),
        "jpeg-progressive": saved(colour, "JPEG", progressive=True),
        "jpeg-cmyk": saved(colour.convert("CMYK"), "JPEG"),
        "jpeg-many": saved(colour, "MPO", save_all=True, append_images=[colour]),
        "png": saved(colour, "PNG", exif=exif, icc_profile=profile),
        "png-palette": saved(colour.quantize(4), "PNG", transparency=0),
        "png-moving": saved(clear, "PNG", save_all=True, append_images=[colour.convert("RGBA")]),
        "png-16-bit": png(3, 2, 16, 0, bytes(14)),
        "webp": saved(clear, "WEBP", exif=exif),
        "webp-lossless": saved(colour, "WEBP", lossless=True),
        "webp-moving": saved(clear, "WEBP", save_all=True, append_images=[colour.convert("RGBA")]),
        "bmp": saved(colour, "BMP"),
        "bmp-palette": saved(colour.quantize(4), "BMP"),
        "gif": saved(colour.quantize(4), "GIF", save_all=True, append_images=[colour.quantize(3)]),
        "tiff": saved(colour, "TIFF", exif=exif),
        "tiff-packed": saved(colour, "TIFF", compression="tiff_lzw"),
        "heic": saved(colour, "HEIF", exif=exif),
    }


SEEDS = _seeds()

EXTREMES = [
    *(struct.pack(form, value) for value in (0, 1, 0x7FFF, 0x8000, 0xFFFF) for form in ("<H", ">H")),
    *(struct.pack(form, value) for value in (0, 1, 2**31 - 1, 2**31, 2**32 - 1) for form in ("<I", ">I")),
]

Change = Callable[[bytes], bytes]


def _replace(place: float, new: bytes) -> Change:
    def change(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + new + data[at + len(new) :]

    return change


def _insert(place: float, new: bytes, times: int) -> Change:
    def change(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + new * times + data[at:]

    return change


def _copy(begin: float, length: int, place: float, times: int) -> Change:
    def change(data: bytes) -> bytes:
        at = int(begin * len(data))
        return _insert(place, data[at : at + length], times)(data)

    return change


def _cut(begin: float, length: int) -> Change:
    def change(data: bytes) -> bytes:
        at = int(begin * len(data))
        return data[:at] + data[at + length :]

    return change


# Headers are at the beginning, so half of the changes are there.
PLACES = st.one_of(st.floats(0, 0.99), st.floats(0, 0.2))
CHANGES = st.one_of(
    st.builds(_replace, PLACES, st.binary(min_size=1, max_size=4)),
    st.builds(_replace, PLACES, st.sampled_from(EXTREMES)),
    st.builds(_insert, PLACES, st.binary(min_size=1, max_size=8), st.sampled_from([1, 2, 500])),
    st.builds(_copy, PLACES, st.integers(1, 200), PLACES, st.sampled_from([1, 2, 300])),
    st.builds(_cut, PLACES, st.integers(1, 200)),
    st.builds(_cut, PLACES, st.just(10**9)),
)


def check(name: str, changes: list[Change]) -> None:
    """Decode a changed picture. All exceptions except those for pictures are failures."""
    data = SEEDS[name]
    for change in changes:
        data = change(data)
    try:
        picture = decode_picture(data, RULES)
    except ImageError as error:
        assert str(error)  # noqa: PT017 - the text must not raise another exception
    else:
        height, width, channels = picture.image.shape
        assert channels == 3
        assert height * width <= MOST_PIXELS
        assert max(picture.width, picture.height) <= MOST_SIDE
        assert picture.in_srgb().shape == picture.image.shape
    try:
        original = decode_original(data, RULES)
    except ImageError:
        pass
    else:
        assert original.image.shape[0] * original.image.shape[1] <= MOST_PIXELS
        if original.format in {"jpeg", "png"}:  # the formats of pictures that are edited
            decode_picture(encode_like(original, original.image, original.alpha), RULES)
    assert isinstance(degrade(data, PictureFault(rotate_deg=90, truncate=0.9)), bytes)


def peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "linux" else peak / 1024**2


@pytest.mark.parametrize("name", SEEDS)
def test_every_seed_is_decoded(name: str) -> None:
    check(name, [])
    assert decode_picture(SEEDS[name], RULES).width in {24, 16, 3}


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SEEDS)), st.lists(CHANGES, min_size=1, max_size=6))
def check_changed(name: str, changes: list[Change]) -> None:
    check(name, changes)


@settings(max_examples=EXAMPLES // 2)
@given(st.sampled_from(sorted(SEEDS)), st.binary(max_size=400))
def test_any_bytes_after_the_first_of_a_format_are_decoded_or_refused(name: str, rest: bytes) -> None:
    check(name, [lambda data: data[:12] + rest])


def test_a_changed_picture_is_decoded_or_refused_in_little_memory() -> None:
    before = peak_mb()
    check_changed()
    assert peak_mb() - before < MOST_GROWTH_MB


@pytest.mark.fuzz
@settings(max_examples=LONG_EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=False)
@given(st.sampled_from(sorted(SEEDS)), st.lists(CHANGES, min_size=1, max_size=10))
def test_very_many_changed_pictures_are_decoded_or_refused(name: str, changes: list[Change]) -> None:
    check(name, changes)
