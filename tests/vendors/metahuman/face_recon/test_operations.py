"""Responses of face reconstruction."""

from __future__ import annotations

import io
import re
from typing import Any

import httpx
import numpy as np
import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from pydantic import ValidationError

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.face.fit import fit_head
from emulator.face.identity import standardized
from emulator.pipelines.core import detector
from emulator.pipelines.reconstruct import CROPS
from emulator.settings import Settings

URL = "/face_recon/run_pipeline"
HAIR = {f"{length}_{texture}" for length in ("long", "short", "ponytail") for texture in ("straight", "wavy")}
COLOR = re.compile(r"#[0-9a-f]{6}")


def post(client: Any, photo: bytes, name: str = "input_image.jpg") -> Any:
    return client.post(URL, data={"token": "t"}, files={"image_bytes": (name, photo)})


def encoded(photo: bytes, pillow_format: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(photo)).save(buffer, pillow_format, **options)
    return buffer.getvalue()


def without_url(result: dict[str, Any]) -> dict[str, Any]:
    """Return the parts that are the same in all responses to the same photo."""
    face = {name: value for name, value in result["face"].items() if name != "textureUrl"}
    return {**result, "face": face}


def test_success_has_the_documented_shape(result: dict[str, Any]) -> None:
    assert list(result) == ["face", "hair", "skin", "accessories", "gender"]
    assert list(result["face"]) == ["textureUrl", "blendShapes", "blinkCorrectionCoeff"]
    assert list(result["hair"]) == ["color", "type"]
    assert COLOR.fullmatch(result["hair"]["color"])
    assert COLOR.fullmatch(result["skin"]["color"])
    assert result["hair"]["type"] in HAIR
    assert result["gender"] in {"Female", "Male"}
    assert result["accessories"] in ([], ["glasses"])


def test_there_are_80_coefficients_with_float32_precision(result: dict[str, Any]) -> None:
    numbers = result["face"]["blendShapes"]
    assert len(numbers) == 80
    assert all(isinstance(number, float) and float(np.float32(number)) == number for number in numbers)
    assert max(map(abs, numbers)) < 5
    assert np.std(numbers) > 0.1
    coefficient = result["face"]["blinkCorrectionCoeff"]
    assert isinstance(coefficient, float)
    assert 0.5 < coefficient < 1.5


def test_the_numbers_are_standardized_identity_coefficients(face_jpeg: bytes, result: dict[str, Any]) -> None:
    with PillowImage.open(io.BytesIO(face_jpeg)) as opened:
        face = detector().detect(np.asarray(opened.convert("RGB")), crops=CROPS)[0]
    numbers = standardized(fit_head(face.landmarks).identity_coefficients)
    np.testing.assert_allclose(result["face"]["blendShapes"], numbers, rtol=1e-6)


def test_the_same_photo_gives_the_same_numbers_and_texture_under_a_new_name(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any]
) -> None:
    again = post(client, face_jpeg).json()["result"]
    first_url, second_url = result["face"]["textureUrl"], again["face"]["textureUrl"]
    assert first_url != second_url
    assert client.get(first_url).content == client.get(second_url).content
    assert {**again, "face": {**again["face"], "textureUrl": first_url}} == result


@pytest.mark.parametrize(
    ("pillow_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})]
)
def test_a_photo_without_loss_gives_the_same_in_every_documented_format(
    client: httpx.Client,
    face_jpeg: bytes,
    result: dict[str, Any],
    pillow_format: str,
    options: dict[str, object],
) -> None:
    response = post(client, encoded(face_jpeg, pillow_format, **options), "photo.jpg")
    assert response.status_code == 200, response.text
    again = response.json()["result"]
    assert without_url(again) == without_url(result)
    textures = [client.get(each["face"]["textureUrl"]).content for each in (again, result)]
    assert textures[0] == textures[1]


@pytest.mark.parametrize("pillow_format", ["PNG", "WEBP", "BMP", "HEIF"])
def test_every_documented_format_is_read(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any], pillow_format: str
) -> None:
    response = post(client, encoded(face_jpeg, pillow_format), "photo.jpg")
    assert response.status_code == 200, response.text
    again = response.json()["result"]
    # Lossy formats change the result only slightly.
    np.testing.assert_allclose(again["face"]["blendShapes"], result["face"]["blendShapes"], atol=0.33)
    for name in ("gender", "accessories"):
        assert again[name] == result[name]
    assert again["hair"]["type"] == result["hair"]["type"]
    for name in ("hair", "skin"):
        channels = [bytes.fromhex(each[name]["color"][1:]) for each in (again, result)]
        np.testing.assert_allclose([*channels[0]], [*channels[1]], atol=3)


