"""Requests to Beautify, and successful responses."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PillowImage

V1, V2 = "/facepp/v1/beautify", "/facepp/v2/beautify"
KEYS = {"api_key": "beautify", "api_secret": "secret"}
NO_STRENGTH = dict.fromkeys(
    ("whitening", "smoothing", "thinface", "shrink_face", "enlarge_eye", "remove_eyebrow"), "0"
)
SUCCESS = re.compile(
    r'\{"request_id":"\d{10},[0-9a-f-]{36}","time_used":\d+,"result":"(?P<result>[A-Za-z0-9+/]+=*)"\}\n'
)


def picture(answer: httpx.Response) -> NDArray[np.int64]:
    """Return the pixels of a successful response."""
    assert answer.status_code == 200, answer.text
    opened = PillowImage.open(io.BytesIO(base64.b64decode(answer.json()["result"])))
    assert opened.format == "JPEG"
    return np.asarray(opened).astype(np.int64)


def png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small_face(face_jpeg: bytes) -> bytes:
    """A picture of one face, as a PNG."""
    buffer = io.BytesIO()
    PillowImage.open(io.BytesIO(face_jpeg)).resize((240, 240)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def call(client: httpx.Client, small_face: bytes) -> Callable[..., httpx.Response]:
    def post(path: str, data: dict[str, str] | None = None, file: bytes = small_face) -> httpx.Response:
        return client.post(path, data={**KEYS, **(data or {})}, files={"image_file": file})

    return post


def test_success_is_compact_json_with_the_changed_photo(
    call: Callable[..., httpx.Response], small_face: bytes
) -> None:
    answer = call(V1)
    assert answer.headers["content-type"] == "application/json"
    found = SUCCESS.fullmatch(answer.text)
    assert found is not None, answer.text[:100]
    before = np.asarray(PillowImage.open(io.BytesIO(small_face))).astype(np.int64)
    after = picture(answer)
    assert after.shape == before.shape
    assert (after - before)[80:160, 80:160].mean() > 5.0


def test_the_vendors_demo_gets_a_picture(client: httpx.Client, small_face: bytes) -> None:
    """The demonstration in Python sends whole numbers, and a PNG without a media type."""
    data = {**KEYS, "whitening": 100, "smoothing": 100}
    answer = client.post(V1, data=data, files={"image_file": small_face}).json()
    assert base64.b64decode(answer.pop("result")).startswith(b"\xff\xd8")
    assert set(answer) == {"request_id", "time_used"}


@pytest.mark.parametrize(
    ("path", "defaults"),
    [
        (V1, {"whitening": "100", "smoothing": "100"}),
        (V2, dict.fromkeys(NO_STRENGTH, "50")),
    ],
)
def test_absent_and_empty_fields_have_their_defaults(
    call: Callable[..., httpx.Response], path: str, defaults: dict[str, str]
) -> None:
    expected = picture(call(path, defaults))
    assert np.array_equal(picture(call(path)), expected)
    empty = dict.fromkeys([*defaults, "filter_type"], "")
    assert np.array_equal(picture(call(path, empty)), expected)


@pytest.mark.parametrize("name", NO_STRENGTH)
def test_every_parameter_changes_the_photo(
    call: Callable[..., httpx.Response], name: str, unchanged: NDArray[np.int64]
) -> None:
    changed = picture(call(V2, {**NO_STRENGTH, name: "100"}))
    assert (np.abs(changed - unchanged) > 8).any(axis=2).mean() > 0.003


@pytest.fixture(scope="module")
def unchanged(call: Callable[..., httpx.Response]) -> NDArray[np.int64]:
    return picture(call(V2, NO_STRENGTH))


def test_all_zero_returns_the_same_photo(unchanged: NDArray[np.int64], small_face: bytes) -> None:
    before = np.asarray(PillowImage.open(io.BytesIO(small_face))).astype(np.int64)
    assert np.abs(unchanged - before).mean() < 1.0


def test_version_1_ignores_the_parameters_of_version_2(
    client: httpx.Client, call: Callable[..., httpx.Response], unchanged: NDArray[np.int64]
) -> None:
    sent = {**dict.fromkeys(NO_STRENGTH, "100"), "whitening": "0", "smoothing": "0", "filter_type": "lomo"}
    assert np.array_equal(picture(call(V1, sent)), unchanged)
    calls = client.get("/_emulator/calls", params={"credential": KEYS["api_key"]}).json()["calls"]
    details = [warning["detail"] for warning in calls[-1]["warnings"]]
    assert [detail for detail in details if "thinface" in detail] == ["unknown field thinface"]


def test_a_filter_works_without_any_strength(
    call: Callable[..., httpx.Response], unchanged: NDArray[np.int64]
) -> None:
    grey = picture(call(V2, {**NO_STRENGTH, "filter_type": "black_white"}))
    assert grey.shape == unchanged.shape
    assert (grey == grey[:, :, :1]).all()
    assert np.abs(grey - unchanged).mean() > 2.0


def test_a_photo_without_a_face_is_whitened_as_a_whole(
    call: Callable[..., httpx.Response], landscape_jpeg: bytes
) -> None:
    before = picture(call(V2, NO_STRENGTH, landscape_jpeg))
    after = picture(call(V2, {**NO_STRENGTH, "whitening": "100", "thinface": "100"}, landscape_jpeg))
    middle = (before > 40) & (before < 215)
    assert (after[middle] > before[middle]).mean() > 0.99


def test_several_faces_are_all_changed(call: Callable[..., httpx.Response], two_faces_jpeg: bytes) -> None:
    before = picture(call(V2, NO_STRENGTH, two_faces_jpeg))
    after = picture(call(V2, {**NO_STRENGTH, "remove_eyebrow": "100"}, two_faces_jpeg))
    changed = (np.abs(after - before) > 20).any(axis=2)
    half = changed.shape[1] // 2
    assert changed[:, :half].any()
    assert changed[:, half:].any()


def test_all_ways_to_send_a_photo_give_the_same_result(
    client: httpx.Client, call: Callable[..., httpx.Response], small_face: bytes, landscape_jpeg: bytes,
    serve: Callable[[bytes], str],
) -> None:  # fmt: skip
    expected = call(V2, NO_STRENGTH).json()["result"]
    text = base64.b64encode(small_face).decode()
    url = serve(small_face)
    other = {"image_file": landscape_jpeg}
    ways: list[dict[str, Any]] = [
        {"data": {**KEYS, **NO_STRENGTH, "image_base64": text}},
        {"data": {**KEYS, **NO_STRENGTH, "image_base64": f"data:image/png;base64,{text}"}},
        {"data": {**KEYS, **NO_STRENGTH, "image_base64": text, "image_url": "nonsense"}},
        {"data": {**KEYS, **NO_STRENGTH, "image_url": url}},
        {"params": {**KEYS, **NO_STRENGTH, "image_url": url}},
    ]
    for way in ways:
        assert client.post(V2, **way).json()["result"] == expected
    # A file takes precedence over base64 and a URL.
    both = client.post(V2, data={**KEYS, **NO_STRENGTH, "image_base64": text, "image_url": url}, files=other)
    assert both.json()["result"] != expected


def test_a_parameter_can_be_a_file_part(
    client: httpx.Client, call: Callable[..., httpx.Response], small_face: bytes
) -> None:
    files = {"image_file": ("a.png", small_face), **{name: (name, b"0") for name in NO_STRENGTH}}
    answer = client.post(V2, data=KEYS, files=files)
    assert answer.json()["result"] == call(V2, NO_STRENGTH).json()["result"]


def test_calls_that_succeed_are_billed(client: httpx.Client, small_face: bytes) -> None:
    keys = {"api_key": "beautify-billed", "api_secret": "s"}
    for path, more, status in ((V1, {}, 200), (V2, NO_STRENGTH, 200), (V2, {"smoothing": "101"}, 400)):
        answer = client.post(path, data={**keys, **more}, files={"image_file": small_face})
        assert answer.status_code == status
    costs = client.get("/_emulator/costs", params={"credential": "beautify-billed"}).json()
    assert {each["operation"]: each["calls"] for each in costs["operations"]} == {
        "beautify_v1": 1,
        "beautify_v2": 1,
    }
