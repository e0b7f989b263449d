"""Beautification of the people in a picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emulator.face.beauty import beautify
from emulator.face.filters import apply_filter
from emulator.face.types import Image
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import Original, decode_original
from emulator.pipelines.encoding import encode_like
from emulator.pipelines.options import BeautifyOptions


def beautify_picture(data: bytes, options: BeautifyOptions) -> bytes:
    """Return the picture with all faces beautified and a colour filter applied, as a JPEG.

    Size, orientation and colour space stay the same. A transparent picture is composited on white.

    Raises
    ------
    ImageError
        If the picture cannot be decoded or is not accepted.
    """
    original = decode_original(data, options.rules)
    image = _opaque(original)
    if not options.parameters.is_zero:
        faces = [face.landmarks for face in detector().detect(image)]
        image = beautify(image, faces, options.parameters, detector().segment_person)
    image = apply_filter(image, options.color_filter)
    if original.grey and not options.color_filter.keeps_grey:
        # The profile of a grey picture does not describe colours.
        original = replace(original, grey=False, icc_profile=None)
    return encode_like(replace(original, format="jpeg"), image)


def _opaque(original: Original) -> Image:
    """Return the pixels of a picture, on white where it is transparent."""
    if original.alpha is None:
        return original.image
    alpha = original.alpha[:, :, None].astype(np.uint16)
    opaque: Image = ((original.image * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return opaque
