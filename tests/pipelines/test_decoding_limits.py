"""Limits on the size of a picture, and files whose header claims a huge size."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from pictures import ANY, png, quadrants, saved
from PIL import Image as PillowImage

from emulator.face.errors import (
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
)
from emulator.pipelines.decoding import decode_picture
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


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


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
