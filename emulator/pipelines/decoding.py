"""Bytes to pixels."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

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
from emulator.pipelines.options import ImageRules

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
UPRIGHT: Final = 1
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


def _accepted(data: bytes, rules: ImageRules) -> PillowImage.Image:
    """Return the picture with only its header read, once its format and size are acceptable."""
    if not data:
        raise ImageEmpty
    with _damage_reported():
        opened = _opened(data)
    found = FORMATS[opened.format or ""]
    if found not in rules.formats:
        raise ImageFormatUnsupported(found, tuple(sorted(rules.formats)))
    _check_size(opened.width, opened.height, rules)
    return opened


def _check_size(width: int, height: int, rules: ImageRules) -> None:
    """Raise unless there are pixels, and both sides and the area are within the limits."""
    if min(width, height) < 1:
        raise ImageUndecodable(f"it is {width} x {height} pixels")
    if rules.longest_side is not None and max(width, height) > rules.longest_side:
        raise ImageTooLarge(width, height, rules.longest_side)
    if width * height > rules.most_pixels:
        raise ImageTooLarge(width, height, math.isqrt(rules.most_pixels))
    if rules.shortest_side is not None and min(width, height) < rules.shortest_side:
        raise ImageTooSmall(width, height, rules.shortest_side)


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
    return picture if orientation == UPRIGHT else picture.transpose(_UNDOING[orientation])


def _orientation(picture: PillowImage.Image) -> int:
    """Return EXIF's orientation, 1 to 8; 1 where a camera has written something else."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a picture with damaged metadata is still a picture
        return UPRIGHT
    return orientation if orientation in _UNDOING else UPRIGHT


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
