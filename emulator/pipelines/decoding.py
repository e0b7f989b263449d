"""Decoding of pictures."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pi_heif.as_plugin import register_heif_opener
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    ImageCms,
    ImageFile,
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
from emulator.pipelines.structure import MOST_SIDE, check_jpeg, has_process_elements

FORMATS = {
    "JPEG": "jpeg",
    "MPO": "jpeg",  # a JPEG followed by more pictures, as phones write
    "PNG": "png",
    "WEBP": "webp",
    "BMP": "bmp",
    "GIF": "gif",
    "TIFF": "tiff",
    "HEIF": "heic",
}
"""The emulator's names of formats, by Pillow's names. Other formats are not decoded."""

# Importing one of Pillow's plug-ins registers it. Only the formats in ``_TRIED`` are used.
_PLUGINS: Final = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
)
_TRIED: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF")

# Number of pixels to convert at a time, which limits memory.
_BAND_PIXELS: Final = 1 << 21

# EXIF orientation of upright pixels, and the operations that make the other orientations upright.
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


_KEEPING_SIDES: Final = {UPRIGHT, 2, 3, 4}
"""The orientations in which width and height are not swapped."""

# The orientations in which x or y of the upright picture runs against the stored columns or rows.
_MIRRORED_X: Final = {2, 3, 6, 7}
_MIRRORED_Y: Final = {3, 4, 7, 8}

# Where Pillow keeps the XMP data of JPEG, WebP and TIFF, and of PNG.
_XMP: Final = ("xmp", "XML:com.adobe.xmp")

# Maximum memory, in bytes, for decoding a JPEG that is reduced: for its coefficients, and for the decoded
# pixels in Pillow and in NumPy. With this limit, a worker process stays below 1 GB, including MediaPipe and
# the steps after decoding.
_MOST_BYTES: Final = 700_000_000
_BYTES_PER_PIXEL: Final = 7

# Maximum number of pixels of a JPEG that is reduced. Reducing a billion pixels takes about 2 s.
_MOST_REDUCED_PIXELS: Final = 1_000_000_000

# Maximum number of pixels of a BMP with run-length encoding, which Pillow decodes slowly, in Python.
_MOST_RUN_LENGTH_PIXELS: Final = 4_000_000

# ITU-T T.81, table B.1.
_START_OF_SCAN: Final = 0xDA


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB, upright.
    format : str
        Format of the file.
    icc_profile : bytes or None
        RGB profile of the pixels, if the file contains one. Otherwise the pixels are sRGB.
    width, height : int
        Size of the picture in the file, upright. ``image`` is smaller if the picture was reduced.
    reduction : int
        1, 2, 4 or 8. Each pixel of ``image`` stands for ``reduction`` x ``reduction`` pixels of the file.
    corner : (int, int)
        Position (x, y) of the corner of ``image`` in the file, in pixels: 0, or as low as -7 if the picture
        is reduced and turned.
    """

    image: Image
    format: str
    icc_profile: bytes | None
    width: int
    height: int
    reduction: int = 1
    corner: tuple[int, int] = (0, 0)

    def in_srgb(self) -> Image:
        """Return the pixels in sRGB. Without a usable profile, return ``image`` itself."""
        if self.icc_profile is None:
            return self.image
        height, width = self.image.shape[:2]
        bands = ((rows, PillowImage.fromarray(self.image[rows])) for rows in _rows(height, width))
        converted = _converted(bands, (height, width), "RGB", self.icc_profile)
        return self.image if converted is None else converted


@dataclass(frozen=True, eq=False)
class Original:
    """A decoded picture, with the properties that an edited copy must keep.

    Attributes
    ----------
    image : (H, W, 3) uint8
        RGB, upright.
    alpha : (H, W) uint8 or None
        Opacity, upright, if the file contains it.
    format : str
        Format of the file.
    grey : bool
        Whether the file has only one colour channel.
    orientation : int
        EXIF orientation of the stored pixels, 1 to 8.
    icc_profile : bytes or None
        Profile of ``image``, if the file contains one.
    """

    image: Image
    alpha: NDArray[np.uint8] | None
    format: str
    grey: bool
    orientation: int
    icc_profile: bytes | None


def decode_picture(data: bytes, rules: ImageRules) -> Picture:
    """Decode a picture to upright 8-bit RGB.

    Grey, palette, 16-bit, CMYK and transparent pictures are converted. Transparent pictures are composited on
    white. The pixels are decompressed only after the format and the size are accepted. A JPEG with more
    pixels than ``rules.most_pixels`` is decoded at a half, a quarter or an eighth of its width and height.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
    """
    opened = open_picture(data, rules)
    size = opened.size
    with _damage_reported():
        reduction = _reduce(opened, data, rules.most_pixels)
        opened.load()
        image, icc_profile = _rgb(_upright(opened), opened.info.get("icc_profile"))
        orientation = _orientation(opened)
    width, height = size if orientation in _KEEPING_SIDES else size[::-1]
    # The last stored column and row can stand for fewer pixels than the others. If the picture is turned,
    # they can be the first ones, and begin outside the picture.
    beyond = width - reduction * image.shape[1], height - reduction * image.shape[0]
    corner = beyond[0] * (orientation in _MIRRORED_X), beyond[1] * (orientation in _MIRRORED_Y)
    return Picture(image, FORMATS[opened.format or ""], icc_profile, width, height, reduction, corner)


