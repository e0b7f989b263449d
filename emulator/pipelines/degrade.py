"""Picture faults, which simulate errors of a client's preprocessing."""

from __future__ import annotations

import contextlib
import io
import math

from PIL import Image, ImageFilter, UnidentifiedImageError

from emulator.face.errors import ImageTooLarge
from emulator.pipelines.common import PictureFault
from emulator.pipelines.decoding import FORMATS, open_picture, read_exif
from emulator.pipelines.options import MOST_PIXELS, ImageRules

QUALITY = 95

_ANY = ImageRules(frozenset(FORMATS.values()))


def degrade(data: bytes, fault: PictureFault, heic_format: str | None = None) -> bytes:
    """Apply ``fault`` to a picture, and encode the result in the picture's own format.

    A picture that cannot be decoded, or has a format that cannot be written, is only truncated. HEIC files
    cannot be written, because all encoders are under the GPL, and the emulator's image must not contain GPL
    code. A HEIC file is converted to ``heic_format``, which is one of Pillow's names. If this is None, the
    file is only truncated.
    """
    changed = data
    if fault != PictureFault(truncate=fault.truncate):
        # Pillow's plug-ins raise many exceptions for damaged files. Some formats can only be read.
        with contextlib.suppress(Exception):
            changed = _change(data, fault, heic_format)
    return changed[: round(len(changed) * fault.truncate)]


def _change(data: bytes, fault: PictureFault, heic_format: str | None) -> bytes:
    with open_picture(data, _ANY) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ImageTooLarge(opened.width, opened.height, math.isqrt(MOST_PIXELS))
        opened.load()
        picture_format, exif, profile = opened.format, read_exif(opened), opened.info.get("icc_profile")
        image = opened.copy()
    if fault.rotate_deg:
        image = image.rotate(-fault.rotate_deg, expand=True)
    if fault.swap_channels or fault.blur or fault.shrink < 1:
        # These operations do not work on palettes.
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if fault.swap_channels:
        red, green, blue, *alpha = image.split()
        image = Image.merge(image.mode, (blue, green, red, *alpha))
    if fault.shrink < 1:
        width, height = (max(1, round(side * fault.shrink)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    if fault.blur:
        image = image.filter(ImageFilter.GaussianBlur(fault.blur))
    if picture_format == "HEIF":
        if heic_format is None:
            raise UnidentifiedImageError("HEIC cannot be written")
        picture_format, image = heic_format, image.convert("RGB")
    written = io.BytesIO()
    kept = {} if fault.drop_exif else {"exif": exif.tobytes(), "icc_profile": profile}
    image.info.clear()
    image.save(written, format=picture_format, quality=QUALITY, **kept)
    return written.getvalue()
