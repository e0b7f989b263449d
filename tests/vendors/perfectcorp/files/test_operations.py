"""Registration and upload of files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from emulator.vendors.perfectcorp.files.wire import FilesOf, LegacyFilesOf
from emulator.world.credentials import CredentialState

FILE = "/s2s/v2.0/file"
KEY = "sk-test"


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


def test_a_registration_has_a_largest_number_of_files(emulate: Callable[..., Any]) -> None:
    emulator = emulate(most_files=2)
    file = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    assert emulator.client.post(FILE, json={"files": [file] * 2}).status_code == 200
    refused = emulator.client.post(FILE, json={"files": [file] * 3})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "InvalidParameters")


V2 = ["/s2s/v2.0/file", "/s2s/v2.1/file"]
V1 = ["/s2s/v1.0/file", "/s2s/v1.1/file"]
SLUGS = ["face-reshape", "skin-analysis", "2d-vto/ring", "face-reshape/pre-process", "anything/at-all"]


@pytest.mark.parametrize("base", [*V1, *V2])
def test_the_version_of_the_path_decides_the_envelope(emulate: Callable[..., Any], base: str) -> None:
    emulator = emulate()
    member = "result" if base in V1 else "data"
    for slug in SLUGS:
        answer = emulator.register(5, path=f"{base}/{slug}")
        assert (answer.status_code, list(answer.json())) == (200, ["status", member])
        model: type[BaseModel] = LegacyFilesOf if base in V1 else FilesOf
        assert model.model_validate_json(answer.content).model_dump_json().encode() == answer.content
        (file,) = answer.json()[member]["files"]
        assert file["requests"][0]["headers"] == {"Content-Length": "5", "Content-Type": "image/jpeg"}
        assert emulator.put(file, b"photo").status_code == 200
    assert emulator.register(5, path=base).status_code == (404 if base in V1 else 200)
    assert emulator.register(5, path=f"{base}/a/b/c").status_code == 404
    assert emulator.client.get(f"{base}/face-reshape").status_code == 405


@pytest.mark.parametrize("base", [*V1, *V2])
def test_a_file_of_every_version_can_be_reshaped(
    emulate: Callable[..., Any], base: str, face_jpeg: bytes
) -> None:
    emulator = emulate()
    answer = emulator.register(len(face_jpeg), path=f"{base}/face-reshape").json()
    (file,) = (answer.get("data") or answer["result"])["files"]
    assert emulator.put(file, face_jpeg).status_code == 200
    task_id = emulator.create(file["file_id"]).json()["data"]["task_id"]
    assert emulator.wait(task_id)["task_status"] == "success"


def test_only_version_1_0_needs_no_size(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    new: dict[str, Any] = {"content_type": "image/jpeg", "file_name": "a.jpg"}
    missing = "file_size is required but wasn't included in your request."
    for base in (*V2, V1[1]):
        answer = emulator.client.post(f"{base}/face-reshape", json={"files": [new]})
        assert (answer.status_code, answer.json()["error"]) == (400, missing)
    for wrong, sentence in {
        None: "'file_size' is required and can't be null.",
        0: "file_size is below the allowed minimum.",
        "5": "file_size doesn't match the required format.",
        10 * 1024 * 1024: "file_size is above the allowed maximum.",
    }.items():
        answer = emulator.client.post(f"{V1[0]}/x", json={"files": [{**new, "file_size": wrong}]})
        assert (answer.status_code, answer.json()["error"]) == (400, sentence)
    (file,) = emulator.client.post(f"{V1[0]}/x", json={"files": [new]}).json()["result"]["files"]
    (request,) = file["requests"]
    assert request["headers"] == {"Content-Type": "image/jpeg"}
    # The URL signs the type, but not the length.
    wrong_type = emulator.anonymous.put(
        request["url"], headers={"Content-Type": "image/png"}, content=b"photo"
    )
    assert wrong_type.status_code == 403
    for content in (b"photo", face_jpeg):
        assert emulator.put(file, content).status_code == 200
    task_id = emulator.create(file["file_id"]).json()["data"]["task_id"]
    assert emulator.wait(task_id)["task_status"] == "success"


def test_an_upload_without_a_signed_length_has_a_limit(emulate: Callable[..., Any]) -> None:
    emulator = emulate(file_bytes=1000, video_bytes=2000)
    new = {"content_type": "image/jpeg", "file_name": "a.jpg"}
    (file,) = emulator.client.post(f"{V1[0]}/x", json={"files": [new]}).json()["result"]["files"]
    assert emulator.put(file, bytes(2000)).status_code == 200
    answer = emulator.put(file, bytes(2001))
    assert (answer.status_code, "<Code>EntityTooLarge</Code>" in answer.text) == (400, True)


def test_a_v1_path_has_its_own_error_for_a_wrong_key(emulate: Callable[..., Any]) -> None:
    emulator = emulate({KEY: CredentialState.REVOKED})
    unauthorized = {"status": 401, "error": "Unauthorized", "error_code": "InvalidAccessToken"}
    for base in V1:
        answer = emulator.register(5, path=f"{base}/face-reshape")
        assert (answer.status_code, answer.json()) == (401, unauthorized)
        assert emulator.anonymous.post(f"{base}/x", json={}).json() == unauthorized
    for path in V2:
        assert emulator.register(5, path=path).json()["error_code"] == "InactiveApiKey"


def test_several_files_are_returned_in_order(api: Any) -> None:
    names = ["a.jpg", "b.png", "c.jpg"]
    new = [{"content_type": "image/jpeg", "file_name": name, "file_size": 10} for name in names]
    files = api.client.post(FILE, json={"files": new}).json()["data"]["files"]
    assert [file["file_name"] for file in files] == names
    assert len({file["file_id"] for file in files}) == 3


def test_urls_have_the_host_of_the_request(api: Any, face_jpeg: bytes) -> None:
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
