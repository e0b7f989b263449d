"""Bytes to pixels and back."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import pillow_heif
from PIL import Image as PillowImage
from PIL import ImageOps

from emulator.face.errors import (
    ImageEmpty,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageTooSmall,
    ImageUndecodable,
)
from emulator.face.types import Image

FORMATS = {
    "JPEG": "jpeg",
    "MPO": "jpeg",  # a JPEG with more pictures behind it, as phones write
    "PNG": "png",
    "WEBP": "webp",
    "BMP": "bmp",
    "GIF": "gif",
    "TIFF": "tiff",
    "HEIF": "heic",
}
"""Our names for Pillow's formats. What is not here is not recognised as a picture."""

OPENED = [name for name in FORMATS if name != "MPO"]
"""What Pillow is told to look for; it finds an MPO by itself, as a kind of JPEG."""


@dataclass(frozen=True)
class ImageRules:
    """What a caller accepts.

    Attributes
    ----------
    formats : frozenset of str
        Of ``jpeg``, ``png``, ``webp``, ``bmp``, ``heic``; decided by the bytes, never by a name.
    longest_side, shortest_side : int or None
        Limits in pixels, inclusive; each holds for both sides.
    """

    formats: frozenset[str]
    longest_side: int | None = None
    shortest_side: int | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB, upright.
    format : str
        What it was encoded as.
    icc_profile : bytes or None
        The colour space that the pixels are in, if the file says one.
    """

    image: Image
    format: str
    icc_profile: bytes | None


def decode_picture(data: bytes, rules: ImageRules) -> Picture:
    """Return the picture in ``data``, turned upright as its EXIF orientation says.

    Nothing is decompressed before format and size are known to be acceptable.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
        As they say.
    """
    if not data:
        raise ImageEmpty
    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            # The size is judged right below, by the caller's limit and not by Pillow's.
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)
            opened = PillowImage.open(io.BytesIO(data), formats=OPENED)
            found = FORMATS[opened.format or ""]
            if found not in rules.formats:
                raise ImageFormatUnsupported(found, tuple(sorted(rules.formats)))
            check_size(opened.width, opened.height, rules)
            upright = ImageOps.exif_transpose(opened)
            pixels = np.asarray(upright.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, PillowImage.DecompressionBombError) as error:
        # Pillow's plug-ins report damage with all of these.
        raise ImageUndecodable(str(error)) from error
    return Picture(pixels, found, opened.info.get("icc_profile"))


def check_size(width: int, height: int, rules: ImageRules) -> None:
    """Raise unless both sides are within the limits.

    Raises
    ------
    ImageTooLarge, ImageTooSmall
        If a side is beyond its limit.
    """
    if rules.longest_side is not None and max(width, height) > rules.longest_side:
        raise ImageTooLarge(width, height, rules.longest_side)
    if rules.shortest_side is not None and min(width, height) < rules.shortest_side:
        raise ImageTooSmall(width, height, rules.shortest_side)


def encode_jpeg(image: Image, quality: int = 92, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a JPEG without chroma subsampling, so that fine colour edges stay."""
    return _encode(image, "JPEG", icc_profile, quality=quality, subsampling=0)


def encode_png(image: Image, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` as a PNG."""
    return _encode(image, "PNG", icc_profile, compress_level=6)


def encode_as(picture_format: str, image: Image, icc_profile: bytes | None = None) -> bytes:
    """Return ``image`` in the format that it came in: PNG stays PNG, everything else becomes JPEG."""
    if picture_format == "png":
        return encode_png(image, icc_profile)
    return encode_jpeg(image, quality=95, icc_profile=icc_profile)


def _encode(image: Image, pillow_format: str, icc_profile: bytes | None, **options: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, pillow_format, icc_profile=icc_profile, **options)
    return buffer.getvalue()
