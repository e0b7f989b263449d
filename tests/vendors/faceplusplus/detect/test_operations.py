"""Responses of Detect."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
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
from emulator.vendors.faceplusplus.detect.attributes import ATTRIBUTES

URL = "/facepp/v3/detect"
FACES = Path(__file__).parents[4] / "fixtures" / "faces"
KEYS = {"api_key": "key", "api_secret": "secret"}


def photo(name: str) -> bytes:
    return (FACES / f"{name}.jpg").read_bytes()


def post(client: Any, data: Mapping[str, str] | None = None, name: str | bytes = "ok-frontal") -> Any:
    content = name if isinstance(name, bytes) else photo(name)
    return client.post(URL, data={**KEYS, **(data or {})}, files={"image_file": ("a.jpg", content)})


@pytest.fixture(scope="module")
def everything(client: httpx.Client) -> Any:
    """The response with all attributes of the two people in a photo."""
    return post(client, {"return_landmark": "1", "return_attributes": ",".join(ATTRIBUTES)}, "two-faces")


def test_the_response_is_compact_and_ends_with_one_line_end(everything: Any) -> None:
    assert everything.status_code == 200
    assert everything.headers["content-type"] == "application/json"
    body = everything.text
    assert body.endswith(',"face_num":2}\n')
    # Strings have no spaces, so the compact form is the one without any.
    assert " " not in body
    assert list(everything.json()) == ["request_id", "time_used", "faces", "image_id", "face_num"]
    for face in everything.json()["faces"]:
        assert list(face) == ["face_token", "face_rectangle", "landmark", "attributes"]
        assert list(face["face_rectangle"]) == ["top", "left", "width", "height"]


def test_scores_have_three_decimals(everything: Any) -> None:
    scores = re.findall(r'"(?:value|threshold|\w+_score|happiness|open|close)":([\d.]+)', everything.text)
    with_point = [number for number in scores if "." in number]
    assert len(with_point) > 20
    assert {len(number.partition(".")[2]) for number in with_point} == {3}
    # Only the age is a whole number.
    assert len(scores) - len(with_point) == 2


def test_attributes_are_in_the_order_of_the_page_and_only_if_requested(
    client: httpx.Client, everything: Any
) -> None:
    members = [member for member, _ in ATTRIBUTES.values()]
    for face in everything.json()["faces"]:
        assert list(face["attributes"]) == members
        assert face["attributes"]["ethnicity"] == {"value": ""}
    some = post(client, {"return_attributes": "smiling,gender,glass,nose_occlusion"}).json()["faces"][0]
    assert list(some) == ["face_token", "face_rectangle", "attributes"]
    assert list(some["attributes"]) == ["gender", "smile"]
    for attributes in ({}, {"return_attributes": "none"}, {"return_attributes": ""}):
        assert list(post(client, attributes).json()["faces"][0]) == ["face_token", "face_rectangle"]


def test_all_three_blurs_are_equal(everything: Any) -> None:
    for face in everything.json()["faces"]:
        blur = face["attributes"]["blur"]
        assert blur["blurness"] == blur["motionblur"] == blur["gaussianblur"]


def test_the_pose_is_that_of_the_photo(client: httpx.Client) -> None:
    for name in ("ok-left", "ok-right", "tilted-40"):
        truth = json.loads((FACES / f"{name}.json").read_text())["faces"][0]["pose_deg"]
        face = post(client, {"return_attributes": "headpose"}, name).json()["faces"][0]
        for axis in ("yaw", "roll"):
            assert face["attributes"]["headpose"][f"{axis}_angle"] == pytest.approx(truth[axis], abs=6)


def test_a_picture_without_a_face_is_no_error(client: httpx.Client) -> None:
    answer = post(client, {"return_landmark": "1", "return_attributes": "age"}, "no-face").json()
    assert (answer["faces"], answer["face_num"]) == ([], 0)


def test_the_five_largest_faces_are_described(client: httpx.Client, two_rows: bytes) -> None:
    asked = {"return_landmark": "2", "return_attributes": "gender"}
    faces = post(client, asked, two_rows).json()["faces"]
    sizes = [face["face_rectangle"]["width"] for face in faces]
    assert len(faces) == 6
    assert max(abs(a - b) for a, b in zip(sizes, sorted(sizes, reverse=True), strict=True)) <= 3
    assert ["landmark" in face and "attributes" in face for face in faces] == [True] * 5 + [False]
    everybody = post(client, {**asked, "calculate_all": "1"}, two_rows).json()["faces"]
    assert all("landmark" in face and "attributes" in face for face in everybody)


@pytest.fixture(scope="module")
def two_rows() -> bytes:
    """The five people of the test face ``crowd``, and one more below them."""
    with PillowImage.open(FACES / "crowd.jpg") as crowd, PillowImage.open(FACES / "ok-frontal.jpg") as one:
        canvas = PillowImage.new("RGB", (crowd.width, crowd.height + 300), "grey")
        canvas.paste(crowd, (0, 0))
        canvas.paste(one.resize((280, 280)), (0, crowd.height))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_each_detection_gives_new_tokens_and_the_same_image_id(client: httpx.Client) -> None:
    one, other = post(client).json(), post(client).json()
    assert re.fullmatch(r"[0-9a-f]{32}", one["faces"][0]["face_token"])
    assert one["faces"][0]["face_token"] != other["faces"][0]["face_token"]
    expected = base64.b64encode(hashlib.md5(photo("ok-frontal"), usedforsecurity=False).digest()).decode()
    assert one["image_id"] == other["image_id"] == expected
    assert post(client, name="ok-left").json()["image_id"] != expected


def test_landmarks_are_named_by_the_sides_of_the_picture(client: httpx.Client) -> None:
    truth = json.loads((FACES / "ok-frontal.json").read_text())["faces"][0]["landmarks"]
    for kind, count in (("1", 83), ("2", 106)):
        points = post(client, {"return_landmark": kind}).json()["faces"][0]["landmark"]
        assert len(points) == count
        # Landmark 33 is the outer corner of the person's right eye, which is at the left of the picture.
        for name, index in (("left_eye_left_corner", 33), ("right_eye_right_corner", 263), ("nose_tip", 1)):
            assert abs(points[name]["x"] - truth[index][0]) < 12
            assert abs(points[name]["y"] - truth[index][1]) < 12
        assert points["left_eye_left_corner"]["x"] < points["right_eye_right_corner"]["x"]


def test_only_the_region_is_searched_and_it_is_returned(client: httpx.Client) -> None:
    first, second = post(client, name="two-faces").json()["faces"]
    rectangle = second["face_rectangle"]
    wide = {
        "top": rectangle["top"] - 60,
        "left": rectangle["left"] - 60,
        "width": rectangle["width"] + 120,
        "height": rectangle["height"] + 120,
    }
    text = ",".join(str(wide[side]) for side in ("top", "left", "width", "height"))
    found = post(client, {"face_rectangle": text}, "two-faces").json()["faces"]
    assert [face["face_rectangle"] for face in found] == [wide]
    assert first["face_rectangle"] != wide


def test_beauty_is_between_the_requested_scores(client: httpx.Client) -> None:
    asked = {"return_attributes": "beauty", "beauty_score_min": "40", "beauty_score_max": "41"}
    beauty = post(client, asked).json()["faces"][0]["attributes"]["beauty"]
    assert all(40 <= value <= 41 for value in beauty.values())


def test_a_url_or_base64_gives_the_same_faces(client: httpx.Client, serve: Callable[[bytes], str]) -> None:
    expected = post(client).json()["faces"][0]["face_rectangle"]
    encoded = base64.b64encode(photo("ok-frontal")).decode()
    # A client sent its credentials and the URL in the query, with an empty body of the type JSON.
    params = {**KEYS, "image_url": serve(photo("ok-frontal"))}
    for response in (
        client.post(URL, data={**KEYS, "image_base64": encoded}),
        client.post(URL, params=params, headers={"Content-Type": "application/json"}),
    ):
        assert response.json()["faces"][0]["face_rectangle"] == expected


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        ({}, None, "MISSING_ARGUMENTS: image_url, image_file, image_base64"),
        ({"return_landmark": "3"}, "ok-frontal", "BAD_ARGUMENTS: return_landmark"),
        ({"return_landmark": "all"}, "ok-frontal", "BAD_ARGUMENTS: return_landmark"),
        ({"return_attributes": "gender,hat"}, "ok-frontal", "BAD_ARGUMENTS: return_attributes"),
        ({"calculate_all": "2"}, "ok-frontal", "BAD_ARGUMENTS: calculate_all"),
        ({"face_rectangle": "1,2,3"}, "ok-frontal", "BAD_ARGUMENTS: face_rectangle"),
        ({"face_rectangle": "1,2,0,4"}, "ok-frontal", "BAD_ARGUMENTS: face_rectangle"),
        ({"beauty_score_min": "101"}, "ok-frontal", "BAD_ARGUMENTS: beauty_score_min"),
        (
            {"beauty_score_min": "60", "beauty_score_max": "50"},
            "ok-frontal",
            "BAD_ARGUMENTS: beauty_score_max",
        ),
        ({}, "not-a-picture", "IMAGE_ERROR_UNSUPPORTED_FORMAT: image_file"),
        ({}, "too-many-pixels", "INVALID_IMAGE_SIZE: image_file"),
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
    answer = client.post(URL, data={**KEYS, **data}) if name is None else post(client, data, name)
    assert refused(answer) == (400, message)


def test_a_free_key_cannot_use_the_fields_of_standard_keys(
    workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    settings = Settings(vendors={"faceplusplus": {"key_kind": "free"}})
    with TestClient(create_app(settings, workers=workers)) as free:
        for field, value in (("calculate_all", "1"), ("face_rectangle", "1,1,90,90")):
            assert refused(post(free, {field: value})) == (403, f"INSUFFICIENT_PERMISSION: {field}")
        assert post(free, {"calculate_all": "0", "return_attributes": "age"}).status_code == 200
