"""Responses of Dense Facial Landmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.vendors.faceplusplus.dense_landmarks import GROUPS

URL, DETECT = "/facepp/v1/face/thousandlandmark", "/facepp/v3/detect"
FACES = Path(__file__).parents[4] / "fixtures" / "faces"
KEYS = {"api_key": "key", "api_secret": "secret"}
ALL = {"return_landmark": "all"}

REFUSED = {
    "too-many-pixels": "INVALID_IMAGE_SIZE: image_file",
    "corrupt": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file",
    "not-a-picture": "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file",
}
NOBODY = {"no-face", "blurred", "too-dark", "too-small", "too-few-pixels"}
"""Test faces without a face, or with faces that are too small."""


def photo(name: str) -> bytes:
    return (FACES / f"{name}.jpg").read_bytes()


def post(client: Any, data: Mapping[str, str], name: str | None = None) -> Any:
    files = None if name is None else {"image_file": ("a.jpg", photo(name))}
    return client.post(URL, data={**KEYS, **data}, files=files)


@pytest.fixture(scope="module")
def everything(client: httpx.Client) -> Any:
    return post(client, ALL, "ok-frontal")


def test_the_response_is_compact_and_has_the_members_in_order(everything: Any) -> None:
    assert everything.status_code == 200
    assert everything.headers["content-type"] == "application/json"
    assert everything.text.endswith("}}}}}\n")
    assert " " not in everything.text
    assert list(everything.json()) == ["request_id", "time_used", "face"]
    assert list(everything.json()["face"]) == ["face_rectangle", "landmark"]


def test_all_returns_every_group(everything: Any) -> None:
    landmark = everything.json()["face"]["landmark"]
    assert tuple(landmark) == GROUPS
    values = [value for group in landmark.values() for value in group.values()]
    points = [value for value in values if isinstance(value, dict)]
    assert len(points) == 973
    assert len(values) == 975
    assert all(list(point) == ["x", "y"] for point in points)
    assert all(type(number) is int for point in points for number in point.values())
    truth = json.loads((FACES / "ok-frontal.json").read_text())["faces"][0]["landmarks"]
    # The person's right eye is at the left of the picture.
    corner = landmark["left_eye"]["left_eye_0"]
    assert np.hypot(corner["x"] - truth[33][0], corner["y"] - truth[33][1]) < 12


@pytest.mark.parametrize(
    ("asked", "returned"),
    [
        ("mouse", ["mouth"]),
        ("nose, left_eye", ["left_eye", "nose"]),
        ("All", list(GROUPS)),
        ("face,all", list(GROUPS)),
        ("right_eye_eyelid,left_eyebrow", ["left_eyebrow", "right_eye_eyelid"]),
    ],
)
def test_only_the_requested_groups_are_returned(
    client: httpx.Client, token: str, everything: Any, asked: str, returned: list[str]
) -> None:
    landmark = post(client, {"return_landmark": asked, "face_token": token}).json()["face"]["landmark"]
    assert list(landmark) == returned
    whole = everything.json()["face"]["landmark"]
    assert landmark == {name: whole[name] for name in returned}


@pytest.fixture(scope="module")
def token(client: httpx.Client) -> str:
    """The token of the face in the photo of `everything`."""
    answer = client.post(DETECT, data=KEYS, files={"image_file": ("a.jpg", photo("ok-frontal"))})
    return str(answer.json()["faces"][0]["face_token"])


def test_a_face_token_gives_the_same_points_and_wins_over_a_photo(
    client: httpx.Client, token: str, everything: Any
) -> None:
    ignored = {"code": "field-dropped", "detail": "image_file is ignored because face_token was sent"}
    for name, warnings in ((None, []), ("no-face", [ignored])):
        answer = post(client, {**ALL, "face_token": token}, name)
        assert answer.json()["face"] == everything.json()["face"]
        calls = client.get("/_emulator/calls", params={"last": 1, "vendor": "faceplusplus"})
        assert calls.json()["calls"][-1]["warnings"] == warnings


def test_an_expired_token_and_that_of_another_key_are_unknown(
    client: httpx.Client, refused: Callable[[Any], tuple[int, str]]
) -> None:
    keys = {"api_key": "dense-clock", "api_secret": "s"}
    answer = client.post(DETECT, data=keys, files={"image_file": ("a.jpg", photo("ok-frontal"))})
    token = answer.json()["faces"][0]["face_token"]
    expected = (400, f"INVALID_FACE_TOKEN: {token}")
    assert refused(post(client, {**ALL, "face_token": token})) == expected
    asked = {**keys, **ALL, "face_token": token}
    mine = {"credential": "dense-clock"}
    for hours, succeeds in ((71.9, True), (0.2, False)):
        client.post(
            "/_emulator/clock/advance", params=mine, json={"seconds": hours * 3600}
        ).raise_for_status()
        answer = client.post(URL, data=asked)
        assert answer.status_code == 200 if succeeds else refused(answer) == expected


def test_the_largest_face_is_returned(client: httpx.Client) -> None:
    found = client.post(DETECT, data=KEYS, files={"image_file": ("a.jpg", photo("two-faces"))}).json()
    face = post(client, {"return_landmark": "nose"}, "two-faces").json()["face"]
    assert face["face_rectangle"] == found["faces"][0]["face_rectangle"]


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ({}, "ok-frontal", "MISSING_ARGUMENTS: return_landmark"),
        (ALL, None, "MISSING_ARGUMENTS: face_token, image_url, image_file, image_base64"),
        ({"return_landmark": "nose,ear"}, "ok-frontal", "BAD_ARGUMENTS: return_landmark"),
        ({"return_landmark": "mouth"}, "ok-frontal", "BAD_ARGUMENTS: return_landmark"),
        ({**ALL, "face_token": "0" * 32}, None, f"INVALID_FACE_TOKEN: {'0' * 32}"),
        ({**ALL, "image_base64": "!"}, None, "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_base64"),
        ({**ALL, "image_url": "nonsense"}, None, "INVALID_IMAGE_URL"),
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


@pytest.mark.parametrize("name", ["crowd", *sorted(NOBODY), *REFUSED])
def test_a_test_face_without_a_usable_face_has_its_outcome(
    client: httpx.Client, refused: Callable[[Any], tuple[int, str]], name: str
) -> None:
    answer = post(client, {"return_landmark": "right_eyebrow"}, name)
    if name in REFUSED:
        assert refused(answer) == (400, REFUSED[name])
    else:
        assert answer.status_code == 200
        assert (answer.json()["face"] == {}) == (name in NOBODY)


def test_settings_limit_the_sides_of_photos_and_faces(
    workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    def answer(**limits: int) -> Any:
        app = create_app(Settings(vendors={"faceplusplus": limits}), workers=workers)
        with TestClient(app) as client:
            return post(client, {"return_landmark": "nose"}, "too-few-pixels")

    assert "landmark" in answer(shortest_dense_face=40).json()["face"]
    assert refused(answer(shortest_dense_side=150)) == (400, "INVALID_IMAGE_SIZE: image_file")


def test_a_call_that_finds_nobody_is_billed_and_a_refused_one_is_not(client: httpx.Client) -> None:
    keys = {"api_key": "dense-billed", "api_secret": "s"}
    for asked, status in ((ALL, 200), ({}, 400)):
        answer = client.post(URL, data={**keys, **asked}, files={"image_file": ("a.jpg", photo("no-face"))})
        assert answer.status_code == status
    costs = client.get("/_emulator/costs", params={"credential": "dense-billed"}).json()
    assert [(one["operation"], one["calls"]) for one in costs["operations"]] == [("thousandlandmark", 1)]
