from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import ANY, FORMATS, png, quadrants, saved
from PIL import Image as PillowImage
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from emulator.face.errors import (
    ImageEmpty,
    ImageError,
    ImageFormatUnsupported,
    ImageUndecodable,
)
from emulator.face.types import Image
from emulator.pipelines.decoding import decode_original, decode_picture
from emulator.pipelines.encoding import encode_as, encode_jpeg, encode_like, encode_png
from emulator.pipelines.options import ImageRules


def corners(image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    height, width = image.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return np.array([image[row, column] for row in rows for column in columns], np.int64)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(name: str) -> None:
    data = saved(PillowImage.fromarray(quadrants()), FORMATS[name], quality=95)
    picture = decode_picture(data, ANY)
    assert (picture.format, picture.image.shape, picture.icc_profile) == (name, (48, 64, 3), None)
    assert np.abs(corners(picture.image) - corners(quadrants())).max() <= (6 if name in FORMATS else 0)
    if name in {"png", "bmp"}:
        np.testing.assert_array_equal(picture.image, quadrants())


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(name: str, orientation: int) -> None:
    upright = quadrants()
    as_stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    picture = PillowImage.fromarray(np.ascontiguousarray(as_stored))
    data = saved(picture, FORMATS[name], exif=exif, quality=95)
    decoded = decode_picture(data, ANY).image
    assert decoded.shape == upright.shape
    assert np.abs(corners(decoded) - corners(upright)).max() <= 6


def xmp(orientation: int) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/>'
        b"</rdf:RDF></x:xmpmeta>" % orientation
    )


def with_xmp(name: str, orientation: int) -> bytes:
    picture = PillowImage.fromarray(quadrants())
    if name != "png":
        # The encoder of HEIC would turn the picture, so write the orientation afterwards.
        data = saved(picture, FORMATS[name], xmp=xmp(1), quality=95)
        return data.replace(b'tiff:Orientation="1"', b'tiff:Orientation="%d"' % orientation)
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(orientation).decode())
    return saved(picture, "PNG", pnginfo=text)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_xmp_data_is_ignored(name: str, orientation: int) -> None:
    """Browsers, OpenCV and ImageMagick ignore it too."""
    data = with_xmp(name, orientation)
    assert b"tiff:Orientation" in data
    decoded = decode_picture(data, ANY).image
    np.testing.assert_array_equal(decoded, decode_picture(with_xmp(name, 1), ANY).image)
    assert np.abs(corners(decoded) - corners(quadrants())).max() <= 6
    original = decode_original(data, ANY)
    assert original.orientation == 1
    again = PillowImage.open(io.BytesIO(encode_like(original, original.image)))
    assert dict(again.getexif()) == {}


def test_damaged_or_invalid_exif_is_ignored() -> None:
    plain = PillowImage.fromarray(quadrants())
    for exif in (b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00MM", b"Exif\x00\x00" + b"\xee" * 40):
        assert decode_picture(saved(plain, "JPEG", exif=exif), ANY).image.shape == (48, 64, 3)
    senseless = PillowImage.Exif()
    senseless[0x0112] = 77
    assert decode_picture(saved(plain, "JPEG", exif=senseless), ANY).image.shape == (48, 64, 3)


def test_a_16_bit_grey_picture_is_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[np.newaxis].repeat(8, axis=0)
    decoded = decode_picture(saved(PillowImage.fromarray(ramp), "PNG"), ANY).image
    expected = (ramp >> 8).astype(np.uint8)
    np.testing.assert_array_equal(decoded, np.stack([expected] * 3, axis=2))


def test_a_16_bit_colour_picture_keeps_its_upper_bits() -> None:
    pixel = struct.pack(">HHH", 0xC812, 0x1E34, 0x0056)
    data = png(4, 2, 16, 2, (b"\x00" + pixel * 4) * 2)
    np.testing.assert_array_equal(
        decode_picture(data, ANY).image, np.full((2, 4, 3), (0xC8, 0x1E, 0), np.uint8)
    )


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palette_pictures_become_rgb(mode: str) -> None:
    picture = PillowImage.fromarray(quadrants()).convert(mode)
    decoded = decode_picture(saved(picture, "PNG"), ANY).image
    np.testing.assert_array_equal(decoded, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize(
    ("mode", "name"),  # WebP has no grey
    [("RGBA", "png"), ("LA", "png"), ("P", "png"), ("RGBA", "webp"), ("P", "webp")],
)
def test_transparent_pixels_become_white(mode: str, name: str) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:] = (10, 20, 30, 255)
    picture = PillowImage.fromarray(pixels).convert(mode)
    if mode == "P":
        # The palette's colour 0 is transparent.
        picture = PillowImage.fromarray((np.arange(64).reshape(8, 8) % 8 >= 4).astype(np.uint8), "P")
        picture.putpalette([255, 0, 0, 10, 20, 30])
        picture.info["transparency"] = 0
    options = {"lossless": True} if name == "webp" else {}
    decoded = decode_picture(saved(picture, FORMATS[name], **options), ANY).image
    assert (decoded[:, :4] == 255).all()
    assert decoded[:, 4:].max() <= 30


def test_half_transparent_pixels_are_blended_with_white() -> None:
    pixels = np.full((4, 4, 4), (0, 0, 0, 128), np.uint8)
    decoded = decode_picture(saved(PillowImage.fromarray(pixels), "PNG"), ANY).image
    assert np.abs(decoded.astype(int) - 127).max() <= 1


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    picture = PillowImage.fromarray(quadrants()).convert("CMYK")
    decoded = decode_picture(saved(picture, "JPEG", quality=95), ANY).image
    assert np.abs(corners(decoded) - corners(quadrants())).max() <= 8


def test_a_profile_is_kept_and_can_be_converted_to_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode_png(quadrants(), srgb)
    picture = decode_picture(data, ANY)
    assert picture.icc_profile == srgb
    np.testing.assert_array_equal(picture.image, quadrants())
    assert np.abs(picture.in_srgb().astype(int) - quadrants()).max() <= 1
    again = decode_picture(encode_as("png", picture.image, picture.icc_profile), ANY)
    assert again.icc_profile == srgb


def with_swapped_primaries(profile: bytes) -> bytes:
    """Return an RGB profile with its red and blue primaries swapped."""
    count = struct.unpack(">I", profile[128:132])[0]
    tags = {profile[132 + 12 * k : 136 + 12 * k]: 136 + 12 * k for k in range(count)}
    data = bytearray(profile)
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red : red + 8], data[blue : blue + 8] = profile[blue : blue + 8], profile[red : red + 8]
    return bytes(data)


