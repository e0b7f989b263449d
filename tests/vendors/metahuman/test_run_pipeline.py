"""MetaHuman SDK over the wire."""

from __future__ import annotations

import io
import re
import uuid
from typing import Any

import httpx
import numpy as np
import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from pydantic import ValidationError

from emulator.app import create_app
from emulator.settings import Settings

URL = "/face_recon/run_pipeline"
HAIR = {f"{length}_{texture}" for length in ("long", "short", "ponytail") for texture in ("straight", "wavy")}
COLOR = re.compile(r"#[0-9a-f]{6}")


def post(client: Any, photo: bytes, name: str = "input_image.jpg") -> Any:
    return client.post(URL, data={"token": "t"}, files={"image_bytes": (name, photo)})


@pytest.fixture(scope="module")
def result(client: httpx.Client, face_jpeg: bytes) -> dict[str, Any]:
    response = post(client, face_jpeg)
    assert response.status_code == 200, response.text
    document = response.json()
    assert list(document) == ["result"]
    found: dict[str, Any] = document["result"]
    return found


def encoded(photo: bytes, pillow_format: str) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(photo)).save(buffer, pillow_format)
    return buffer.getvalue()


def test_success_has_the_documented_shape(result: dict[str, Any]) -> None:
    assert list(result) == ["face", "hair", "skin", "accessories", "gender"]
    assert list(result["face"]) == ["textureUrl", "blendShapes", "blinkCorrectionCoeff"]
    assert list(result["hair"]) == ["color", "type"]
    assert COLOR.fullmatch(result["hair"]["color"])
    assert COLOR.fullmatch(result["skin"]["color"])
    assert result["hair"]["type"] in HAIR
    assert result["gender"] in {"Female", "Male"}
    assert result["accessories"] in ([], ["glasses"])


def test_there_are_80_coefficients_float32_widened(result: dict[str, Any]) -> None:
    numbers = result["face"]["blendShapes"]
    assert len(numbers) == 80
    assert all(isinstance(number, float) and float(np.float32(number)) == number for number in numbers)
    assert max(map(abs, numbers)) < 5
    assert np.std(numbers) > 0.1
    coefficient = result["face"]["blinkCorrectionCoeff"]
    assert isinstance(coefficient, float)
    assert 0.5 < coefficient < 1.5


def test_the_texture_downloads_under_both_prefixes(client: httpx.Client, result: dict[str, Any]) -> None:
    url = result["face"]["textureUrl"]
    assert re.fullmatch(r"/static/input_image_[0-9a-f]{16}_texture\.png", url)
    direct, prefixed = client.get(url), client.get(f"/face_recon{url}")
    assert direct.status_code == prefixed.status_code == 200
    assert direct.headers["content-type"] == "image/png"
    assert direct.content == prefixed.content
    assert len(direct.content) < 2_000_000
    with PillowImage.open(io.BytesIO(direct.content)) as texture:
        assert (texture.format, texture.mode, texture.width) == ("PNG", "RGB", texture.height)


def test_the_same_photo_gives_the_same_numbers_and_texture_under_a_new_name(
    client: httpx.Client, face_jpeg: bytes, result: dict[str, Any]
) -> None:
    again = post(client, face_jpeg).json()["result"]
    first_url, second_url = result["face"]["textureUrl"], again["face"]["textureUrl"]
    assert first_url != second_url
    assert client.get(first_url).content == client.get(second_url).content
    assert {**again, "face": {**again["face"], "textureUrl": first_url}} == result


@pytest.mark.parametrize("pillow_format", ["PNG", "WEBP", "BMP", "HEIF"])
def test_every_documented_format_is_read(client: httpx.Client, face_jpeg: bytes, pillow_format: str) -> None:
    response = post(client, encoded(face_jpeg, pillow_format), "photo.jpg")
    assert response.status_code == 200, response.text


