"""Responses of Facial Features."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image as PillowImage

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings

URL = "/facepp/v1/facialfeatures"
FACES = Path(__file__).parents[4] / "fixtures" / "faces"
KEYS = {"api_key": "key", "api_secret": "secret"}
MEMBERS = ["request_id", "time_used", "image_id", "face_rectangle", "headpose", "denselandmark", "result"]

NOBODY = "NO_FACE_FOUND: image_file"
REFUSED = {
    "no-face": NOBODY,
    "blurred": NOBODY,
    "too-dark": NOBODY,
    "too-many-pixels": "INVALID_IMAGE_SIZE: image_file",
    "corrupt": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file",
    "not-a-picture": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file",
}
"""The test faces that are refused, and their errors. All others succeed."""


def photo(name: str) -> bytes:
    return (FACES / f"{name}.jpg").read_bytes()


def post(client: Any, data: Mapping[str, str] | None = None, name: str | None = "ok-frontal") -> Any:
    files = None if name is None else {"image_file": ("a.jpg", photo(name))}
    return client.post(URL, data={**KEYS, **(data or {})}, files=files)


@pytest.fixture(scope="module")
def frontal(client: httpx.Client) -> Any:
    return post(client)


def test_the_response_is_compact_and_has_the_members_in_order(frontal: Any) -> None:
    assert frontal.status_code == 200
    assert frontal.headers["content-type"] == "application/json"
    assert frontal.text.endswith("}}}\n")
    assert " " not in frontal.text
    assert list(frontal.json()) == MEMBERS
    expected = base64.b64encode(hashlib.md5(photo("ok-frontal"), usedforsecurity=False).digest()).decode()
    assert frontal.json()["image_id"] == expected
    assert list(frontal.json()["headpose"]) == ["pitch_angle", "roll_angle", "yaw_angle"]
    parts = ["three_parts", "five_eyes", "golden_triangle", "face", "jaw", "eyebrow", "eyes", "nose", "mouth"]
    assert list(frontal.json()["result"]) == parts


def test_lengths_and_angles_have_two_decimals(frontal: Any) -> None:
    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for one in value.values() for number in numbers(one)]
        return [value] if isinstance(value, float) else []

    found = numbers(frontal.json()["result"])
    assert len(found) == 36
    assert all(number == round(number, 2) for number in found)


def test_the_photo_is_straightened_if_requested(client: httpx.Client) -> None:
    answer = post(client, {"return_imagereset": "1"}, "tilted-40").json()
    assert list(answer) == [*MEMBERS[:5], "image_reset", *MEMBERS[5:]]
    data = base64.b64decode(answer["image_reset"], validate=True)
    with PillowImage.open(io.BytesIO(data)) as opened, PillowImage.open(FACES / "tilted-40.jpg") as sent:
        assert (opened.format, opened.size) == ("JPEG", sent.size)
    assert answer["headpose"]["roll_angle"] == pytest.approx(40, abs=4)
    again = client.post(URL, data=KEYS, files={"image_file": ("b.jpg", data)}).json()
    assert abs(again["headpose"]["roll_angle"]) < 3
    # Measurements do not depend on the roll.
    for part, member in (("eyes", "eye_width"), ("mouth", "mouth_width"), ("face", "face_length")):
        assert again["result"][part][member] == pytest.approx(answer["result"][part][member], rel=0.05)
    assert "image_reset" not in post(client, {"return_imagereset": "0"}, "tilted-40").json()


def test_denselandmark_is_what_thousandlandmark_returns(client: httpx.Client, frontal: Any) -> None:
    answer = client.post(
        "/facepp/v1/face/thousandlandmark",
        data={**KEYS, "return_landmark": "all"},
        files={"image_file": ("a.jpg", photo("ok-frontal"))},
    ).json()["face"]
    assert frontal.json()["denselandmark"] == answer["landmark"]
    assert frontal.json()["face_rectangle"] == answer["face_rectangle"]


def test_left_and_right_are_those_of_the_photo(client: httpx.Client) -> None:
    """If a head turns to its right, the person's right side, at the left of the photo, looks narrower."""
    truth = json.loads((FACES / "ok-right.json").read_text())["faces"][0]["pose_deg"]
    eyes = post(client, name="ok-right").json()["result"]["five_eyes"]
    narrow, wide = ("five_eye", "one_eye") if truth["yaw"] < 0 else ("one_eye", "five_eye")
    lengths = {
        part: next(value for name, value in eyes[part].items() if name.endswith("_length"))
        for part in (narrow, wide)
    }
    assert lengths[narrow] < lengths[wide]


def test_millimetres_come_from_the_fitted_head_not_from_the_pixels(
    client: httpx.Client, frontal: Any
) -> None:
    with PillowImage.open(FACES / "ok-frontal.jpg") as opened:
        buffer = io.BytesIO()
        opened.resize((opened.width // 2, opened.height // 2), PillowImage.Resampling.LANCZOS).save(
            buffer, "PNG"
        )
    half = client.post(URL, data=KEYS, files={"image_file": ("a.png", buffer.getvalue())}).json()
    for part, member in (("eyes", "eye_width"), ("nose", "nose_width"), ("face", "zygoma_length")):
        assert half["result"][part][member] == pytest.approx(frontal.json()["result"][part][member], rel=0.03)


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ({}, None, "MISSING_ARGUMENTS: image_url, image_file, image_base64"),
        ({"return_imagereset": "2"}, "ok-frontal", "BAD_ARGUMENTS: return_imagereset"),
        ({"image_base64": "!"}, None, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64"),
        ({"image_url": "nonsense"}, None, "INVALID_IMAGE_URL"),
    ],
)
def test_a_bad_request_gets_the_documented_error(
    client: httpx.Client,
    refused: Callable[[Any], tuple[int, str]],
    data: dict[str, str],
    name: str | None,
    message: str,
) -> None:
    assert refused(post(client, data, name)) == (400, message)


@pytest.mark.parametrize("name", ["too-small", "too-few-pixels", *REFUSED])
def test_a_test_face_without_a_usable_face_has_its_outcome(
    client: httpx.Client, refused: Callable[[Any], tuple[int, str]], name: str
) -> None:
    answer = post(client, name=name)
    if name in REFUSED:
        assert refused(answer) == (400, REFUSED[name])
    else:
        assert answer.status_code == 200
        assert answer.json()["result"]


def test_the_largest_face_is_measured(client: httpx.Client) -> None:
    files = {"image_file": ("a.jpg", photo("two-faces"))}
    faces = client.post("/facepp/v3/detect", data=KEYS, files=files).json()["faces"]
    assert post(client, name="two-faces").json()["face_rectangle"] == faces[0]["face_rectangle"]


def test_a_setting_limits_the_sides_of_photos(
    workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    settings = Settings(vendors={"faceplusplus": {"shortest_features_side": 2000}})
    with TestClient(create_app(settings, workers=workers)) as client:
        assert refused(post(client)) == (400, "INVALID_IMAGE_SIZE: image_file")


def test_only_successful_calls_are_billed(client: httpx.Client) -> None:
    keys = {"api_key": "features-billed", "api_secret": "s"}
    for name, status in (("ok-frontal", 200), ("no-face", 400)):
        answer = client.post(URL, data=keys, files={"image_file": ("a.jpg", photo(name))})
        assert answer.status_code == status
    costs = client.get("/_emulator/costs", params={"credential": "features-billed"}).json()
    assert [(one["operation"], one["calls"]) for one in costs["operations"]] == [("facialfeatures", 1)]
