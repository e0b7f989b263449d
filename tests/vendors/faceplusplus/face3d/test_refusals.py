"""Error responses of 3D Face."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image as PillowImage

from emulator.app import create_app
from emulator.backends.fetch import FetchTimedOut, HttpFetcher
from emulator.backends.queue.pool import WorkerPool

URL = "/facepp/v1/3dface"
KEYS = {"api_key": "key", "api_secret": "secret"}


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (width, height), "grey").save(buffer, "JPEG")
    return buffer.getvalue()


def png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "file", "message"),
    [
        ({}, None, "MISSING_ARGUMENTS: image_url_1, image_file_1, image_base64_1"),
        ({"texture": "2"}, "face", "BAD_ARGUMENTS: texture"),
        ({"mtl": "yes"}, "face", "BAD_ARGUMENTS: mtl"),
        ({}, "text", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({}, "png", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({}, "truncated", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file_1"),
        ({"image_base64_1": "!"}, None, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_1"),
        ({}, "small", "INVALID_IMAGE_SIZE: image_file_1"),
        ({}, "wide", "INVALID_IMAGE_SIZE: image_file_1"),
        ({}, "landscape", "NO_FACE_FOUND: image_file_1"),
        ({}, "two", "MULTIPLE_FACE_FOUND: image_file_1"),
        (
            {"image_base64_2": "bm90IGEgcGljdHVyZQ=="},
            "face",
            "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64_2",
        ),
        ({"image_url_1": "http://127.0.0.1:9/"}, None, "INVALID_IMAGE_URL"),
        ({"image_url_1": "ftp://nowhere"}, None, "INVALID_IMAGE_URL"),
        ({"image_url_1": "nonsense"}, None, "INVALID_IMAGE_URL"),
    ],
)
def test_an_error_of_the_api_has_all_three_members(
    client: httpx.Client,
    face_jpeg: bytes,
    two_faces_jpeg: bytes,
    landscape_jpeg: bytes,
    refused: Callable[[Any], tuple[int, str]],
    data: dict[str, str],
    file: str | None,
    message: str,
) -> None:
    files = {
        "face": face_jpeg,
        "two": two_faces_jpeg,
        "landscape": landscape_jpeg,
        "text": b"not a picture",
        "png": png(face_jpeg),
        "truncated": face_jpeg[: len(face_jpeg) // 2],
        "small": jpeg(199, 400),
        "wide": jpeg(4097, 300),
    }
    response = client.post(URL, data={**KEYS, **data}, files={"image_file_1": files[file]} if file else None)
    assert refused(response) == (400, message)


def test_a_large_photo_in_a_small_request_is_refused(
    client: httpx.Client, pictures: str, refused: Callable[[Any], tuple[int, str]]
) -> None:
    response = client.post(URL, data={**KEYS, "image_url_1": f"{pictures}/heavy.jpg"})
    assert refused(response) == (400, "IMAGE_FILE_TOO_LARGE: image_url_1")


def test_the_error_of_an_earlier_image_comes_first(
    client: httpx.Client, landscape_jpeg: bytes, refused: Callable[[Any], tuple[int, str]]
) -> None:
    response = client.post(URL, data={**KEYS, "image_base64_2": "!"}, files={"image_file_1": landscape_jpeg})
    assert refused(response) == (400, "NO_FACE_FOUND: image_file_1")
    later = client.post(URL, data={**KEYS, "texture": "2"}, files={"image_file_1": landscape_jpeg})
    assert refused(later) == (400, "BAD_ARGUMENTS: texture")


def test_a_slow_url_times_out(
    monkeypatch: pytest.MonkeyPatch, workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    asked: list[tuple[str, int, float]] = []

    async def wait(_self: HttpFetcher, url: str, *, credential: str, limit: int, timeout_s: float) -> bytes:
        assert credential
        asked.append((url, limit, timeout_s))
        raise FetchTimedOut(url, f"more than {timeout_s} s for {limit} bytes")

    monkeypatch.setattr(HttpFetcher, "fetch", wait)
    with TestClient(create_app(workers=workers)) as client:
        answer = client.post(URL, data={**KEYS, "image_url_1": "http://slow.example/a.jpg"})
    assert refused(answer) == (412, "IMAGE_DOWNLOAD_TIMEOUT")
    assert asked == [("http://slow.example/a.jpg", 2 * 1024 * 1024, 5.0)]