def cropped(photo: bytes, begin: float, end: float) -> bytes:
    """Return a vertical strip of a picture as a PNG."""
    with PillowImage.open(io.BytesIO(photo)) as picture:
        box = (round(begin * picture.width), 0, round(end * picture.width), picture.height)
        buffer = io.BytesIO()
        picture.crop(box).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_photo_of_several_people_describes_always_the_same_one(
    client: httpx.Client, two_faces_jpeg: bytes
) -> None:
    first, second = (post(client, two_faces_jpeg).json()["result"] for _ in range(2))
    assert without_url(first) == without_url(second)
    textures = [client.get(each["face"]["textureUrl"]).content for each in (first, second)]
    assert textures[0] == textures[1]
    alone = [post(client, cropped(two_faces_jpeg, *half)).json()["result"] for half in ((0, 0.5), (0.5, 1))]
    shapes = [each["face"]["blendShapes"] for each in (first, *alone)]
    near, far = sorted(np.abs(np.subtract(shapes[0], other)).max() for other in shapes[1:])
    # A fifth of a standard deviation of the model's heads is a third of one of photographed people.
    assert near < 0.33
    assert far > 1


def test_gender_can_be_set_and_a_large_texture_is_reduced(
    face_jpeg: bytes, result: dict[str, Any], workers: WorkerPool
) -> None:
    other = {"Female": "male", "Male": "female"}[result["gender"]]
    wanted = {"metahuman": {"gender": other, "texture_size": 2048}}
    with TestClient(create_app(Settings(vendors=wanted), workers=workers)) as client:
        pinned = post(client, face_jpeg).json()["result"]
        texture = client.get(pinned["face"]["textureUrl"]).content
    assert pinned["gender"] == other.capitalize()
    pinned["face"]["textureUrl"] = result["face"]["textureUrl"]
    assert pinned == {**result, "gender": pinned["gender"]}
    assert len(texture) < 2_000_000
    with PillowImage.open(io.BytesIO(texture)) as opened:
        assert (opened.format, opened.mode, opened.width) == ("PNG", "RGB", opened.height)
        assert 768 <= opened.width <= 2048


def test_the_setting_gender_has_two_values() -> None:
    with pytest.raises(ValidationError, match="gender"):
        create_app(Settings(vendors={"metahuman": {"gender": "other"}}))


def test_a_texture_name_has_only_plain_characters(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any]
) -> None:
    url = post(client, face_jpeg, "../../etc/ä b%2f.png").json()["result"]["face"]["textureUrl"]
    assert re.fullmatch(r"/static/b_2f_[0-9a-f]{16}_texture\.png", url)
    texture = client.get(url)
    assert (texture.status_code, texture.headers["content-type"]) == (200, "image/png")
    assert texture.content == client.get(result["face"]["textureUrl"]).content


@pytest.mark.parametrize(
    ("photo", "code", "message"),
    [
        ("landscape", 4, "face not found"),
        ("text", 5, "file corrupted"),
        ("gif", 5, "file corrupted"),
        ("empty", 6, "empty input image"),
        ("heavy", 3, "file must be less than 10mb"),
    ],
)
def test_a_bad_photo_is_refused_in_the_documented_words(
    client: httpx.Client, face_jpeg: bytes, landscape_jpeg: bytes, photo: str, code: int, message: str
) -> None:
    photos = {
        "landscape": landscape_jpeg,
        "text": b"not a picture",
        "gif": encoded(face_jpeg, "GIF"),
        "empty": b"",
        "heavy": face_jpeg + bytes(10 * 1024 * 1024 - len(face_jpeg)),
    }
    response = post(client, photos[photo])
    assert (response.status_code, response.json()) == (422, {"error": {"code": code, "message": message}})


def test_a_photo_of_64_megapixels_is_read_if_it_is_a_jpeg(client: httpx.Client, face_jpeg: bytes) -> None:
    with PillowImage.open(io.BytesIO(face_jpeg)) as small:
        large = small.resize((8000, 8000), PillowImage.Resampling.NEAREST)
    jpeg = io.BytesIO()
    large.save(jpeg, "JPEG", quality=30)
    response = post(client, jpeg.getvalue())
    assert response.status_code == 200
    assert len(response.json()["result"]["face"]["blendShapes"]) == 80
    png = io.BytesIO()
    PillowImage.new("L", (8000, 8000)).save(png, "PNG")
    response = post(client, png.getvalue())
    assert response.json() == {"error": {"code": 5, "message": "file corrupted"}}


def test_a_missing_field_is_answered_as_fastapi_does(client: httpx.Client, face_jpeg: bytes) -> None:
    missing = {"msg": "field required", "type": "value_error.missing"}
    no_token, no_photo = ({"loc": ["body", name], **missing} for name in ("token", "image_bytes"))
    no_file = {
        "loc": ["body", "image_bytes"],
        "msg": "Expected UploadFile, received: <class 'str'>",
        "type": "value_error",
    }
    no_text = {"loc": ["body", "token"], "msg": "str type expected", "type": "type_error.str"}
    requests: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"files": {"image_bytes": face_jpeg}}, [no_token]),
        ({"data": {"token": ""}, "files": {"image_bytes": face_jpeg}}, [no_token]),
        ({"data": {"token": "t"}}, [no_photo]),
        ({}, [no_token, no_photo]),
        ({"data": {"token": "t", "image_bytes": "x" * 2_000_000}}, [no_file]),
        ({"files": {"token": b"t", "image_bytes": face_jpeg}}, [no_text]),
    ]
    for request, detail in requests:
        response = client.post(URL, **request)
        assert (response.status_code, response.json()) == (422, {"detail": detail})