def test_of_several_people_one_is_chosen_and_always_the_same(
    client: httpx.Client, two_faces_jpeg: bytes
) -> None:
    first, second = (post(client, two_faces_jpeg).json()["result"] for _ in range(2))
    assert first["face"]["blendShapes"] == second["face"]["blendShapes"]


def test_the_gender_can_be_pinned_and_a_large_texture_stays_below_the_limit(
    face_jpeg: bytes, result: dict[str, Any]
) -> None:
    other = {"Female": "male", "Male": "female"}[result["gender"]]
    wanted = {"metahuman": {"gender": other, "texture_size": 2048}}
    with TestClient(create_app(Settings(workers=1, vendors=wanted))) as client:
        pinned = post(client, face_jpeg).json()["result"]
        texture = client.get(pinned["face"]["textureUrl"]).content
    assert pinned["gender"] == other.capitalize()
    pinned["face"]["textureUrl"] = result["face"]["textureUrl"]
    assert pinned == {**result, "gender": pinned["gender"]}
    assert len(texture) < 2_000_000
    with PillowImage.open(io.BytesIO(texture)) as opened:
        assert 768 <= opened.width <= 2048


def test_only_two_genders_can_be_pinned() -> None:
    with pytest.raises(ValidationError, match="gender"):
        create_app(Settings(vendors={"metahuman": {"gender": "other"}}))


def test_a_name_with_anything_in_it_gives_a_plain_texture_name(
    client: httpx.Client, face_jpeg: bytes
) -> None:
    url = post(client, face_jpeg, "../../etc/ä b%2f.png").json()["result"]["face"]["textureUrl"]
    assert re.fullmatch(r"/static/b_2f_[0-9a-f]{16}_texture\.png", url)
    assert client.get(url).status_code == 200


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


def test_a_missing_field_is_answered_as_fastapi_does(client: httpx.Client, face_jpeg: bytes) -> None:
    response = client.post(URL, files={"image_bytes": face_jpeg})
    missing = {"msg": "field required", "type": "value_error.missing"}
    assert response.status_code == 422
    assert response.json() == {"detail": [{"loc": ["body", "token"], **missing}]}
    text = client.post(URL, data={"token": "t", "image_bytes": "x" * 2_000_000})
    assert (text.status_code, text.json()["detail"][0]["loc"]) == (422, ["body", "image_bytes"])
    file = client.post(URL, files={"token": b"t", "image_bytes": face_jpeg})
    assert file.json()["detail"] == [
        {"loc": ["body", "token"], "msg": "str type expected", "type": "type_error.str"}
    ]


def test_a_token_is_a_uuid_and_needs_only_a_mail(client: httpx.Client) -> None:
    response = client.post("/auth/token", data={"mail": "${mail}", "name": "n", "comment": "c"})
    assert response.status_code == 200
    assert list(response.json()) == ["result"]
    assert uuid.UUID(response.json()["result"]["token"]).version == 4
    refused = client.post("/auth/token", data={"email": "me@example.com"})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "mail"])


def test_a_texture_may_be_kept_and_asked_for_again(client: httpx.Client, result: dict[str, Any]) -> None:
    url = result["face"]["textureUrl"]
    first = client.get(url)
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    changed = client.get(url, headers={"If-None-Match": '"another"'})
    assert (changed.status_code, changed.content) == (200, first.content)
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))


def test_a_photo_that_streams_in_for_ever_is_refused(client: httpx.Client) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="image_bytes"; filename="a.jpg"\r\n\r\n'
    response = client.post(
        URL,
        content=(head if number == 0 else bytes(1024 * 1024) for number in range(20)),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert (response.status_code, response.json()["error"]["code"]) == (422, 3)


@pytest.mark.parametrize(
    "path", ["/static/nothing.png", "/face_recon/static/..%2f..%2fetc%2fpasswd", "/face_recon/x"]
)
def test_an_unknown_path_is_answered_as_fastapi_does(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
