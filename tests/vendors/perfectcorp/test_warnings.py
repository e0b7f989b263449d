"""Warnings in the journal about calls of Perfect Corp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PICTURE = b"\xff\xd8\xff\xe0 the beginning of a JPEG"
TASK = "/s2s/v2.0/task/face-reshape"


def warnings(emulator: Any) -> list[tuple[str, str]]:
    (call,) = emulator.client.get("/_emulator/calls", params={"last": 1}).json()["calls"]
    return [(warning["code"], warning["detail"]) for warning in call["warnings"]]


def test_unknown_and_ignored_members(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    file_id = emulator.upload(PICTURE)
    assert warnings(emulator) == []
    body = {
        "src_file_id": file_id,
        "src_file_url": "http://127.0.0.1:9/a.jpg",
        "version": "1.0",
        "features": {"jaw": 10, "eye_sise": 20},
        "global": {"blur": 1},
        "source": "yco",
    }
    assert emulator.client.post(TASK, json=body).status_code == 200
    assert warnings(emulator) == [
        ("field-dropped", "unknown member features.eye_sise"),
        ("field-dropped", "unknown member global.blur"),
        ("field-dropped", "unknown member source"),
        ("field-dropped", "src_file_url is ignored because src_file_id was sent"),
    ]
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5, "md5": "x"}
    emulator.client.post("/s2s/v2.0/file", json={"files": [new]})
    assert warnings(emulator) == [("field-dropped", "unknown member files[0].md5")]


def test_polls_that_are_too_frequent_by_both_clocks(emulate: Callable[..., Any]) -> None:
    emulator = emulate(polls_per_second=3)
    for _ in range(3):
        emulator.client.get(f"{TASK}/nowhere")
        assert warnings(emulator) == []
    emulator.client.get(f"{TASK}/nowhere")
    assert warnings(emulator) == [("polled-too-often", "more than 3 polls within a second")]
    # To advance the emulator's clock counts as waiting.
    emulator.clock.advance(1)
    emulator.client.get(f"{TASK}/nowhere")
    assert warnings(emulator) == []


def test_expired_urls(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(url_seconds=60)
    file = emulator.register(len(PICTURE)).json()["data"]["files"][0]
    url = emulator.run(face_jpeg)["results"]["url"]
    assert emulator.anonymous.get(url).status_code == 200
    assert warnings(emulator) == []
    emulator.clock.advance(60)
    assert emulator.anonymous.get(url).status_code == 403
    assert [code for code, _ in warnings(emulator)] == ["result-url-expired"]
    request = file["requests"][0]
    assert emulator.anonymous.put(request["url"], headers=request["headers"], content=PICTURE).is_error
    assert [code for code, _ in warnings(emulator)] == ["upload-url-expired"]


def test_a_picture_of_another_type_than_declared(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    for said, warned in (("image/jpg", False), ("image/png", True)):
        file = emulator.register(len(PICTURE), said).json()["data"]["files"][0]["requests"][0]
        answer = emulator.anonymous.put(file["url"], headers=file["headers"], content=PICTURE)
        assert answer.status_code == 200
        expected = [("upload-content-type-mismatch", "declared image/png, sent image/jpeg")]
        assert warnings(emulator) == (expected if warned else [])


def test_paths_that_are_not_documented_any_more(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    emulator.register(5)
    assert warnings(emulator) == []
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    for path in (
        "/s2s/v2.0/file/face-reshape",
        "/s2s/v2.1/file",
        "/s2s/v1.0/file/2d-vto/ring",
        "/s2s/v1.1/file/x",
    ):
        assert emulator.client.post(path, json={"files": [new]}).status_code == 200
        detail = f"{path} was replaced by /s2s/v2.0/file in v1.14"
        assert warnings(emulator) == [("deprecated-path", detail)]
    emulator.client.post("/s2s/v1.0/client/auth", json={"client_id": "a", "id_token": "b"})
    assert warnings(emulator) == [("deprecated-path", "send the API key itself as the bearer token")]


def test_unknown_query_parameters(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    page = {"page_size": "3", "starting_token": "null"}
    dropped = [("field-dropped", "there is no query parameter page_sise")]
    for path in ("/s2s/v1.0/client/credit/history", "/s2s/v2.0/credit/feature-cost"):
        assert emulator.client.get(path, params=page).status_code == 200
        assert warnings(emulator) == []
        assert emulator.client.get(path, params={**page, "page_sise": "3"}).status_code == 200
        assert warnings(emulator) == dropped
    for path in ("/s2s/v1.0/client/credit", f"{TASK}/nowhere"):
        emulator.client.get(path, params={"page_sise": ["1", "2"]})
        assert warnings(emulator) == dropped
    client = {"client_id": "a", "id_token": "b"}
    emulator.client.post("/s2s/v1.0/client/auth", params={"page_sise": ""}, json=client)
    assert warnings(emulator)[1:] == dropped