def decode_original(data: bytes, rules: ImageRules) -> Original:
    """Decode a picture together with the properties that ``encode_like`` preserves.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
    """
    opened = open_picture(data, rules)
    if opened.width * opened.height > rules.most_pixels:
        raise _too_many_pixels(opened, rules.most_pixels)
    with _damage_reported():
        opened.load()
        upright = _upright(opened)
        grey = opened.mode in {"1", "L", "LA", "I", "F"} or opened.mode.startswith("I;16")
        profile = opened.info.get("icc_profile")
        alpha = None
        if opened.has_transparency_data:
            # Keep the colours of transparent pixels.
            image = np.empty((upright.height, upright.width, 3), np.uint8)
            alpha = np.empty(image.shape[:2], np.uint8)
            for rows, band in _bands(upright):
                pixels = np.asarray(band.convert("RGBA"))
                image[rows], alpha[rows] = pixels[:, :, :3], pixels[:, :, 3]
        else:
            image, _ = _rgb(upright, profile)
    # A profile of another colour space, such as CMYK, does not apply to the converted pixels.
    if profile is not None and _space(profile) != ("GRAY" if grey else "RGB"):
        profile = None
    return Original(image, alpha, FORMATS[opened.format or ""], grey, _orientation(opened), profile)


def open_picture(data: bytes, rules: ImageRules) -> PillowImage.Image:
    """Read the header, check format and size, and return the picture with its pixels not yet decoded.

    Raises
    ------
    ImageEmpty, ImageUndecodable, ImageFormatUnsupported, ImageTooLarge, ImageTooSmall
    """
    if not data:
        raise ImageEmpty
    with _damage_reported():
        name = _format_of(data)
        # Do not even read the header of other formats, because some headers take long.
        if FORMATS[name] not in rules.formats:
            raise ImageFormatUnsupported(FORMATS[name], tuple(sorted(rules.formats)))
        opened = _opened(data, name)
    _check_size(opened.width, opened.height, rules)
    if _is_run_length_encoded(opened) and opened.width * opened.height > _MOST_RUN_LENGTH_PIXELS:
        raise _too_many_pixels(opened, _MOST_RUN_LENGTH_PIXELS)
    return opened


def _check_size(width: int, height: int, rules: ImageRules) -> None:
    """Raise an error if the picture has no pixels, or if a side is too long or too short."""
    if min(width, height) < 1:
        raise ImageUndecodable(f"its size is {width} x {height} pixels")
    if rules.longest_side is not None and max(width, height) > rules.longest_side:
        raise ImageTooLarge(width, height, rules.longest_side)
    if max(width, height) > MOST_SIDE:
        raise ImageTooLarge(width, height, MOST_SIDE)
    if rules.shortest_side is not None and min(width, height) < rules.shortest_side:
        raise ImageTooSmall(width, height, rules.shortest_side)


@contextmanager
def _damage_reported() -> Iterator[None]:
    """Turn all exceptions in the block except FaceError into ImageUndecodable.

    For damaged files, Pillow's plug-ins raise OSError, SyntaxError, struct.error, KeyError, IndexError,
    zlib.error, RuntimeError and others.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns about irregularities of files that it can read.
            warnings.simplefilter("ignore")
            yield
    except FaceError:
        raise
    except Exception as error:
        raise ImageUndecodable(f"{type(error).__name__}: {error}") from error


def _format_of(data: bytes) -> str:
    """Return Pillow's name of the format that the first bytes of a picture have."""
    register_heif_opener()
    for name in _TRIED:
        _, accept = PillowImage.OPEN[name]
        if accept is not None and accept(data[:64]) is True:
            return name
    raise ImageUndecodable("it is not a picture in a known format")


def _is_run_length_encoded(opened: PillowImage.Image) -> bool:
    tiles = opened.tile if isinstance(opened, ImageFile.ImageFile) else []
    return any(tile.codec_name == "bmp_rle" for tile in tiles)


def _opened(data: bytes, name: str) -> PillowImage.Image:
    """Read the header of a picture in the format ``name``.

    Pillow's ``open`` applies a size limit for the whole process, and does not return the size of a larger
    picture. Here, the caller's limit applies.
    """
    if name == "JPEG":
        check_jpeg(data)
    factory, _ = PillowImage.OPEN[name]
    picture: PillowImage.Image = factory(io.BytesIO(data), "")
    return picture