def test_a_profile_is_applied_by_in_srgb() -> None:
    swapped = with_swapped_primaries(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    picture = decode_picture(encode_png(quadrants(), swapped), ANY)
    assert np.abs(corners(picture.in_srgb()) - corners(quadrants())[:, ::-1]).max() <= 3


@pytest.mark.parametrize("profile", [b"nonsense", b"\x00" * 200, b"\x00" * 36 + b"acsp" + b"\x00" * 90])
def test_a_damaged_profile_is_dropped(profile: bytes) -> None:
    picture = decode_picture(encode_jpeg(quadrants(), 95, profile), ANY)
    assert picture.icc_profile is None
    assert picture.in_srgb() is picture.image


def test_an_unusable_profile_leaves_the_pixels_unchanged() -> None:
    profile = b"\x00" * 16 + b"RGB " + b"\x00" * 16 + b"acsp" + b"\x00" * 90
    picture = decode_picture(encode_jpeg(quadrants(), 95, profile), ANY)
    np.testing.assert_array_equal(picture.in_srgb(), picture.image)


def test_empty_and_undecodable_files_raise_different_errors() -> None:
    with pytest.raises(ImageEmpty):
        decode_picture(b"", ANY)
    for data in (
        b"\x00",
        b"hello",
        b"<svg/>",
        b"%PDF-1.7",
        bytes(1000),
        b"\xff\xd8",
        b"RIFF\x00\x00\x00\x00WEBP",
    ):
        with pytest.raises(ImageUndecodable):
            decode_picture(data, ANY)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.95])
def test_a_truncated_file_is_refused(name: str, part: float) -> None:
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    data = saved(PillowImage.fromarray(noisy), FORMATS[name])
    with pytest.raises(ImageUndecodable):
        decode_picture(data[: int(len(data) * part)], ANY)


@pytest.mark.parametrize("name", FORMATS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_damaged_file_is_decoded_or_raises_an_image_error(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(saved(PillowImage.fromarray(quadrants()), FORMATS[name]))
    for _ in range(int(rng.integers(1, 12))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    try:
        image = decode_picture(bytes(data), ANY).image
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


def test_an_unaccepted_format_is_recognised_by_its_bytes() -> None:
    rules = ImageRules(frozenset({"jpeg"}))
    for name, pillow_format in {**FORMATS, "gif": "GIF", "tiff": "TIFF"}.items():
        if name == "jpeg":
            continue
        with pytest.raises(ImageFormatUnsupported) as caught:
            decode_picture(saved(PillowImage.fromarray(quadrants()), pillow_format), rules)
        assert (caught.value.found, caught.value.accepted) == (name, ("jpeg",))


def cmyk_profile() -> bytes:
    """Return a CMYK profile that prints cyan as red, and in which magenta and yellow have no effect."""
    lab = {(0, 0): (255, 128, 128), (1, 0): (136, 208, 195), (0, 1): (0, 128, 128), (1, 1): (0, 128, 128)}
    table = bytes(
        value for c in (0, 1) for _m in (0, 1) for _y in (0, 1) for k in (0, 1) for value in lab[c, k]
    )
    identity = struct.pack(">9i", *(65536 if place % 4 == 0 else 0 for place in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + bytes(range(256)) * 4 + table
    lut += bytes(range(256)) * 3
    text = b"a press"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 4 + 4 + 2 + 1 + 67),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": lut,
    }
    index, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        padded = tag + bytes(-len(tag) % 4)
        index += name + struct.pack(">II", start + len(body), len(tag))
        body += padded
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\x00\x00prtrCMYKLab " + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return header + struct.pack(">I", len(tags)) + index + body


def test_a_cmyk_picture_is_converted_with_its_profile() -> None:
    cyan = np.zeros((16, 16, 4), np.uint8)
    cyan[..., 0] = 255
    picture = PillowImage.fromarray(cyan, "CMYK")
    without = decode_picture(saved(picture, "JPEG", quality=95), ANY)
    obeyed = decode_picture(saved(picture, "JPEG", quality=95, icc_profile=cmyk_profile()), ANY)
    assert without.image[8, 8, 0] < 40
    red, green, blue = obeyed.image[8, 8].tolist()
    assert red > 220
    assert max(green, blue) < 60
    # The converted picture is in sRGB, so it has no profile.
    assert obeyed.icc_profile is None
