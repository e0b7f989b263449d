"""Limits on the size of a picture, and files whose header claims a huge size."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import ANY, png, quadrants, saved
from PIL import Image as PillowImage

from emulator.face.errors import (
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
    ImageUndecodable,
)
from emulator.pipelines.decoding import _opened, _reduce, decode_original, decode_picture
from emulator.pipelines.encoding import encode_png
from emulator.pipelines.options import ImageRules


def test_size_limits_are_inclusive() -> None:
    data = encode_png(quadrants(48, 64))
    formats = frozenset({"png"})
    assert decode_picture(data, ImageRules(formats, longest_side=64, shortest_side=48)).format == "png"
    with pytest.raises(ImageTooLarge) as large:
        decode_picture(data, ImageRules(formats, longest_side=63))
    assert (large.value.width, large.value.height, large.value.limit) == (64, 48, 63)
    with pytest.raises(ImageTooSmall):
        decode_picture(data, ImageRules(formats, shortest_side=49))
    assert decode_picture(data, ImageRules(formats, most_pixels=48 * 64)).format == "png"
    with pytest.raises(ImageTooLarge):
        decode_picture(data, ImageRules(formats, most_pixels=48 * 64 - 1))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(
    ("most_pixels", "reduction"), [(96 * 160, 1), (96 * 160 - 1, 2), (3839, 4), (959, 8)]
)
def test_a_jpeg_with_too_many_pixels_is_reduced(
    most_pixels: int, reduction: int, orientation: int, *, progressive: bool
) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    stored = PillowImage.fromarray(quadrants(96, 160))
    data = saved(stored, "JPEG", exif=exif, progressive=progressive, quality=95)
    picture = decode_picture(data, ImageRules(frozenset({"jpeg"}), most_pixels=most_pixels))
    whole = decode_picture(data, ANY)
    assert (picture.width, picture.height, picture.reduction) == (whole.width, whole.height, reduction)
    assert picture.image.shape == (whole.height // reduction, whole.width // reduction, 3)
    assert (whole.width, whole.height) == ((160, 96) if orientation in (1, 3) else (96, 160))
    # The centres of the quadrants have the same colours.
    for row in (0.25, 0.75):
        for column in (0.25, 0.75):
            one, other = (
                image[int(image.shape[0] * row), int(image.shape[1] * column)].astype(int)
                for image in (picture.image, whole.image)
            )
            assert np.abs(one - other).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_squares_of_a_reduced_jpeg_begin_at_its_corner(orientation: int) -> None:
    """The last stored column and row stand for fewer pixels than the others."""
    ramps = np.zeros((97, 161, 3), np.uint8)
    ramps[:, :, 0] = np.arange(161)[np.newaxis]
    ramps[:, :, 1] = 2 * np.arange(97)[:, np.newaxis]
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = saved(PillowImage.fromarray(ramps), "JPEG", exif=exif, quality=98, subsampling=0)
    whole = decode_picture(data, ANY).image.astype(float)
    picture = decode_picture(data, replace(ANY, most_pixels=400))
    # Without the pixels that stand for a part of a square.
    left, top = (int(side < 0) for side in picture.corner)
    rows, columns = whole.shape[0] // 8, whole.shape[1] // 8
    reduced = picture.image[top : top + rows, left : left + columns]
    x, y = picture.corner[0] + 8 * left, picture.corner[1] + 8 * top
    squares = whole[y : y + 8 * rows, x : x + 8 * columns].reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
    assert np.abs(reduced - squares)[..., :2].max() < 3


def test_a_side_is_not_reduced_to_less_than_one_pixel() -> None:
    data = saved(PillowImage.new("RGB", (3000, 1), (90, 120, 60)), "JPEG")
    with pytest.raises(ImageTooLarge):
        decode_picture(data, replace(ANY, most_pixels=500))


@pytest.mark.parametrize("start", [b"\xff\xc0", b"\xff\xc2"])
@pytest.mark.parametrize("components", [b"", b"\x01\x00\x00", b"\x01\x00\x00\x02\x00\x01\x03\x00\x01"])
@pytest.mark.parametrize("side", [90, 9000])
def test_a_jpeg_header_without_samples_is_damage(start: bytes, components: bytes, side: int) -> None:
    frame = struct.pack(">BHHB", 8, side, side, len(components) // 3) + components
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    data = b"\xff\xd8" + start + struct.pack(">H", len(frame) + 2) + frame + scan + b"\xff\xd9"
    with pytest.raises(ImageUndecodable):
        decode_picture(data, ANY)


def test_a_picture_that_cannot_be_reduced_enough_is_refused() -> None:
    stored = PillowImage.fromarray(quadrants(96, 160))
    for name in ("PNG", "WEBP", "HEIF"):
        with pytest.raises(ImageTooLarge):
            decode_picture(saved(stored, name), replace(ANY, most_pixels=96 * 160 - 1))
    with pytest.raises(ImageTooLarge) as large:
        decode_picture(saved(stored, "JPEG"), replace(ANY, most_pixels=12 * 20 - 1))
    assert (large.value.width, large.value.height) == (160, 96)


def test_a_picture_that_must_keep_its_size_is_not_reduced() -> None:
    data = saved(PillowImage.fromarray(quadrants(96, 160)), "JPEG")
    assert decode_original(data, replace(ANY, most_pixels=96 * 160)).image.shape == (96, 160, 3)
    with pytest.raises(ImageTooLarge):
        decode_original(data, replace(ANY, most_pixels=96 * 160 - 1))


PEAK = """
import re, sys
from pathlib import Path
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.options import ImageRules
from emulator.face.errors import ImageTooLarge

