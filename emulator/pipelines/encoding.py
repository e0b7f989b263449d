"""Encoding of pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib
from typing import IO

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage

from emulator.face.types import Image
from emulator.pipelines.decoding import UPRIGHT, Original

# How upright pixels are stored in each EXIF orientation: whether they are mirrored left to right, and the
# number of counter-clockwise quarter turns after that.
_TO_STORED = {
    1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
    5: (True, 1), 6: (False, 1), 7: (True, 3), 8: (False, 3),
}  # fmt: skip


_PNG = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels: grey, grey with alpha, RGB, RGB with alpha
_UP = 2  # number of the filter that subtracts the row above


def encode_jpeg(image: Image, quality: int = 92, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a JPEG without chroma subsampling, which would blur colour edges."""
    return _encode(_file_in_memory(), image, "JPEG", icc_profile, quality=quality, subsampling=0)


def encode_png(image: NDArray[np.uint8], icc_profile: bytes | None = None) -> bytes:
    """Return ``image``, (H, W) or (H, W, 1 to 4), as a PNG.

    Each row is stored as the difference to the row above. Pillow and OpenCV try five filters for each row,
    which takes as long as the compression, and makes a photograph smaller by a fifth.
    """
    height, width = image.shape[:2]
    colour_type = _COLOUR_TYPES[image.size // (height * width)]
    rows = image.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    profile = b"" if icc_profile is None else _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc_profile))
    # ISA-L is four times as fast as the fastest level of zlib, and the result is not larger. Level 3 gives
    # other bytes on processors with AVX-512. Level 2 gives the same on all x86-64 processors.
    data = isal_zlib.compress(filtered.data, 2)
    return b"".join([_PNG, _chunk(b"IHDR", head), profile, _chunk(b"IDAT", data), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode_png_below(image: Image, limit: int) -> bytes:
    """Return a square ``image`` as a PNG of less than ``limit`` bytes, scaled down if necessary.

    Raises
    ------
    ValueError
        If even a PNG of one pixel has ``limit`` bytes or more.
    """
    data = encode_png(image)
    side = len(image)
    while len(data) >= limit:
        if side == 1:
            raise ValueError(f"no PNG is smaller than {limit} bytes")
        side = max(1, min(side - 1, int(0.98 * side * (limit / len(data)) ** 0.5)))
        smaller = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        data = encode_png(np.asarray(smaller, np.uint8))
    return data


def encode_as(picture_format: str, image: Image, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a PNG if ``picture_format`` is ``png``, otherwise as a JPEG."""
    if picture_format == "png":
        return encode_png(image, icc_profile)
    return encode_jpeg(image, quality=95, icc_profile=icc_profile)


def encode_like(original: Original, image: Image, alpha: NDArray[np.uint8] | None = None) -> bytes:
    """Encode an upright ``image`` (H, W, 3) with the properties of ``original``.

    Channels, orientation and colour space are preserved. PNG stays PNG, and all other formats become JPEG of
    high quality. Other metadata is removed, because it may contain private data: places, times, devices.
    """
    pixels = image[:, :, 1] if original.grey else image
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    stored = np.ascontiguousarray(_as_stored(pixels, original.orientation))
    exif = PillowImage.Exif()
    if original.orientation != UPRIGHT:
        exif[ExifTags.Base.Orientation] = original.orientation
    into, profile = io.BytesIO(), original.icc_profile
    if original.format == "png":
        return _encode(into, stored, "PNG", profile, exif=exif, compress_level=6, compress_type=zlib.Z_RLE)
    return _encode(into, stored, "JPEG", profile, exif=exif, quality=95, subsampling=0)


def _encode(
    into: IO[bytes], pixels: NDArray[np.uint8], kind: str, icc_profile: bytes | None, **options: object
) -> bytes:
    with into:
        if kind == "JPEG" and pixels.shape[2:] == (3,):
            # Pillow keeps a pixel in four bytes. OpenCV adds the fourth faster, and Pillow need not copy.
            size, padded = (pixels.shape[1], pixels.shape[0]), cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
            picture = PillowImage.frombuffer("RGBX", size, padded, "raw", "RGBX", 0, 1)
        else:
            picture = PillowImage.fromarray(pixels)
        picture.save(into, kind, icc_profile=icc_profile, **options)
        into.seek(0)
        return into.read()


def _file_in_memory() -> IO[bytes]:
    """Return a file in memory. On Linux, it is one of the operating system.

    Pillow lets other threads run while it encodes to such a file, but not while it encodes to an object. It
    takes 0.2 ms longer.
    """
    memfd_create = getattr(os, "memfd_create", None)
    return io.BytesIO() if memfd_create is None else os.fdopen(memfd_create("picture"), "w+b")


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return upright pixels (H, W, ...) as a file of this EXIF orientation stores them."""
    mirrored, quarters = _TO_STORED[orientation]
    return np.rot90(upright[:, ::-1] if mirrored else upright, quarters)
