"""Error responses of Beautify."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image as PillowImage

V1, V2 = "/facepp/v1/beautify", "/facepp/v2/beautify"
KEYS = {"api_key": "key", "api_secret": "secret"}


def encoded(width: int, height: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (width, height), "grey").save(buffer, kind)
    return buffer.getvalue()


PHOTO = encoded(60, 60)
FLAT = base64.b64encode(encoded(60, 47)).decode()
NO_PHOTO = "MISSING_ARGUMENTS: image_url, image_file, image_base64"


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize(
    ("data", "file", "message"),
    [
        ({}, None, NO_PHOTO),
        ({"image_file": "", "image_base64": ""}, None, NO_PHOTO),
        ({"whitening": "101"}, PHOTO, "BAD_ARGUMENTS: whitening"),
        ({"whitening": "-1"}, PHOTO, "BAD_ARGUMENTS: whitening"),
        ({"smoothing": "50.5"}, PHOTO, "BAD_ARGUMENTS: smoothing"),
        ({"smoothing": "much"}, PHOTO, "BAD_ARGUMENTS: smoothing"),
        ({"smoothing": "9" * 5000}, PHOTO, "BAD_ARGUMENTS: smoothing"),
        ({}, b"not a picture", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file"),
        ({}, encoded(60, 60, "GIF"), "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file"),
        ({"image_base64": "!"}, None, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64"),
        ({}, encoded(47, 60), "INVALID_IMAGE_SIZE: image_file"),
        ({}, encoded(4097, 60), "INVALID_IMAGE_SIZE: image_file"),
        ({"image_base64": FLAT}, None, "INVALID_IMAGE_SIZE: image_base64"),
        ({"image_url": "http://127.0.0.1:9/"}, None, "INVALID_IMAGE_URL"),
        ({}, PHOTO + bytes(2 * 1024 * 1024), "IMAGE_FILE_TOO_LARGE: image_file"),
    ],
)  # fmt: skip
def test_an_error_of_the_api_names_its_field(
    client: httpx.Client,
    refused: Callable[[Any], tuple[int, str]],
    path: str,
    data: dict[str, str],
    file: bytes | None,
    message: str,
) -> None:
    answer = client.post(path, data={**KEYS, **data}, files={"image_file": file} if file else None)
    assert refused(answer) == (400, message)


@pytest.mark.parametrize(
    "sent",
    [
        {"thinface": "101"},
        {"shrink_face": "1e2"},
        {"enlarge_eye": "-5"},
        {"remove_eyebrow": "true"},
        {"filter_type": "oldTimes"},
        {"filter_type": "none"},
    ],
)
def test_the_fields_of_version_2_are_checked(
    client: httpx.Client, refused: Callable[[Any], tuple[int, str]], sent: dict[str, str]
) -> None:
    answer = client.post(V2, data={**KEYS, **sent}, files={"image_file": PHOTO})
    assert refused(answer) == (400, f"BAD_ARGUMENTS: {next(iter(sent))}")


@pytest.mark.parametrize("side", [48, 4096])
def test_the_limits_of_the_sides_are_inclusive(client: httpx.Client, side: int) -> None:
    zero = {"whitening": "0", "smoothing": "0"}
    answer = client.post(V1, data={**KEYS, **zero}, files={"image_file": encoded(side, 48)})
    assert answer.status_code == 200


def test_a_request_can_be_larger_than_one_of_3d_face(client: httpx.Client) -> None:
    """A photo of almost 2 MiB fits as a file, but not as base64."""
    photo = PHOTO + bytes(2 * 1024 * 1024 - len(PHOTO))
    zero = {**KEYS, "whitening": "0", "smoothing": "0"}
    assert client.post(V1, data=zero, files={"image_file": photo}).status_code == 200
    for path in (V1, V2):
        answer = client.post(path, data={**zero, "image_base64": base64.b64encode(photo).decode()})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/facepp/v3/beautify", "/facepp/beta/beautify"])
def test_there_are_two_versions(client: httpx.Client, path: str) -> None:
    answer = client.post(path, data=KEYS, files={"image_file": PHOTO})
    assert (answer.status_code, answer.text) == (404, '{"error_message":"API_NOT_FOUND"}')
