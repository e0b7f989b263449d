"""Assembling of avatars: a head and other models in one GLB file."""

from __future__ import annotations

import numpy as np

from emulator.face.avatar import avatar
from emulator.face.glb import write_glb
from emulator.face.glb_merge import merge, pack_glb, read_glb, repaint
from emulator.pipelines.decoding import decode_picture
from emulator.pipelines.encoding import encode_png
from emulator.pipelines.options import AvatarOptions

MESH = "head"
"""Name of the head's mesh and of its node."""

SKIN = "skin"
"""Materials with this word in their names get the colour of the skin."""


def check_glb(data: bytes) -> None:
    """Check that a file is a GLB that can be merged with others.

    Raises
    ------
    NotGlb
        If the file does not begin like a GLB.
    GlbUnreadable
        If the file is damaged, is not glTF 2, or refers to something that it does not contain.
    """
    read_glb(data)


def assemble_avatar(options: AvatarOptions) -> bytes:
    """Return a GLB with a head, followed by the models.

    Raises
    ------
    ImageError
        If the texture cannot be decoded, or its format is not accepted.
    NotGlb, GlbUnreadable
        If a model is not a GLB that can be merged.
    """
    picture = decode_picture(options.texture, options.rules)
    texture = options.texture if picture.format in {"png", "jpeg"} else encode_png(picture.in_srgb())
    parts = avatar(np.array(options.numbers), texture, has_face_units=options.has_face_units)
    models = [read_glb(model) for model in options.models]
    head = write_glb(parts, MESH)
    if not models:
        return head
    red, green, blue = (_linear(channel) for channel in options.skin_color)
    painted = [repaint(model, SKIN, (red, green, blue)) for model in models]
    return pack_glb(merge([read_glb(head), *painted]))


def _linear(channel: int) -> float:
    """Return an sRGB channel, 0 to 255, as linear light, 0 to 1 (IEC 61966-2-1)."""
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