def _reduce(opened: PillowImage.Image, data: bytes, most_pixels: int) -> int:
    """Let the decoder reduce a JPEG with too many pixels. Return the factor: 1, 2, 4 or 8.

    Raises
    ------
    ImageTooLarge
        If the picture cannot be reduced to ``most_pixels``, or if decoding it would take too much memory.
    """
    width, height = opened.size
    if width * height <= most_pixels:
        return 1
    if not isinstance(opened, JpegImagePlugin.JpegImageFile) or width * height > _MOST_REDUCED_PIXELS:
        raise _too_many_pixels(opened, most_pixels)
    free = _MOST_BYTES - _coefficient_bytes(opened, data)
    decoded = min(most_pixels, free // _BYTES_PER_PIXEL)
    factor = next((one for one in (2, 4, 8) if -(-width // one) * -(-height // one) <= decoded), None)
    # Pillow does not reduce a side to less than one pixel.
    if factor is None or min(width, height) < factor:
        raise _too_many_pixels(opened, most_pixels)
    if opened.draft(opened.mode, (width // factor, height // factor)) is None:
        raise _too_many_pixels(opened, most_pixels)
    return factor


def _too_many_pixels(opened: PillowImage.Image, most_pixels: int) -> ImageTooLarge:
    return ImageTooLarge(opened.width, opened.height, math.isqrt(most_pixels))


def _coefficient_bytes(opened: JpegImagePlugin.JpegImageFile, data: bytes) -> int:
    """Return the number of bytes that libjpeg needs to keep the coefficients of a JPEG in memory.

    A JPEG with one scan is decoded row by row, so it needs hardly any memory. A progressive JPEG has several
    scans. All its coefficients must be in memory before the pixels can be computed, even if the picture is
    reduced.
    """
    if _components_in_first_scan(data) == len(opened.layer) and not opened.info.get("progressive"):
        return 0
    samples = [across * down for _, across, down, _ in opened.layer]
    return 2 * opened.width * opened.height * sum(samples) // max(samples)


def _components_in_first_scan(data: bytes) -> int:
    """Return the number of components in the first scan of a JPEG, or 0 if there is no scan."""
    # ITU-T T.81, B.1.1: each segment begins with 0xFF, its marker, and its length in two bytes.
    position = 2
    while position + 5 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1
        elif marker == _START_OF_SCAN:
            return data[position + 4]
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0


def _upright(picture: PillowImage.Image) -> PillowImage.Image:
    """Return the picture turned upright according to its EXIF orientation."""
    orientation = _orientation(picture)
    return picture if orientation == UPRIGHT else picture.transpose(_UNDOING[orientation])


def _orientation(picture: PillowImage.Image) -> int:
    """Return the EXIF orientation, 1 to 8. If it is missing or invalid, return 1."""
    try:
        orientation = read_exif(picture).get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a picture with damaged metadata is still a picture
        return UPRIGHT
    return orientation if orientation in _UNDOING else UPRIGHT


def read_exif(picture: PillowImage.Image) -> PillowImage.Exif:
    """Return the EXIF data of a loaded picture, and delete its XMP data.

    Pillow takes the orientation from the XMP data if the EXIF data contain none. Browsers, OpenCV and
    ImageMagick ignore the XMP data, because programs that turn the pixels often do not update them. So this
    function first deletes them from ``picture.info``.
    """
    for name in _XMP:
        picture.info.pop(name, None)
    return picture.getexif()


def _rgb(picture: PillowImage.Image, icc_profile: object) -> tuple[Image, bytes | None]:
    """Return the pixels as 8-bit RGB, and their RGB profile, if any."""
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
    """Yield bands of rows from top to bottom, so that a conversion copies only a few rows at a time."""
    some = max(1, _BAND_PIXELS // width)
    for top in range(0, height, some):
        yield slice(top, min(top + some, height))


def _bands(picture: PillowImage.Image) -> Iterator[tuple[slice, PillowImage.Image]]:
    """Yield bands of rows, each with its part of the picture."""
    for rows in _rows(picture.height, picture.width):
        whole = rows == slice(0, picture.height)
        yield rows, picture if whole else picture.crop((0, rows.start, picture.width, rows.stop))


def _over_white(picture: PillowImage.Image) -> PillowImage.Image:
    """Return the picture with 8 bits per channel. A transparent picture is composited on white."""
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        # Pillow would clip 16-bit values instead of scaling them.
        grey: NDArray[np.uint32] = np.asarray(picture).astype(np.uint32)
        return PillowImage.fromarray((np.minimum(grey, 65535) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    white = PillowImage.new("RGBA", picture.size, "white")
    return PillowImage.alpha_composite(white, picture.convert("RGBA"))


def _space(profile: bytes) -> str:
    """Return the colour space of an ICC profile, or '' if the profile is invalid or not supported."""
    # ICC.1:2022, 7.2: the signature 'acsp' at byte 36, the data's colour space at byte 16.
    if profile[36:40] != b"acsp" or has_process_elements(profile):
        return ""
    return profile[16:20].decode("ascii", "replace").strip()


def _converted(
    bands: Iterable[tuple[slice, PillowImage.Image]], shape: tuple[int, int], mode: str, profile: bytes
) -> Image | None:
    """Convert a picture, given as strips of rows, to sRGB. Return None if the profile cannot be used."""
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
