"""Bytes to pixels and back."""

from __future__ import annotations

import io
import math
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as PillowImage

from emulator.face.errors import (
    FaceError,
    ImageEmpty,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageTooSmall,
    ImageUndecodable,
)
from emulator.face.types import Image
from emulator.pipelines.rules import ImageRules

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

# Importing a plug-in registers it; named here, so that no other kind is ever tried.
_PLUGINS: Final = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
)
_TRIED: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF")

# Conversions are done on so many at a time.
_BAND_PIXELS: Final = 1 << 21

# EXIF's orientation of pixels that are stored as they are to be seen, and how the others are undone.
_UPRIGHT: Final = 1
_UNDOING: Final = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}


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
        The RGB colour space that the pixels are in, if the file says one; else they count as sRGB.
    """

    image: Image
    format: str
    icc_profile: bytes | None

    def in_srgb(self) -> Image:
        """Return the pixels converted to sRGB: the picture's own if they are in it already."""
        if self.icc_profile is None:
            return self.image
        height, width = self.image.shape[:2]
        bands = ((rows, PillowImage.fromarray(self.image[rows])) for rows in _rows(height, width))
        converted = _converted(bands, (height, width), "RGB", self.icc_profile)
        return self.image if converted is None else converted


def decode_picture(data: bytes, rules: ImageRules) -> Picture:
    """Return the picture in ``data``, turned upright as its EXIF orientation says.

    Grey, palette, 16-bit, CMYK and transparent pictures become 8-bit RGB; what is transparent is
    laid over white. Nothing is decompressed before format and size are known to be acceptable.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
        As they say.
    """
    opened = _accepted(data, rules)
    with _damage_reported():
        opened.load()
        image, icc_profile = _rgb(_upright(opened), opened.info.get("icc_profile"))
    return Picture(image, FORMATS[opened.format or ""], icc_profile)


def _accepted(data: bytes, rules: ImageRules) -> PillowImage.Image:
    """Return the picture with only its header read, once its format and size are acceptable."""
    if not data:
        raise ImageEmpty
    with _damage_reported():
        opened = _opened(data)
    found = FORMATS[opened.format or ""]
    if found not in rules.formats:
        raise ImageFormatUnsupported(found, tuple(sorted(rules.formats)))
    check_size(opened.width, opened.height, rules)
    return opened


@contextmanager
def _damage_reported() -> Iterator[None]:
    """Turn whatever goes wrong in the block into ImageUndecodable.

    Damaged files make plug-ins trip over whatever comes first: OSError, SyntaxError, struct.error,
    KeyError, IndexError, zlib.error, RuntimeError, ...
    """
    try:
        with warnings.catch_warnings():
            # What Pillow finds odd and reads all the same is nothing to tell anybody about.
            warnings.simplefilter("ignore")
            yield
    except FaceError:
        raise
    except Exception as error:
        raise ImageUndecodable(f"{type(error).__name__}: {error}") from error


def _opened(data: bytes) -> PillowImage.Image:
    """Return the picture with only its header read.

    Pillow's own ``open`` would judge the size by a limit of the whole process, and say no more
    about a picture beyond it; here it is judged by the caller's.
    """
    pillow_heif.register_heif_opener()
    for name in _TRIED:
        factory, accept = PillowImage.OPEN[name]
        if accept is None or accept(data[:64]) is not True:
            continue
        picture: PillowImage.Image = factory(io.BytesIO(data), "")
        return picture
    raise ImageUndecodable("it is no kind of picture that is known here")


def _upright(picture: PillowImage.Image) -> PillowImage.Image:
    """Return the picture as its EXIF orientation says it should be seen."""
    orientation = _orientation(picture)
    return picture if orientation == _UPRIGHT else picture.transpose(_UNDOING[orientation])


