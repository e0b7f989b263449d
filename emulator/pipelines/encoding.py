"""Pixels to bytes."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage

from emulator.face.types import Image
from emulator.pipelines.decoding import UPRIGHT, Original

# Whether pixels of an EXIF orientation are mirrored left to right, and by how many quarter turns
# they are then turned counter-clockwise, from how they are seen to how they are stored.
_TO_STORED = {
    1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
    5: (True, 1), 6: (False, 1), 7: (True, 3), 8: (False, 3),
}  # fmt: skip


def encode_jpeg(image: Image, quality: int = 92, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a JPEG without chroma subsampling, so that fine colour edges stay."""
    return _encode(image, "JPEG", icc_profile, quality=quality, subsampling=0)


def encode_png(image: Image, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a PNG."""
    # What photographs leave after PNG's filters has runs, no phrases: to look for them costs four times
    # the time, and saves nothing.
    return _encode(image, "PNG", icc_profile, compress_level=6, compress_type=zlib.Z_RLE)


def encode_png_below(image: Image, limit: int) -> bytes:
    """Return ``image``, a square, as a PNG of less than ``limit`` bytes, made smaller until it has.

    Raises
    ------
    ValueError
        If not even one pixel has so few.
    """
    data = encode_png(image)
    side = len(image)
    while len(data) >= limit:
        if side == 1:
            raise ValueError(f"a PNG has more than {limit} bytes")
        side = max(1, min(side - 1, int(0.98 * side * (limit / len(data)) ** 0.5)))
        smaller = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        data = encode_png(np.asarray(smaller, np.uint8))
    return data


def encode_as(picture_format: str, image: Image, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` in the format that it came in: PNG stays PNG, everything else becomes JPEG."""
    if picture_format == "png":
        return encode_png(image, icc_profile)
    return encode_jpeg(image, quality=95, icc_profile=icc_profile)


def encode_like(original: Original, image: Image, alpha: NDArray[np.uint8] | None = None) -> bytes:
    """Return ``image`` (H, W, 3), upright, encoded as ``original`` was.

    Format, channels, orientation and colour space stay: PNG stays PNG, everything else becomes a
    JPEG of high quality. Of the other metadata nothing is kept: places, times and devices are
    nobody's business.
    """
    pixels = image[:, :, 1] if original.grey else image
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    stored = np.ascontiguousarray(_as_stored(pixels, original.orientation))
    exif = PillowImage.Exif()
    if original.orientation != UPRIGHT:
        exif[ExifTags.Base.Orientation] = original.orientation
    if original.format == "png":
        return _encode(stored, "PNG", original.icc_profile, exif=exif, compress_level=6)
    return _encode(stored, "JPEG", original.icc_profile, exif=exif, quality=95, subsampling=0)


def _encode(pixels: NDArray[np.uint8], kind: str, icc_profile: bytes | None, **options: object) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind, icc_profile=icc_profile, **options)
    return buffer.getvalue()


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return pixels (H, W, ...) turned back to how a file of this EXIF orientation stores them."""
    mirrored, quarters = _TO_STORED[orientation]
    return np.rot90(upright[:, ::-1] if mirrored else upright, quarters)