def peak():
    return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])

data, before = Path(sys.argv[1]).read_bytes(), peak()
try:
    print(decode_picture(data, ImageRules(frozenset({'jpeg'}))).reduction)
except ImageTooLarge:
    print('refused')
print((peak() - before) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    ("width", "height", "options", "result"),
    [
        (8000, 7500, {}, "2"),
        (16_000, 13_000, {}, "4"),
        (8000, 7500, {"progressive": True}, "2"),
        (12_000, 12_000, {"progressive": True, "subsampling": 0}, "refused"),
    ],
)
def test_a_huge_jpeg_takes_little_memory(
    tmp_path: Path, width: int, height: int, options: dict[str, object], result: str
) -> None:
    path = tmp_path / "huge.jpg"
    path.write_bytes(saved(PillowImage.new("RGB", (width, height), (90, 120, 60)), "JPEG", **options))
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", PEAK, str(path)], check=True, capture_output=True, text=True
    )
    printed, grown_mb = done.stdout.split()
    assert printed == result
    assert int(grown_mb) < 700


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def jpeg_start(
    width: int, height: int, samplings: Sequence[tuple[int, int]], *, in_scan: int, progressive: bool = False
) -> bytes:
    """Return the beginning of a JPEG, up to its first scan, which has ``in_scan`` components."""
    components = [
        bytes([number, across * 16 + down, 0]) for number, (across, down) in enumerate(samplings, 1)
    ]
    frame = struct.pack(">BHHB", 8, height, width, len(components)) + b"".join(components)
    scan = bytes([in_scan, *(byte for number in range(1, in_scan + 1) for byte in (number, 0)), 0, 63, 0])
    segments = ((b"\xff\xc2" if progressive else b"\xff\xc0", frame), (b"\xff\xda", scan))
    return b"\xff\xd8" + b"".join(
        marker + struct.pack(">H", len(content) + 2) + content for marker, content in segments
    )


@pytest.mark.parametrize(
    ("samplings", "megapixels"),
    [
        ([(1, 1)] * 4, 86),
        ([(1, 1)] * 3, 114),
        ([(2, 1), (1, 1), (1, 1)], 170),
        ([(2, 2), (1, 1), (1, 1)], 224),
        ([(1, 1)], 331),
    ],
    ids=["CMYK", "4:4:4", "4:2:2", "4:2:0", "grey"],
)
def test_a_jpeg_with_several_scans_has_a_limit_by_its_components(
    samplings: Sequence[tuple[int, int]], megapixels: int
) -> None:
    def factor(size: int, **scans: Any) -> int:
        data = jpeg_start(size * 100, 10_000, samplings, **scans)
        return _reduce(_opened(data, "JPEG"), data, 50_000_000)

    whole = len(samplings)
    several = [{"in_scan": whole, "progressive": True}] + [{"in_scan": 1}] * (whole > 1)
    for scans in several:
        assert factor(megapixels, **scans) in {2, 4, 8}
        with pytest.raises(ImageTooLarge):
            factor(megapixels + 2, **scans)
    # The decoder does not keep the coefficients of a single scan.
    assert factor(350, in_scan=whole) == 4


def bomb(name: str) -> bytes:
    """Return a small file whose header claims hundreds of millions of pixels or more."""
    if name == "png":
        # The rows end after 1000 bytes.
        squeezer = zlib.compressobj(9)
        rows = b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(16)) + squeezer.flush()
        return png(40_000, 40_000, 8, 2, zlib.decompress(rows)[:1000])
    if name == "jpeg":
        return jpeg_header(65_500, 65_500)
    if name == "bmp":
        info = struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0)
        return b"BM" + struct.pack("<IHHI", 54 + 12, 0, 0, 54) + info + bytes(12)
    canvas = struct.pack("<I", 16_382)[:3]
    body = b"VP8X" + struct.pack("<I", 10) + b"\x10\x00\x00\x00" + canvas + canvas
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("name", ["png", "jpeg", "bmp", "webp"])
def test_a_decompression_bomb_is_refused_by_its_header(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError) as caught:
        decode_picture(bomb(name), ANY)
    if name != "webp":  # libwebp itself does not open a canvas without a picture
        assert isinstance(caught.value, ImageTooLarge)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


def test_a_heic_that_claims_a_huge_size_is_refused_by_its_header() -> None:
    data = saved(PillowImage.fromarray(quadrants()), "HEIF")
    place = data.index(b"ispe") + 8
    for width, height in ((60_000, 60_000), (2**32 - 1, 2**32 - 1), (1, 2**31), (0, 0)):
        lie = data[:place] + struct.pack(">II", width, height) + data[place + 8 :]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ImageError):
            decode_picture(lie, ANY)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_decoding_a_large_transparent_picture_takes_little_extra_memory(tmp_path: Path) -> None:
    megapixels = 16
    picture = PillowImage.new("RGBA", (4000, 4000), (10, 20, 30, 128))
    path = tmp_path / "large.png"
    path.write_bytes(saved(picture, "PNG", compress_level=1))
    program = (
        "import re, sys; from pathlib import Path\n"
        "from emulator.pipelines.decoding import ImageRules, decode_picture\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "data, before = Path(sys.argv[1]).read_bytes(), peak()\n"
        "decode_picture(data, ImageRules(frozenset({'png'})))\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
    )
    # Four bytes a pixel as decoded, three as returned, and four for temporary bands.
    assert int(done.stdout) * 1024 < (4 + 3 + 4) * megapixels * 1_000_000
