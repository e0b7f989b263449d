"""Perfect Corp over the wire."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import ExifTags, ImageCms
from PIL import Image as PillowImage

from emulator.server import Listening

FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
PATIENCE_SECONDS = 60
WIDER_EYES: dict[str, Any] = {"version": "1.0", "features": {"eye_size": 80}, "global": {}}


@pytest.fixture(scope="module")
def api(server: Listening) -> Iterator[httpx.Client]:
    """A client with a key."""
    headers = {"Authorization": "Bearer sk-test"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=60) as client:
        yield client


def register(
    api: httpx.Client, data: bytes, content_type: str = "image/jpg", path: str = FILE
) -> dict[str, Any]:
    new = {"content_type": content_type, "file_name": "selfie.jpg", "file_size": len(data)}
    response = api.post(path, json={"files": [new]})
    assert response.status_code == 200, response.text
    file: dict[str, Any] = response.json()["data"]["files"][0]
    return file


def put(file: dict[str, Any], data: bytes) -> httpx.Response:
    request = file["requests"][0]
    return httpx.request(request["method"], request["url"], headers=request["headers"], content=data)


def upload(api: httpx.Client, data: bytes, content_type: str = "image/jpg") -> str:
    file = register(api, data, content_type)
    assert put(file, data).status_code == 200
    file_id: str = file["file_id"]
    return file_id


def start(api: httpx.Client, body: dict[str, Any], path: str = TASK) -> str:
    response = api.post(path, json=body)
    assert response.status_code == 200, response.text
    assert list(response.json()) == ["status", "data"]
    task_id: str = response.json()["data"]["task_id"]
    return task_id


def wait(api: httpx.Client, task_id: str, path: str = TASK) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        response = api.get(f"{path}/{task_id}")
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        if data["task_status"] != "running":
            return data
        assert data == {"error": None, "results": None, "task_status": "running"}
        time.sleep(0.02)
    raise AssertionError("the task did not finish")


def pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with PillowImage.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("path", [FILE, f"{FILE}/face-reshape"])
def test_a_file_is_registered_under_both_paths(api: httpx.Client, path: str) -> None:
    file = register(api, b"12345", "image/png", path)
    assert list(file) == ["content_type", "file_name", "file_id", "requests"]
    assert (file["content_type"], file["file_name"]) == ("image/png", "selfie.jpg")
    assert len(base64.b64decode(file["file_id"], validate=True)) == 48
    (request,) = file["requests"]
    assert list(request) == ["method", "url", "headers"]
    assert request["method"] == "PUT"
    assert request["headers"] == {"Content-Length": "5", "Content-Type": "image/png"}
    assert request["url"].startswith(str(api.base_url))


def test_several_files_come_back_in_order(api: httpx.Client) -> None:
    names = ["a.jpg", "b.png", "c.jpg"]
    new = [{"content_type": "image/jpeg", "file_name": name, "file_size": 10} for name in names]
    files = api.post(FILE, json={"files": new}).json()["data"]["files"]
    assert [file["file_name"] for file in files] == names
    assert len({file["file_id"] for file in files}) == 3


def test_orientation_and_profile_come_back(api: httpx.Client, face_jpeg: bytes) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = PillowImage.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned, buffer = np.ascontiguousarray(np.rot90(pixels(face_jpeg))), io.BytesIO()
    PillowImage.fromarray(turned).save(buffer, "JPEG", quality=95, exif=exif, icc_profile=profile)
    data = wait(api, start(api, {**WIDER_EYES, "src_file_id": upload(api, buffer.getvalue())}))
    with PillowImage.open(io.BytesIO(httpx.get(data["results"]["url"]).content)) as result:
        assert result.size == (turned.shape[1], turned.shape[0])
        assert result.getexif()[ExifTags.Base.Orientation] == 6
        assert result.info["icc_profile"] == profile


def test_urls_name_the_host_that_the_client_named(api: httpx.Client, face_jpeg: bytes) -> None:
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(face_jpeg)}
    headers = {"Host": "emulator.internal:8080"}
    response = api.post(FILE, json={"files": [new]}, headers=headers)
    url = httpx.URL(response.json()["data"]["files"][0]["requests"][0]["url"])
    assert (url.scheme, url.netloc) == ("http", b"emulator.internal:8080")
    # And it works under any name that leads here: the host is not signed.
    reached = url.copy_with(host=api.base_url.host, port=api.base_url.port)
    answer = httpx.put(reached, content=face_jpeg, headers={"Content-Type": "image/jpeg"})
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(("pillow_format", "content_type"), [("JPEG", "image/jpg"), ("PNG", "image/png")])
def test_a_face_is_reshaped(
    api: httpx.Client, face_jpeg: bytes, pillow_format: str, content_type: str
) -> None:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(face_jpeg)).save(buffer, pillow_format, quality=95)
    photo = buffer.getvalue()
    task_id = start(api, {"src_file_id": upload(api, photo, content_type), **WIDER_EYES})
    assert len(base64.urlsafe_b64decode(task_id)) == 48
    data = wait(api, task_id)
    assert list(data) == ["error", "results", "task_status"]
    assert (data["error"], data["task_status"]) == (None, "success")
    assert list(data["results"]) == ["url", "timed", "timed_apply"]
    download = httpx.get(data["results"]["url"])
    assert download.headers["content-type"] == f"image/{pillow_format.lower()}"
    with PillowImage.open(io.BytesIO(download.content)) as result:
        assert result.format == pillow_format
    before, after = pixels(photo).astype(int), pixels(download.content).astype(int)
    assert before.shape == after.shape
    changed = np.abs(before - after).max(axis=2) > 24
    assert changed.sum() > 100
    # The picture's rim is far from any face.
    assert not changed[:20].any()
    assert not changed[-20:].any()


def test_a_result_url_is_signed_anew_at_every_poll_and_leads_to_the_same_bytes(
    api: httpx.Client, face_jpeg: bytes
) -> None:
    task_id = start(api, {"src_file_id": upload(api, face_jpeg), **WIDER_EYES})
    first = wait(api, task_id)["results"]["url"]
    time.sleep(1.1)
    second = wait(api, task_id)["results"]["url"]
    assert first != second
    assert httpx.get(first).content == httpx.get(second).content


def test_the_same_task_gives_the_same_bytes(api: httpx.Client, face_jpeg: bytes) -> None:
    body = {
        "src_file_id": upload(api, face_jpeg),
        "version": "1.0",
        "features": {"nose_size": 50, "jaw": 40, "lip_peak": -100},
        "global": {"skin_smooth_strength": 50, "skin_smooth_color_intensity": 50},
    }
    urls = [wait(api, task_id)["results"]["url"] for task_id in [start(api, body) for _ in range(3)]]
    assert len({httpx.get(url).content for url in urls}) == 1


def test_pre_process_lists_the_faces_largest_first(api: httpx.Client, two_faces_jpeg: bytes) -> None:
    task_id = start(api, {"src_file_id": upload(api, two_faces_jpeg)}, PRE_PROCESS)
    data = wait(api, task_id, PRE_PROCESS)
    assert list(data["results"]) == ["timed", "result"]
    boxes = data["results"]["result"]
    assert len(boxes) == 2
    height, width = pixels(two_faces_jpeg).shape[:2]
    for box in boxes:
        assert list(box) == ["left", "top", "width", "height"]
        assert 0 <= box["left"] < box["left"] + box["width"] <= width
        assert 0 <= box["top"] < box["top"] + box["height"] <= height
    areas = [box["width"] * box["height"] for box in boxes]
    assert areas == sorted(areas, reverse=True)


def test_index_chooses_the_face_that_changes(api: httpx.Client, two_faces_jpeg: bytes) -> None:
    file_id = upload(api, two_faces_jpeg)
    boxes = wait(api, start(api, {"src_file_id": file_id}, PRE_PROCESS), PRE_PROCESS)["results"]["result"]
    before = pixels(two_faces_jpeg).astype(int)
    for index in (0, 1):
        data = wait(api, start(api, {"src_file_id": file_id, "index": index, **WIDER_EYES}))
        changed = np.abs(before - pixels(httpx.get(data["results"]["url"]).content)).max(axis=2) > 24
        inside = [
            changed[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]].sum()
            for box in boxes
        ]
        assert inside[index] > 20
        assert inside[1 - index] == 0


@pytest.mark.parametrize(
    ("picture", "body", "code"),
    [
        ("landscape", WIDER_EYES, "error_no_face"),
        ("text", WIDER_EYES, "error_decode_image"),
        ("face", {**WIDER_EYES, "index": 1}, "invalid_parameter"),
        ("face", {**WIDER_EYES, "index": -1}, "invalid_parameter"),
    ],
)
def test_the_engines_errors_stand_in_the_task(
    api: httpx.Client,
    face_jpeg: bytes,
    landscape_jpeg: bytes,
    picture: str,
    body: dict[str, Any],
    code: str,
) -> None:
    pictures = {"face": face_jpeg, "landscape": landscape_jpeg, "text": b"not a picture"}
    data = wait(api, start(api, {"src_file_id": upload(api, pictures[picture]), **body}))
    assert list(data) == ["error", "error_message", "results", "task_status"]
    assert (data["error"], data["results"], data["task_status"]) == (code, None, "error")


def test_a_url_that_leads_nowhere_fails_in_the_task(api: httpx.Client) -> None:
    data = wait(api, start(api, {"src_file_url": "http://127.0.0.1:9/selfie.jpg", **WIDER_EYES}))
    assert data["error"] == "error_download_image"


def test_a_per_side_zero_overrides_the_combined_parameter(api: httpx.Client, face_jpeg: bytes) -> None:
    features = {"eye_size": 80, "eye_size_left": 0}
    body = {"src_file_id": upload(api, face_jpeg), **WIDER_EYES, "features": features}
    result = pixels(httpx.get(wait(api, start(api, body))["results"]["url"]).content).astype(int)
    changed = np.abs(pixels(face_jpeg) - result).max(axis=2) > 24
    half = changed.shape[1] // 2
    # The face looks into the camera: the person's right is the picture's left.
    assert changed[:, :half].sum() > 50
    assert changed[:, half:].sum() == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": None}, "'version' is required and can't be null."),
        ({"version": "2.0"}, "version is not one of the accepted values."),
        ({"features": {"cheekbones": 101}}, "cheekbones is above the allowed maximum."),
        ({"features": {"cheekbones": -1}}, "cheekbones is below the allowed minimum."),
        ({"features": {"jaw": 1.5}}, "jaw doesn't match the required format."),
        ({"features": {"eye_size": 0, "jaw": 0}}, "Features cannot be all zero"),
        ({"features": {}}, "Features cannot be all zero"),
        ({"global": {"skin_smooth_strength": 101}}, "skin_smooth_strength is above the allowed maximum."),
        ({"src_file_id": "unknown"}, "One or more parameters in this request are invalid."),
    ],
)
def test_a_wrong_member_is_refused_with_the_validators_sentence(
    api: httpx.Client, change: dict[str, Any], sentence: str
) -> None:
    response = api.post(TASK, json={"src_file_id": "x", **WIDER_EYES, **change})
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": sentence, "error_code": "InvalidParameters"},
    )


@pytest.mark.parametrize("name", ["version", "features", "global"])
def test_a_missing_member_is_named(api: httpx.Client, name: str) -> None:
    body = {key: value for key, value in {"src_file_id": "x", **WIDER_EYES}.items() if key != name}
    response = api.post(TASK, json=body)
    assert response.json()["error"] == f"{name} is required but wasn't included in your request."


@pytest.mark.parametrize("path", [TASK, PRE_PROCESS])
def test_a_task_needs_a_picture(api: httpx.Client, path: str) -> None:
    assert api.post(path, json=WIDER_EYES).json()["error"] == (
        "src_file_url is required but wasn't included in your request., or "
        "src_file_id is required but wasn't included in your request."
    )


def test_a_body_that_is_no_json_is_refused(api: httpx.Client) -> None:
    response = api.post(TASK, content=b"{")
    assert (response.status_code, response.json()["error_code"]) == (400, "InvalidParameters")


def test_a_file_that_was_never_uploaded_is_refused(api: httpx.Client, face_jpeg: bytes) -> None:
    response = api.post(TASK, json={"src_file_id": register(api, face_jpeg)["file_id"], **WIDER_EYES})
    assert (response.status_code, response.json()["error_code"]) == (500, "unknown_internal_error")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "sk-test"}, {"Authorization": "Bearer"}, {"Authorization": "Basic eA=="}],
)
@pytest.mark.parametrize("path", [FILE, TASK, PRE_PROCESS])
def test_without_a_key_nothing_is_reached(client: httpx.Client, headers: dict[str, str], path: str) -> None:
    response = client.post(path, json={}, headers=headers)
    assert (response.status_code, response.json()) == (
        401,
        {"status": 401, "error": "This API key is not recognized.", "error_code": "InvalidApiKey"},
    )


def test_tasks_and_files_belong_to_their_key(api: httpx.Client, face_jpeg: bytes) -> None:
    file_id = upload(api, face_jpeg)
    task_id = start(api, {"src_file_id": file_id, **WIDER_EYES})
    other = {"Authorization": "Bearer sk-other"}
    assert api.post(TASK, json={"src_file_id": file_id, **WIDER_EYES}, headers=other).status_code == 400
    response = api.get(f"{TASK}/{task_id}", headers=other)
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": "Invalid task ID", "error_code": "InvalidTaskId"},
    )
    assert api.get(f"{PRE_PROCESS}/{task_id}").status_code == 400
    assert wait(api, task_id)["task_status"] == "success"


def test_every_answer_is_numbered(api: httpx.Client) -> None:
    responses = [api.get(path) for path in (f"{TASK}/x", "/s2s/v2.0/nothing", f"{TASK}/y")]
    numbers = [response.headers["x-request-id"] for response in responses]
    assert len(set(numbers)) == 3
    assert all(number.isdigit() and len(number) == 18 for number in numbers)


def test_an_unknown_path_and_a_wrong_method_are_answered_in_the_envelope(api: httpx.Client) -> None:
    unknown = api.get("/s2s/v2.0/credit")
    assert unknown.status_code == 404
    assert unknown.json() == {
        "status": 404,
        "error": "The requested resource was not found.",
        "error_code": "NotFound",
        "errorCode": "NotFound",
    }
    assert api.get(TASK).status_code == api.get(TASK).json()["status"] == 405


def test_an_upload_must_be_what_was_registered(api: httpx.Client, face_jpeg: bytes) -> None:
    file = register(api, face_jpeg)
    shorter = httpx.put(file["requests"][0]["url"], content=b"short", headers={"Content-Type": "image/jpg"})
    assert shorter.status_code == 403
    assert shorter.headers["content-type"] == "application/xml"
    assert "<Code>SignatureDoesNotMatch</Code>" in shorter.text
    assert put(file, face_jpeg).status_code == 200
