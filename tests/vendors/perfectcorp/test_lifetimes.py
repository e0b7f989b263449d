"""What expires, what is deleted, who may call and how often."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from emulator.web.credentials import CredentialState

DAY = 86400
TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
DELETE = "/s2s/v2.0/task/delete"
CREDIT = "/s2s/v1.0/client/credit"


def created(emulator: Any, photo: bytes, path: str = TASK) -> str:
    task_id: str = emulator.create(emulator.upload(photo), path).json()["data"]["task_id"]
    return task_id


def status_of(emulator: Any, task_id: str) -> tuple[int, str | None]:
    answer = emulator.client.get(f"{TASK}/{task_id}")
    return answer.status_code, answer.json().get("error_code")


def test_urls_files_and_tasks_expire_by_the_clock(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    late = emulator.register(len(face_jpeg)).json()["data"]["files"][0]["requests"][0]
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    url = emulator.wait(task_id)["results"]["url"]
    emulator.clock.advance(7199)
    assert emulator.anonymous.get(url).status_code == 200
    emulator.clock.advance(1)
    expired = emulator.anonymous.get(url)
    assert expired.status_code == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in expired.text
    assert emulator.anonymous.put(late["url"], headers=late["headers"], content=face_jpeg).status_code == 403
    # Asking again gives a fresh URL, as long as the task can be asked for.
    assert emulator.anonymous.get(emulator.wait(task_id)["results"]["url"]).status_code == 200
    emulator.clock.advance(30 * DAY - 7201)
    assert status_of(emulator, task_id) == (200, None)
    emulator.clock.advance(1)
    assert status_of(emulator, task_id) == (500, "TaskTimeout")
    answer = emulator.create(file_id)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")


def test_each_key_can_have_lifetimes_of_its_own(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(url_seconds=100)
    mine = {"url_seconds": 5, "file_days": 1, "task_days": 2, "task_timeout_s": None, "units_days": 3}
    answer = emulator.client.put(
        "/_emulator/lifetimes", params={"credential": "sk-test"}, json={"perfectcorp": mine}
    )
    assert answer.json() == {"perfectcorp": {**mine, "unpolled_expiry_s": None}}
    other = {"Authorization": "Bearer sk-other"}
    (grant,) = emulator.client.get(CREDIT).json()["results"]
    (others,) = emulator.client.get(CREDIT, headers=other).json()["results"]
    assert others["expiry"] - grant["expiry"] == (365 - 3) * DAY * 1000
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    new = {"files": [{"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(face_jpeg)}]}
    slots = [
        emulator.client.post("/s2s/v2.0/file", json=new, headers=headers).json()["data"]["files"][0]
        for headers in ({}, other)
    ]
    urls = [(slot["requests"][0]["url"], slot["requests"][0]["headers"]) for slot in slots]
    url = emulator.wait(task_id)["results"]["url"]
    emulator.clock.advance(5)
    assert emulator.anonymous.get(url).status_code == 403
    put = [emulator.anonymous.put(url, headers=headers, content=face_jpeg) for url, headers in urls]
    assert [answer.status_code for answer in put] == [403, 200]
    emulator.clock.advance(DAY)
    assert emulator.create(file_id).json()["error_code"] == "InvalidParameters"
    assert status_of(emulator, task_id) == (200, None)
    emulator.clock.advance(DAY)
    assert status_of(emulator, task_id) == (500, "TaskTimeout")
    # A file of the other key lives for as long as the settings say.
    body = {"src_file_id": slots[1]["file_id"], "version": "1.0", "features": {"jaw": 1}, "global": {}}
    assert emulator.client.post(TASK, json=body, headers=other).status_code == 200
    emulator.client.delete("/_emulator/lifetimes", params={"credential": "sk-test"})
    assert status_of(emulator, task_id) == (200, None)


def test_a_task_that_overran_is_a_timeout(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(task_timeout_s=10)
    finished = created(emulator, face_jpeg)
    emulator.wait(finished)
    emulator.clock.advance(11)
    assert status_of(emulator, finished) == (200, None)
    overran = created(emulator, face_jpeg)
    emulator.clock.advance(11)
    assert status_of(emulator, overran) == (500, "TaskTimeout")


def test_a_task_that_nobody_polls_is_lost_if_so_set(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate(unpolled_expiry_s=10)
    kept, lost = created(emulator, face_jpeg), created(emulator, face_jpeg)
    for _ in range(3):
        emulator.clock.advance(9)
        assert status_of(emulator, kept) == (200, None)
    assert status_of(emulator, lost) == (400, "InvalidTaskId")
    emulator.wait(kept)
    # Once a poll has told how it ended, it stays.
    emulator.clock.advance(100)
    assert status_of(emulator, kept) == (200, None)


def test_a_finished_task_is_deleted_with_its_pictures(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    file_id = emulator.upload(face_jpeg)
    task_id = emulator.create(file_id).json()["data"]["task_id"]
    url = emulator.wait(task_id)["results"]["url"]
    answer = emulator.client.post(DELETE, json={"task_id": task_id})
    assert (answer.status_code, answer.json()) == (200, {"status": 200})
    assert status_of(emulator, task_id) == (400, "InvalidTaskId")
    gone = emulator.anonymous.get(url)
    assert (gone.status_code, gone.headers["content-type"]) == (404, "application/xml")
    assert "<Code>NoSuchKey</Code>" in gone.text
    assert emulator.create(file_id).json()["error_code"] == "InvalidParameters"


def test_what_cannot_be_deleted_is_said(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    running = created(emulator, face_jpeg)
    pre_process = created(emulator, face_jpeg, PRE_PROCESS)
    bodies = [{}, {"task_id": "unknown"}, {"task_id": pre_process}, {"task_id": running}]
    codes = ["InvalidParameters", "InvalidTaskId", "OperationNotSupport", "OperationInvalid"]
    # A worker that warms up lets nothing finish meanwhile.
    for body, code in zip(bodies, codes, strict=True):
        answer = emulator.client.post(DELETE, json=body)
        assert (answer.status_code, answer.json()) == (
            400,
            {"status": 400, "error": "Operation not supported", "error_code": code},
        )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (CredentialState.REVOKED, "InactiveApiKey"),
        (CredentialState.RESTRICTED, "InactiveApiKey"),
        (CredentialState.EXPIRED, "ExpiredApiKey"),
        (CredentialState.OTHER_REGION, "InvalidApiKey"),
    ],
)
def test_a_listed_key_is_what_it_is_listed_as(
    emulate: Callable[..., Any], state: CredentialState, code: str
) -> None:
    answer = emulate(credentials={"sk-test": state}).register(10)
    assert (answer.status_code, answer.json()["error_code"]) == (401, code)


def test_too_many_calls_are_held_back_if_so_set(emulate: Callable[..., Any]) -> None:
    emulator = emulate(rate_limit=True)
    statuses = [emulator.register(10).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    assert emulator.register(10).json() == {"status": 429, "error": "Too many requests"}
    emulator.clock.advance(1)
    assert emulator.register(10).status_code == 200
    for _ in range(60):
        emulator.clock.advance(1)
        statuses += [emulator.register(10).status_code for _ in range(5)]
    assert statuses.count(200) == 249  # and the one in between makes 250 within 300 s
    assert statuses[-1] == 429


def test_a_legacy_client_gets_a_token_that_stands_for_its_key(
    emulate: Callable[..., Any], face_jpeg: bytes
) -> None:
    emulator = emulate()
    id_token = base64.b64encode(bytes(128)).decode()
    body = {"client_id": "sk-test", "id_token": id_token}
    answer = emulator.anonymous.post("/s2s/v1.0/client/auth", json=body)
    assert answer.status_code == 200
    assert list(answer.json()) == ["status", "result"]
    task_id = created(emulator, face_jpeg)
    headers = {"Authorization": f"Bearer {answer.json()['result']['access_token']}"}
    assert emulator.anonymous.get(f"{TASK}/{task_id}", headers=headers).status_code == 200


@pytest.mark.parametrize("id_token", ["", "no base64!", "c2hvcnQ="])
def test_a_corrupt_id_token_is_refused(emulate: Callable[..., Any], id_token: str) -> None:
    body = {"client_id": "sk-test", "id_token": id_token}
    answer = emulate().anonymous.post("/s2s/v1.0/client/auth", json=body)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidAuthentication")


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


def test_a_missing_upload_may_be_a_404(emulate: Callable[..., Any]) -> None:
    emulator = emulate(missing_upload_status=404)
    file_id = emulator.register(10).json()["data"]["files"][0]["file_id"]
    assert emulator.create(file_id).status_code == 404


def test_tasks_may_fail_with_the_codes_of_the_page(
    emulate: Callable[..., Any], landscape_jpeg: bytes
) -> None:
    assert emulate(engine_codes="page").run(landscape_jpeg)["error"] == "PHOTO_DETECTION_FAIL"


def test_a_body_without_an_end_is_refused(emulate: Callable[..., Any]) -> None:
    answer = emulate().client.post(TASK, content=b'{"version": "' + bytes(2 * 1024 * 1024))
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")


def test_a_picture_that_other_tasks_stand_on_stays(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    file_id = emulator.upload(face_jpeg)
    first, second = (emulator.create(file_id).json()["data"]["task_id"] for _ in range(2))
    emulator.wait(first)
    assert emulator.client.post(DELETE, json={"task_id": first}).status_code == 200
    assert emulator.wait(second)["task_status"] == "success"
    assert emulator.create(file_id).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"files": [{"file_name": "\\ud800", "content_type": "image/png", "file_size": 1}]}',
        b'{"files": [], "x": NaN}',
        '{"files": []}'.encode("utf-16"),
        b"",
        b"null",
        b'"files"',
    ],
    ids=range(8),
)
def test_a_body_that_nobody_can_use_is_refused_in_the_envelope(
    emulate: Callable[..., Any], body: bytes
) -> None:
    answer = emulate().client.post("/s2s/v2.0/file", content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")


def test_the_bare_path_of_a_task_is_not_for_get(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    assert [emulator.client.get(path).status_code for path in (TASK, PRE_PROCESS)] == [405, 405]
