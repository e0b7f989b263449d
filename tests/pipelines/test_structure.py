"""Pictures that are refused by their structure, before they are decoded."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import ANY, png, quadrants, saved
from PIL import Image as PillowImage

from emulator.face.errors import ImageFormatUnsupported, ImageTooLarge, ImageUndecodable
from emulator.pipelines import structure
from emulator.pipelines.common import PictureFault
from emulator.pipelines.decoding import decode_original, decode_picture
from emulator.pipelines.degrade import degrade
from emulator.pipelines.options import ImageRules
from emulator.pipelines.structure import MOST_SCANS, MOST_SEGMENTS, MOST_SIDE, check_jpeg

SMALL = saved(PillowImage.fromarray(quadrants()), "JPEG")
PROGRESSIVE = saved(PillowImage.fromarray(quadrants()), "JPEG", progressive=True)


def with_scans(count: int) -> bytes:
    """Return a progressive JPEG that repeats its last scan until it has ``count`` scans."""
    last = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    return PROGRESSIVE[:-2] + last * (count - PROGRESSIVE.count(b"\xff\xda")) + PROGRESSIVE[-2:]


def with_segments(marker: int, content: bytes, count: int) -> bytes:
    """Return a JPEG with more segments at its beginning."""
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    return SMALL[:2] + segment * count + SMALL[2:]


def run_length_bmp(width: int, height: int) -> bytes:
    """Return a BMP with run-length encoding, whose rows end after one pixel."""
    rows = b"\1\1\0\0" * height
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 0, 0)
    start = 14 + len(info) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + bytes(1024) + rows


@pytest.mark.parametrize("decode", [decode_picture, decode_original])
@pytest.mark.parametrize(
    ("width", "height"), [(1, 50_000_000), (50_000_000, 1), (1, MOST_SIDE + 1), (MOST_SIDE + 1, 1)]
)
def test_a_picture_with_a_side_longer_than_any_jpeg_is_refused(
    decode: object, width: int, height: int
) -> None:
    assert callable(decode)
    with pytest.raises(ImageTooLarge) as caught:
        decode(png(width, height, 8, 0, b""), ANY)
    assert caught.value.args == (width, height, MOST_SIDE)


def test_the_longest_side_is_decoded() -> None:
    assert decode_picture(png(1, MOST_SIDE, 8, 0, bytes(2 * MOST_SIDE)), ANY).image.shape == (MOST_SIDE, 1, 3)


def test_a_jpeg_with_too_many_scans_is_refused() -> None:
    expected = decode_picture(PROGRESSIVE, ANY).image
    np.testing.assert_array_equal(decode_picture(with_scans(MOST_SCANS), ANY).image, expected)
    for count in (MOST_SCANS + 1, 60_000):
        with pytest.raises(ImageUndecodable, match="scans"):
            decode_picture(with_scans(count), ANY)


@pytest.mark.parametrize("side", [10_000, 40_000])
def test_the_scans_of_a_jpeg_are_limited_by_its_pixels(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_scans(21)
    size = data.index(b"\xff\xc2") + 5
    large = data[:size] + struct.pack(">HH", side, side) + data[size + 4 :]
    monkeypatch.setattr(structure, "MOST_SCANNED_PIXELS", 21 * side * side)
    check_jpeg(large)
    monkeypatch.setattr(structure, "MOST_SCANNED_PIXELS", 21 * side * side - 1)
    with pytest.raises(ImageUndecodable, match="21 scans"):
        check_jpeg(large)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        pytest.param(0xFE, b"", id="COM"),
        pytest.param(0xE1, b"Exif\0\0", id="EXIF"),
        pytest.param(0xE9, b"", id="APP9"),
        pytest.param(0xC4, bytes(17), id="DHT"),
        pytest.param(0xDB, b"\0" + b"\1" * 64, id="DQT"),
        pytest.param(0xDD, b"\0\1", id="DRI"),
    ],
)
def test_a_jpeg_with_too_many_segments_is_refused(marker: int, content: bytes) -> None:
    with pytest.raises(ImageUndecodable, match="segments"):
        decode_picture(with_segments(marker, content, MOST_SEGMENTS), ANY)
    check_jpeg(with_segments(marker, content, MOST_SEGMENTS // 2))


@pytest.mark.parametrize("byte", [b"\xff", b"\xd0", b"\xff\xd3"])
def test_a_jpeg_with_much_padding_is_refused(byte: bytes) -> None:
    with pytest.raises(ImageUndecodable):
        decode_picture(SMALL[:2] + byte * 10_000_000 + SMALL[2:], ANY)


def test_only_the_first_picture_of_a_file_counts() -> None:
    """Phones append more pictures and films. A preview is a JPEG in the EXIF data."""
    preview = PillowImage.Exif()
    preview[0x927C] = PROGRESSIVE * 20
    data = saved(PillowImage.fromarray(quadrants()), "JPEG", exif=preview)
    for more in (PROGRESSIVE * 20, b"\xff\xda\0\2" * 1000):
        np.testing.assert_array_equal(
            decode_picture(data + more, ANY).image, decode_picture(SMALL, ANY).image
        )


@pytest.mark.parametrize("decode", [decode_picture, decode_original])
def test_a_large_bmp_with_run_length_encoding_is_refused(decode: object) -> None:
    assert callable(decode)
    with pytest.raises(ImageTooLarge) as caught:
        decode(run_length_bmp(2001, 2000), ANY)
    assert caught.value.limit == 2000
    assert decode(run_length_bmp(20, 10), ANY).image.shape == (10, 20, 3)


def test_the_header_of_a_format_that_is_not_accepted_is_not_read() -> None:
    """A TIFF with millions of strips takes seconds to open."""
    for start, name in ((b"II*\0", "tiff"), (b"GIF89a", "gif"), (b"\x89PNG\r\n\x1a\n", "png")):
        with pytest.raises(ImageFormatUnsupported) as caught:
            decode_picture(start + bytes(10), ImageRules(frozenset({"jpeg"})))
        assert caught.value.found == name


def test_a_fault_does_not_decode_what_would_be_refused() -> None:
    for data in (with_scans(1000), run_length_bmp(3000, 3000), png(8000, 8000, 8, 0, b"")):
        assert degrade(data, PictureFault(rotate_deg=90)) == data


def profile(*tags: tuple[bytes, bytes]) -> bytes:
    """Return an ICC profile for RGB."""
    start, table, content = 128 + 4 + 12 * len(tags), b"", b""
    for signature, data in tags:
        table += struct.pack(">4sII", signature, start + len(content), len(data))
        content += data
    head = struct.pack(">I4xIIII16x", start + len(content), 0x04000000, *(0x6D6E7472, 0x52474220, 0x4C616220))
    head = head[:36] + b"acsp" + bytes(28) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + content


def table_of_colours() -> bytes:
    """Return a small lookup table from RGB to Lab."""
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    curve = struct.pack(">2H", 0, 65535) * 3
    return (
        b"mft2"
        + bytes(4)
        + bytes([3, 3, 2, 0])
        + matrix
        + struct.pack(">HH", 2, 2)
        + curve
        + bytes(48)
        + curve
    )


def chain(count: int) -> bytes:
    """Return a chain of processing elements, which all have the same data."""
    element = b"matf" + struct.pack(">4xHH12f", 3, 3, *(1, 0, 0, 0, 1, 0, 0, 0, 1), *(0, 0, 0))
    positions = struct.pack(">II", 16 + 8 * count, len(element)) * count
    return b"mpet" + struct.pack(">4xHHI", 3, 3, count) + positions + element


def test_a_profile_with_a_chain_of_elements_is_ignored() -> None:
    """With 60,000 elements, a conversion takes 38 s."""
    stored = PillowImage.fromarray(quadrants())
    tables = (b"A2B0", table_of_colours())
    usable = saved(stored, "JPEG", icc_profile=profile(tables))
    picture = decode_picture(usable, ANY)
    assert picture.icc_profile is not None
    assert np.ptp(picture.in_srgb(), axis=(0, 1)).max() == 0  # the table maps all colours to one
    for tag in (b"D2B0", b"B2D3", b"A2B0"):
        data = saved(stored, "JPEG", icc_profile=profile(tables, (tag, chain(50_000))))
        picture = decode_picture(data, ANY)
        assert picture.icc_profile is None
        assert picture.in_srgb() is picture.image
        assert decode_original(data, ANY).icc_profile is None


@given(st.binary(max_size=300))
def test_the_check_ends_for_all_bytes(data: bytes) -> None:
    check_jpeg(b"\xff\xd8" + data)


@given(
    scans=st.integers(0, 150),
    between=st.sampled_from([b"", b"\xff\xfe\0\4ab", b"\xff\xff\xff", b"\0\xff\0\xff\xd0"]),
    is_ended=st.booleans(),
)
def test_exactly_the_scans_are_counted(scans: int, between: bytes, *, is_ended: bool) -> None:
    scan = b"\xff\xda\0\x06\1\2\xff\xda" + b"\x12\xff\0\x34\xff\xd7\x56"
    data = b"\xff\xd8" + (scan + between) * scans + (b"\xff\xd9" + scan * 200 if is_ended else b"")
    if scans > MOST_SCANS:
        with pytest.raises(ImageUndecodable):
            check_jpeg(data)
    else:
        check_jpeg(data)
