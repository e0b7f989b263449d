from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, ImageCms
from PIL import Image as PillowImage
from PIL.JpegImagePlugin import JpegImageFile

from emulator.face.box import Box
from emulator.face.errors import FaceAngleTooLarge, FaceIndexOutOfRange, FaceTooSmall, NoFaceFound
from emulator.face.head_frame import head_frame
from emulator.face.reshape_parameters import ReshapeParameters
from emulator.face.synthetic import SyntheticFaceSpec
from emulator.pipelines.core import detector
from emulator.pipelines.decoding import decode_original, decode_picture
from emulator.pipelines.detect import detect_faces
from emulator.pipelines.encoding import encode_jpeg, encode_like, encode_png
from emulator.pipelines.options import ImageRules, ReshapeOptions
from emulator.pipelines.reshape import reshape_picture
from laboratory.background import drawn_person

RULES = ImageRules(frozenset({"jpeg", "png"}), longest_side=4096)
OPTIONS = ReshapeOptions(
    RULES, 0, ReshapeParameters(face_width=-1.0, eye_size_left=1.0), 0.5, 0.5, 0.05, 30.0
)
NOTHING = replace(OPTIONS, parameters=ReshapeParameters(), smoothing=0.0, color_evening=0.0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def stored(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels as stored, without applying the EXIF orientation."""
    return np.asarray(PillowImage.open(io.BytesIO(data)))


def encoded(pixels: NDArray[np.uint8], picture_format: str, orientation: int = 1, **options: object) -> bytes:
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, picture_format, exif=exif, **options)
    return buffer.getvalue()


def grown(box: Box, share: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return (H, W): the mask of a box with a margin of ``share`` times its height."""
    margin = share * box.height
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside: NDArray[np.bool_] = (
        (x > box.left - margin)
        & (x < box.left + box.width + margin)
        & (y > box.top - margin)
        & (y < box.top + box.height + margin)
    )
    return inside


@pytest.fixture(scope="module")
def portrait(face_jpeg: bytes) -> NDArray[np.uint8]:
    return decode_picture(face_jpeg, RULES).image


def test_a_jpeg_keeps_its_format_size_and_profile(portrait: NDArray[np.uint8]) -> None:
    result = reshape_picture(encode_jpeg(portrait, icc_profile=PROFILE), OPTIONS)
    opened = PillowImage.open(io.BytesIO(result.data))
    assert isinstance(opened, JpegImageFile)
    assert (result.format, opened.format, opened.mode) == ("jpeg", "JPEG", "RGB")
    assert opened.size == (portrait.shape[1], portrait.shape[0])
    assert opened.info["icc_profile"] == PROFILE
    # At quality 95 no luminance coefficient is divided by more than 12, and colour is not subsampled.
    assert max(opened.quantization[0]) <= 12
    assert {layer[1:3] for layer in opened.layer} == {(1, 1)}


def test_a_png_is_unchanged_outside_the_face(portrait: NDArray[np.uint8]) -> None:
    result = stored(reshape_picture(encode_png(portrait, PROFILE), OPTIONS).data)
    (box,) = detect_faces(encode_png(portrait), RULES)
    far = ~grown(box, 0.4, portrait.shape)
    assert far.mean() > 0.1
    assert np.array_equal(result[far], portrait[far])
    assert (result != portrait)[~far].any(axis=1).mean() > 0.3


@pytest.mark.parametrize("opaque", [True, False])
def test_the_background_beside_the_head_stays(*, opaque: bool) -> None:
    image, person = drawn_person(
        SyntheticFaceSpec(seed=40, hair_type="short_straight", width=480, height=480)
    )
    u = head_frame(detector().detect(image)[0].landmarks).unit
    away = cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beside = (away > 0.12 * u) & (away < 0.4 * u)
    alpha = np.full(image.shape[:2], 255 if opaque else 200, np.uint8)
    pixels = image if opaque else np.dstack([image, alpha])
    options = replace(
        OPTIONS, parameters=ReshapeParameters(face_width=-1.0), smoothing=0.0, color_evening=0.0
    )
    result = stored(reshape_picture(encoded(pixels, "PNG"), options).data)
    assert (result != pixels).any(axis=2)[person].mean() > 0.2
    assert (result != pixels).any(axis=2)[beside].mean() < 0.002


def test_transparency_is_kept_and_moves_with_the_pixels(portrait: NDArray[np.uint8]) -> None:
    alpha = np.full(portrait.shape[:2], 255, np.uint8)
    alpha[: portrait.shape[0] // 2] = 130
    data = encoded(np.dstack([portrait, alpha]), "PNG")
    result = PillowImage.open(io.BytesIO(reshape_picture(data, OPTIONS).data))
    assert result.mode == "RGBA"
    pixels = np.asarray(result)
    assert np.array_equal(pixels[0, :, 3], alpha[0])
    # The edge between the halves crosses the pixels that move.
    assert set(np.unique(pixels[:, :, 3])) >= {130, 255}
    assert np.array_equal(pixels[:, :8], np.dstack([portrait, alpha])[:, :8])


def test_a_grey_picture_stays_grey(portrait: NDArray[np.uint8]) -> None:
    grey = np.asarray(PillowImage.fromarray(portrait).convert("L"))
    for picture_format in ("PNG", "JPEG"):
        result = PillowImage.open(io.BytesIO(reshape_picture(encoded(grey, picture_format), OPTIONS).data))
        assert (result.format, result.mode) == (picture_format, "L")


def test_a_profile_of_another_colour_space_is_dropped(portrait: NDArray[np.uint8]) -> None:
    cmyk = np.asarray(PillowImage.fromarray(portrait).convert("CMYK"))
    buffer = io.BytesIO()
    alien = PROFILE[:16] + b"CMYK" + PROFILE[20:]
    PillowImage.fromarray(cmyk, "CMYK").save(buffer, "JPEG", icc_profile=alien)
    opened = PillowImage.open(io.BytesIO(reshape_picture(buffer.getvalue(), OPTIONS).data))
    assert opened.mode == "RGB"
    assert "icc_profile" not in opened.info


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_preserved(orientation: int) -> None:
    pixels = np.random.default_rng(orientation).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    data = encoded(pixels, "PNG", orientation)
    original = decode_original(data, RULES)
    assert original.orientation == orientation
    again = encode_like(original, original.image)
    assert np.array_equal(stored(again), pixels)
    assert PillowImage.open(io.BytesIO(again)).getexif().get(ExifTags.Base.Orientation, 1) == orientation


def test_a_rotated_picture_is_reshaped_upright_and_stored_rotated(portrait: NDArray[np.uint8]) -> None:
    upright = stored(reshape_picture(encode_png(portrait), OPTIONS).data)
    # Orientation 6: a viewer rotates the stored pixels by 90 degrees clockwise.
    turned = reshape_picture(encoded(np.ascontiguousarray(np.rot90(portrait)), "PNG", 6), OPTIONS).data
    assert np.array_equal(stored(turned), np.rot90(upright))


def test_a_reshape_without_changes_returns_the_same_bytes(face_jpeg: bytes) -> None:
    assert reshape_picture(face_jpeg, NOTHING).data == face_jpeg


def test_reshaping_is_deterministic(face_jpeg: bytes) -> None:
    assert reshape_picture(face_jpeg, OPTIONS).data == reshape_picture(face_jpeg, OPTIONS).data


@pytest.mark.parametrize("index", [0, 1])
def test_index_selects_the_detected_face_and_leaves_the_other(two_faces_jpeg: bytes, index: int) -> None:
    before = decode_picture(two_faces_jpeg, RULES).image
    data = encode_png(before)
    boxes = detect_faces(data, RULES)
    after = stored(reshape_picture(data, replace(OPTIONS, index=index)).data)
    changed = (after != before).any(axis=2)
    assert changed[grown(boxes[index], 0.0, before.shape)].mean() > 0.5
    assert not changed[grown(boxes[1 - index], 0.0, before.shape)].any()


def test_an_unusable_face_is_refused_with_details(
    portrait: NDArray[np.uint8], face_jpeg: bytes, landscape_jpeg: bytes
) -> None:
    with pytest.raises(NoFaceFound):
        reshape_picture(landscape_jpeg, OPTIONS)
    for index in (-1, 1):
        with pytest.raises(FaceIndexOutOfRange) as no_such_face:
            reshape_picture(face_jpeg, replace(OPTIONS, index=index))
        assert (no_such_face.value.index, no_such_face.value.count) == (index, 1)
    (face,) = detector().detect(portrait)
    fraction = min(face.box.width / portrait.shape[1], face.box.height / portrait.shape[0])
    with pytest.raises(FaceTooSmall) as small:
        reshape_picture(encode_png(portrait), replace(OPTIONS, smallest_fraction=0.95))
    assert small.value.fraction == pytest.approx(fraction)
    assert small.value.limit == 0.95
    with pytest.raises(FaceAngleTooLarge) as turned:
        reshape_picture(face_jpeg, replace(OPTIONS, largest_angle_deg=0.0))
    assert turned.value.limit_deg == 0.0
