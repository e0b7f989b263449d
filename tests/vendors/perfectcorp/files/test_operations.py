"""Registration and upload of files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

FILE = "/s2s/v2.0/file"


@pytest.mark.parametrize("path", [FILE, f"{FILE}/face-reshape"])
def test_a_file_is_registered_under_both_paths(api: Any, path: str) -> None:
    file = api.registered(5, "image/png", path)
    assert list(file) == ["content_type", "file_name", "file_id", "requests"]
    assert (file["content_type"], file["file_name"]) == ("image/png", "selfie.jpg")
    assert len(base64.b64decode(file["file_id"], validate=True)) == 48
    (request,) = file["requests"]
    assert list(request) == ["method", "url", "headers"]
    assert request["method"] == "PUT"
    assert request["headers"] == {"Content-Length": "5", "Content-Type": "image/png"}
    assert request["url"].startswith(str(api.client.base_url))


def test_several_files_come_back_in_order(api: Any) -> None:
    names = ["a.jpg", "b.png", "c.jpg"]
    new = [{"content_type": "image/jpeg", "file_name": name, "file_size": 10} for name in names]
    files = api.client.post(FILE, json={"files": new}).json()["data"]["files"]
    assert [file["file_name"] for file in files] == names
    assert len({file["file_id"] for file in files}) == 3


def test_urls_name_the_host_that_the_client_named(api: Any, face_jpeg: bytes) -> None:
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(face_jpeg)}
    headers = {"Host": "emulator.internal:8080"}
    response = api.client.post(FILE, json={"files": [new]}, headers=headers)
    url = httpx.URL(response.json()["data"]["files"][0]["requests"][0]["url"])
    assert (url.scheme, url.netloc) == ("http", b"emulator.internal:8080")
    # The host is not signed, so the URL works under any host name of the emulator.
    reached = url.copy_with(host=api.client.base_url.host, port=api.client.base_url.port)
    answer = httpx.put(reached, content=face_jpeg, headers={"Content-Type": "image/jpeg"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_upload_must_be_what_was_registered(api: Any, face_jpeg: bytes) -> None:
    file = api.registered(len(face_jpeg), "image/jpg")
    shorter = httpx.put(file["requests"][0]["url"], content=b"short", headers={"Content-Type": "image/jpg"})
    assert shorter.status_code == 403
    assert shorter.headers["content-type"] == "application/xml"
    assert "<Code>SignatureDoesNotMatch</Code>" in shorter.text
    assert api.put(file, face_jpeg).status_code == 200


@pytest.mark.parametrize(
    ("size", "content_type", "sentence"),
    [
        (10 * 1024 * 1024, "image/png", "file_size is above the allowed maximum."),
        (100 * 1024 * 1024, "video/mp4", "file_size is above the allowed maximum."),
        (0, "image/png", "file_size is below the allowed minimum."),
        (10, "text/plain", "content_type is not one of the accepted values."),
    ],
)
def test_a_file_of_the_wrong_kind_or_size_is_not_registered(
    emulate: Callable[..., Any], size: int, content_type: str, sentence: str
) -> None:
    emulator = emulate()
    answer = emulator.register(size, content_type)
    assert (answer.status_code, answer.json()["error"]) == (400, sentence)
    assert emulator.register(10 * 1024 * 1024 - 1).status_code == 200
    assert emulator.register(10 * 1024 * 1024, "video/mp4").status_code == 200
