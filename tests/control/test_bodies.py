"""Whole bodies of calls: kept on request, read by digest, and sent again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

BODIES = "/_emulator/calls/bodies"
LIMIT = 10_000_000


@pytest.fixture
def keeper(tester: httpx.Client) -> Iterator[httpx.Client]:
    """A client of an emulator that keeps bodies."""
    tester.put(BODIES, json={"limit": LIMIT}).raise_for_status()
    yield tester
    tester.put(BODIES, json={"limit": 0}).raise_for_status()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def newest(tester: httpx.Client) -> dict[str, Any]:
    call: dict[str, Any] = tester.get("/_emulator/calls?last=1").json()["calls"][0]
    return call


def test_nothing_is_kept_by_default(tester: httpx.Client) -> None:
    tester.post("/facepp/v3/detect", data={"api_key": "me"})
    number = newest(tester)["number"]
    assert tester.get(BODIES).json() == {"limit": 0, "held_bytes": 0, "calls": []}
    for answer in (
        tester.post(f"/_emulator/calls/{number}/replay"),
        tester.get(f"/_emulator/calls/{number}/bytes/{digest(b'')}"),
    ):
        assert (answer.status_code, "PUT /_emulator/calls/bodies" in answer.json()["error"]) == (404, True)


def test_a_file_of_a_form_is_found_by_its_digest(keeper: httpx.Client, face_jpeg: bytes) -> None:
    fields = {"api_key": "me", "api_secret": "s"}
    keeper.post("/facepp/v3/detect", data=fields, files={"image_file": ("me.jpg", face_jpeg)})
    call = newest(keeper)
    sha256 = call["sent"]["fields"]["image_file"]["sha256"]
    answer = keeper.get(f"/_emulator/calls/{call['number']}/bytes/{sha256}")
    assert answer.content == face_jpeg
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert keeper.get(f"/_emulator/calls/{call['number']}/bytes/{digest(b'other')}").status_code == 404


def test_base64_of_a_form_and_of_a_response_is_found_by_the_digest_in_the_journal(
    keeper: httpx.Client, face_jpeg: bytes
) -> None:
    fields = {"api_key": "me", "api_secret": "s", "image_base64": base64.b64encode(face_jpeg).decode()}
    answer = keeper.post("/facepp/v2/beautify", data=fields)
    call = newest(keeper)
    path = f"/_emulator/calls/{call['number']}/bytes"
    assert keeper.get(f"{path}/{digest(face_jpeg)}").content == face_jpeg
    sha256 = call["answer"]["json"]["result"]["sha256"]
    assert keeper.get(f"{path}/{sha256}").content == base64.b64decode(answer.json()["result"])
    assert keeper.get(f"{path}/{digest(answer.content)}").content == answer.content


@pytest.mark.parametrize("body", [b"--x\r\nbroken", b"", b"\xff\xd8\xff", b"a=%%%&b"])
def test_a_malformed_body_has_no_other_bytes(keeper: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    keeper.post("/facepp/v3/detect", content=body, headers=headers)
    number = newest(keeper)["number"]
    assert keeper.get(f"/_emulator/calls/{number}/bytes/{digest(b'other')}").status_code == 404


def test_a_replay_sends_the_same_call_again(keeper: httpx.Client, face_jpeg: bytes) -> None:
    fields = {"token": "me"}
    keeper.post("/face_recon/run_pipeline", data=fields, files={"image_bytes": ("me.jpg", face_jpeg)})
    first = newest(keeper)
    again = keeper.post(f"/_emulator/calls/{first['number']}/replay").json()
    assert again == newest(keeper)
    assert again["number"] == first["number"] + 1
    for name in ("method", "path", "url", "query", "request_headers", "sent", "credential", "status"):
        assert again[name] == first[name], name
    shapes = [call["answer"]["json"]["result"]["face"]["blendShapes"] for call in (first, again)]
    assert shapes[0] == shapes[1]
    # The repeated call is kept, too.
    assert keeper.post(f"/_emulator/calls/{again['number']}/replay").status_code == 200


def test_a_replay_gets_the_faults_that_are_active_now(keeper: httpx.Client) -> None:
    keeper.post("/auth/token", data={"mail": "me@example.com"})
    number = newest(keeper)["number"]
    for effect, status in (("unavailable", 503), ("connection-reset", None)):
        keeper.post("/_emulator/faults", json={"effect": effect, "count": 1}).raise_for_status()
        again = keeper.post(f"/_emulator/calls/{number}/replay").json()
        assert (again["status"], again["fault"] is None) == (status, False)


def test_a_replay_of_an_upload_reaches_the_host_of_the_store(keeper: httpx.Client) -> None:
    headers = {"Authorization": "Bearer me"}
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    host = {"Host": "yce-api-01.makeupar.com"}
    file = keeper.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers | host).json()["data"][
        "files"
    ][0]
    url = httpx.URL(file["requests"][0]["url"])
    sent = {"Host": url.host, "Content-Type": "image/jpeg"}
    assert keeper.put(url.raw_path.decode(), content=b"12345", headers=sent).status_code == 200
    first = newest(keeper)
    again = keeper.post(f"/_emulator/calls/{first['number']}/replay").json()
    assert (again["path"], again["operation"], again["status"]) == (first["path"], "upload", 200)


def test_the_oldest_bodies_are_deleted_first(keeper: httpx.Client) -> None:
    keeper.put(BODIES, json={"limit": 5000}).raise_for_status()
    numbers = []
    for _ in range(8):
        keeper.post("/auth/token", data={"mail": "m" * 500})
        numbers.append(newest(keeper)["number"])
    kept = keeper.get(BODIES).json()
    assert 0 < kept["held_bytes"] <= 5000
    assert kept["calls"] == numbers[-len(kept["calls"]) :]
    assert 1 < len(kept["calls"]) < 8
    keeper.post("/auth/token", data={"mail": "m" * 6000})
    assert newest(keeper)["number"] not in keeper.get(BODIES).json()["calls"]


def test_bodies_go_with_their_calls(keeper: httpx.Client) -> None:
    numbers = {}
    for key in ("one", "other", "third"):
        keeper.post("/glb_const/status", data={"token": key})
        numbers[key] = newest(keeper)["number"]
    keeper.delete("/_emulator/calls?credential=one").raise_for_status()
    keeper.post("/_emulator/reset", json={"credential": "other"}).raise_for_status()
    kept = keeper.get(BODIES).json()["calls"]
    assert {key: number in kept for key, number in numbers.items()} == {
        "one": False,
        "other": False,
        "third": True,
    }
    keeper.put(BODIES, json={"limit": 0}).raise_for_status()
    assert keeper.get(BODIES).json() == {"limit": 0, "held_bytes": 0, "calls": []}