def _orientation(picture: PillowImage.Image) -> int:
    """Return EXIF's orientation, 1 to 8; 1 where a camera has written something else."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a picture with damaged metadata is still a picture
        return _UPRIGHT
    return orientation if orientation in _UNDOING else _UPRIGHT


def _rgb(picture: PillowImage.Image, icc_profile: object) -> tuple[Image, bytes | None]:
    """Return the pixels as 8-bit RGB, and the RGB profile that they are in, if any."""
    profile = icc_profile if isinstance(icc_profile, bytes) else b""
    if picture.mode == "CMYK" and _space(profile) == "CMYK":
        converted = _converted(_bands(picture), (picture.height, picture.width), "CMYK", profile)
        if converted is not None:
            return converted, None
    image = np.empty((picture.height, picture.width, 3), np.uint8)
    for rows, band in _bands(picture):
        image[rows] = np.asarray(_over_white(band).convert("RGB"))
    return image, profile if _space(profile) == "RGB" else None


def _rows(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of a picture from top to bottom, some at a time: conversions shall copy little."""
    some = max(1, _BAND_PIXELS // width)
    for top in range(0, height, some):
        yield slice(top, min(top + some, height))


def _bands(picture: PillowImage.Image) -> Iterator[tuple[slice, PillowImage.Image]]:
    """Yield rows and the picture there."""
    for rows in _rows(picture.height, picture.width):
        whole = rows == slice(0, picture.height)
        yield rows, picture if whole else picture.crop((0, rows.start, picture.width, rows.stop))


def _over_white(picture: PillowImage.Image) -> PillowImage.Image:
    """Return the picture in 8 bits a channel, laid over white where it is transparent."""
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        # 16 bits, which Pillow would clip and not scale.
        grey: NDArray[np.uint32] = np.asarray(picture).astype(np.uint32)
        return PillowImage.fromarray((np.minimum(grey, 65535) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    white = PillowImage.new("RGBA", picture.size, "white")
    return PillowImage.alpha_composite(white, picture.convert("RGBA"))


def _space(profile: bytes) -> str:
    """Return the colour space that an ICC profile describes; '' if it describes none."""
    # ICC.1:2022, 7.2: the signature 'acsp' at byte 36, the data's colour space at byte 16.
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def _converted(
    bands: Iterable[tuple[slice, PillowImage.Image]], shape: tuple[int, int], mode: str, profile: bytes
) -> Image | None:
    """Return the picture (``shape``) of ``bands`` in sRGB, or None if the profile is of no use."""
    image = np.empty((*shape, 3), np.uint8)
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), mode, "RGB"
        )
        for rows, band in bands:
            image[rows] = np.asarray(transform.apply(band))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return image


def check_size(width: int, height: int, rules: ImageRules) -> None:
    """Raise unless both sides are within the limits.

    Raises
    ------
    ImageTooLarge, ImageTooSmall
        If a side, or the area, is beyond its limit.
    ImageUndecodable
        If there is not one pixel.
    """
    if min(width, height) < 1:
        raise ImageUndecodable(f"it is {width} x {height} pixels")
    if rules.longest_side is not None and max(width, height) > rules.longest_side:
        raise ImageTooLarge(width, height, rules.longest_side)
    if width * height > rules.most_pixels:
        raise ImageTooLarge(width, height, math.isqrt(rules.most_pixels))
    if rules.shortest_side is not None and min(width, height) < rules.shortest_side:
        raise ImageTooSmall(width, height, rules.shortest_side)


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


def _encode(image: Image, pillow_format: str, icc_profile: bytes | None, **options: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, pillow_format, icc_profile=icc_profile, **options)
    return buffer.getvalue()


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
    opened = _accepted(data, rules)
    with _damage_reported():
        opened.load()
        upright = _upright(opened)
        grey = opened.mode in {"1", "L", "LA", "I", "F"} or opened.mode.startswith("I;16")
        profile = opened.info.get("icc_profile")
        alpha = None
        if opened.has_transparency_data:
            # Its colours stay as they are, also where nobody sees them.
            image = np.empty((upright.height, upright.width, 3), np.uint8)
            alpha = np.empty(image.shape[:2], np.uint8)
            for rows, band in _bands(upright):
                pixels = np.asarray(band.convert("RGBA"))
                image[rows], alpha[rows] = pixels[:, :, :3], pixels[:, :, 3]
        else:
            image, _ = _rgb(upright, profile)
    # A profile of another colour space (CMYK's) says nothing about the pixels that we have.
    if profile is not None and _space(profile) != ("GRAY" if grey else "RGB"):
        profile = None
    return Original(image, alpha, FORMATS[opened.format or ""], grey, _orientation(opened), profile)


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
