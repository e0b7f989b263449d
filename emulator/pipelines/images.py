"""Bytes to pixels and back."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, ImageOps
from PIL import Image as PillowImage

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
            # Both would copy a picture that needs neither, which a large one takes long over.
            upright = opened if _orientation(opened) == _UPRIGHT else ImageOps.exif_transpose(opened)
            pixels = np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))
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


# --- Pictures that are changed and given back ----------------------------------------------------

_UPRIGHT = 1
"""The EXIF orientation of pixels that are stored as they are to be seen."""


@dataclass(frozen=True, eq=False)
class Original:
    """A decoded picture, with all that a changed copy of it has to keep.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB, upright.
    alpha : (H, W) uint8 or None
        Opacity, upright, if the file has any.
    format : str
        What it was encoded as.
    grey : bool
        Whether the file has one channel of colour.
    orientation : int
        EXIF's, 1 to 8: how the stored pixels are to be turned to stand upright.
    icc_profile : bytes or None
        The colour space that ``image`` is in, if the file says one.
    """

    image: Image
    alpha: NDArray[np.uint8] | None
    format: str
    grey: bool
    orientation: int
    icc_profile: bytes | None


def decode_original(data: bytes, rules: ImageRules) -> Original:
    """Return the picture in ``data``, and what `encode_like` needs to give it back changed.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
        As they say.
    """
    picture = decode_picture(data, rules)
    opened = PillowImage.open(io.BytesIO(data), formats=OPENED)
    alpha = None
    if opened.has_transparency_data:
        alpha = np.asarray(ImageOps.exif_transpose(opened).convert("RGBA").getchannel("A"))
    grey = opened.mode in {"1", "L", "LA", "I", "I;16", "F"}
    profile = picture.icc_profile
    # A profile of another colour space (CMYK's) says nothing about the pixels that we have.
    if profile is not None and profile[16:20] != (b"GRAY" if grey else b"RGB "):
        profile = None
    return Original(picture.image, alpha, picture.format, grey, _orientation(opened), profile)


def encode_like(original: Original, image: Image, alpha: NDArray[np.uint8] | None = None) -> bytes:
    """Return ``image`` (H, W, 3), upright, encoded as ``original`` was.

    Format, channels, orientation and colour space stay: PNG stays PNG, everything else becomes a
    JPEG of high quality. Of the other metadata nothing is kept: places, times and devices are
    nobody's business.
    """
    pixels = image[:, :, 1] if original.grey else image
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    picture = PillowImage.fromarray(np.ascontiguousarray(_as_stored(pixels, original.orientation)))
    exif = PillowImage.Exif()
    if original.orientation != _UPRIGHT:
        exif[ExifTags.Base.Orientation] = original.orientation
    buffer = io.BytesIO()
    if original.format == "png":
        picture.save(buffer, "PNG", icc_profile=original.icc_profile, exif=exif, compress_level=6)
    else:
        picture.save(buffer, "JPEG", icc_profile=original.icc_profile, exif=exif, quality=95, subsampling=0)
    return buffer.getvalue()


def _orientation(opened: PillowImage.Image) -> int:
    orientation = opened.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    # Cameras have written 0, and worse.
    return orientation if orientation in range(1, 9) else _UPRIGHT


# Whether pixels of an EXIF orientation are mirrored left to right, and by how many quarter turns
# they are then turned counter-clockwise, from how they are seen to how they are stored.
_TO_STORED = {
    1: (False, 0), 2: (True, 0), 3: (False, 2), 4: (True, 2),
    5: (True, 1), 6: (False, 1), 7: (True, 3), 8: (False, 3),
}  # fmt: skip


def _as_stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return pixels (H, W, ...) turned back to how a file of this EXIF orientation stores them."""
    mirrored, quarters = _TO_STORED[orientation]
    return np.rot90(upright[:, ::-1] if mirrored else upright, quarters)
