from __future__ import annotations

import io

import numpy as np
import pytest
from glb_files import unpacked, view
from PIL import Image as PillowImage

from emulator.drift.samples import picture
from emulator.face.errors import GlbUnreadable, ImageUndecodable, NotGlb
from emulator.pipelines.assemble import assemble_avatar, check_glb
from emulator.pipelines.options import AvatarOptions, ImageRules

MODEL = picture("model.glb")
RULES = ImageRules(frozenset({"png", "bmp"}))


def encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def options(texture: bytes, *models: bytes) -> AvatarOptions:
    return AvatarOptions(RULES, texture, (0.0,) * 80, (255, 128, 0), models, has_face_units=False)


def test_a_head_without_models_is_one_node() -> None:
    tree, binary = unpacked(assemble_avatar(options(encoded("PNG"))))
    assert tree["nodes"] == [{"name": "head", "mesh": 0}]
    assert view(tree, binary, tree["images"][0]["bufferView"]) == encoded("PNG")


def test_a_texture_in_another_format_becomes_a_png() -> None:
    tree, binary = unpacked(assemble_avatar(options(encoded("BMP"))))
    assert tree["images"][0]["mimeType"] == "image/png"
    with (
        PillowImage.open(io.BytesIO(view(tree, binary, tree["images"][0]["bufferView"]))) as embedded,
        PillowImage.open(io.BytesIO(encoded("PNG"))) as sent,
    ):
        assert (embedded.format, embedded.tobytes()) == ("PNG", sent.tobytes())


def test_the_skin_of_models_gets_the_linear_colour() -> None:
    tree, _ = unpacked(assemble_avatar(options(encoded("PNG"), MODEL)))
    (color,) = (
        each["pbrMetallicRoughness"]["baseColorFactor"]
        for each in tree["materials"]
        if each["name"] == "skin"
    )
    assert color == pytest.approx([1.0, 0.2158605, 0.0, 1.0])


def test_the_same_options_give_the_same_bytes() -> None:
    assert assemble_avatar(options(encoded("PNG"), MODEL)) == assemble_avatar(options(encoded("PNG"), MODEL))


def test_bad_files_are_refused() -> None:
    check_glb(MODEL)
    for data, expected in ((b"PK", NotGlb), (MODEL[:-1], GlbUnreadable)):
        with pytest.raises(expected):
            check_glb(data)
        with pytest.raises(expected):
            assemble_avatar(options(encoded("PNG"), data))
    with pytest.raises(ImageUndecodable):
        assemble_avatar(options(b"\x89PNG\r\n\x1a\n"))
