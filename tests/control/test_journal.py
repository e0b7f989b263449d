from __future__ import annotations

import hashlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings
from emulator.world.redaction import mask

TASK = "/s2s/v2.0/task/face-reshape"


CALLS = "/_emulator/calls"


def test_a_call_is_recorded_with_its_secrets_masked(caller: Any) -> None:
    answer = caller.register()
    (call,) = caller.calls()
    assert (call["vendor"], call["operation"], call["method"]) == ("perfectcorp", "create_file", "POST")
    assert (call["path"], call["status"], call["is_complete"]) == ("/s2s/v2.0/file", 200, True)
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
    assert call["sent"]["json"] == {"files": [new]}
    answered = call["answer"]["json"]["data"]["files"][0]
    assert answered["file_id"] == answer.json()["data"]["files"][0]["file_id"]
    assert call["duration_ms"] > 0
    assert abs(call["real_started_at"] - time.time()) < 60
    assert call["started_at"] == call["real_started_at"]
    signature = httpx.URL(answer.json()["data"]["files"][0]["requests"][0]["url"]).params["X-Amz-Signature"]
    shown = json.dumps(call, ensure_ascii=False)
    assert caller.key not in shown
    assert signature not in shown
    assert "X-Amz-Signature=" in shown


def test_the_password_in_the_url_of_a_picture_is_not_recorded(tester: httpx.Client) -> None:
    key = "key-of-the-password-test"
    form = {"api_key": key, "api_secret": "s", "image_url_1": "http://user:top-secret@127.0.0.1:1/a.jpg"}
    answer = tester.post("/facepp/v1/3dface", data=form)
    assert answer.json()["error_message"] == "INVALID_IMAGE_URL"
    form = {**form, "image_url_1": "http://user:top-secret@127.0.0.1:1/b.jpg"}
    tester.post("/facepp/v1/3dface", params=form)
    for path in (CALLS, f"{CALLS}.har"):
        shown = tester.get(path, params={"credential": key, "limit": 1000}).text
        assert "***@127.0.0.1:1/a.jpg" in shown
        assert "***@127.0.0.1:1/b.jpg" in shown or "***%40127.0.0.1" in shown
        assert "top-secret" not in shown


def test_pictures_are_recorded_as_digests(tester: httpx.Client, face_jpeg: bytes) -> None:
    key = "key-of-the-digest-test"
    secret = "a-secret-of-my-own"  # noqa: S105 - no real secret
    answer = tester.post(
        "/facepp/v1/3dface",
        data={"api_key": key, "api_secret": secret, "mtl": "1"},
        files={"image_file_1": ("me.jpg", face_jpeg, "image/jpeg")},
    )
    assert answer.status_code == 200
    (call,) = tester.get(CALLS, params={"credential": key}).json()["calls"]
    fields = call["sent"]["fields"]
    assert fields["image_file_1"] == {
        "bytes": len(face_jpeg),
        "sha256": hashlib.sha256(face_jpeg).hexdigest(),
        "file_name": "me.jpg",
        "content_type": "image/jpeg",
    }
    assert fields["mtl"] == "1"
    text = json.dumps(call)
    assert key not in text
    assert secret not in text
    obj = call["answer"]["json"]["obj_file"]
    assert set(obj) == {"base64", "bytes", "sha256"}
    assert obj["bytes"] > 10_000
    assert len(text) < 20_000


def test_a_base64_form_field_is_recorded_as_a_digest(tester: httpx.Client) -> None:
    text = "+/ab" * 5000
    data = {"api_key": "form-key-1", "api_secret": "s", "image_base64_1": text, "mtl": "ä &="}
    tester.post("/facepp/v1/3dface", data=data)
    (call,) = tester.get(CALLS, params={"credential": "form-key-1"}).json()["calls"]
    digest = {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert call["sent"]["kind"] == "form"
    assert call["sent"]["fields"]["image_base64_1"] == digest
    assert call["sent"]["fields"]["mtl"] == "ä &="


def test_a_call_to_a_wrong_url_is_recorded_for_its_key(caller: Any) -> None:
    wrong = "/s2s/v2.0/task/face-reshap"
    assert caller.client.post(wrong, json={}, headers=caller.headers).status_code == 404
    (call,) = caller.calls()
    assert (call["path"], call["operation"], call["status"]) == (wrong, None, 404)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/face_recon/run_pipeline", 422), ("/facepp/v1/nowhere", 404), ("/s2s/v2.0/nowhere", 404), (TASK, 401)],
)
def test_a_body_that_no_operation_reads_is_recorded(tester: httpx.Client, path: str, status: int) -> None:
    assert tester.post(path, json={"features": {"jaw": 9}}).status_code == status
    (call,) = tester.get(CALLS, params={"last": 1}).json()["calls"]
    assert (call["path"], call["sent"]["json"]) == (path, {"features": {"jaw": 9}})


def test_a_response_waits_only_briefly_for_a_body_that_stalls(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.web.exchange.IDLE_SECONDS", 0.1)
    parsed = httpx.URL(url)
    with socket.create_connection((parsed.host, parsed.port or 80), timeout=30) as connection:
        head = f"POST /facepp/v1/nowhere HTTP/1.1\r\nHost: {parsed.host}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"only the beginning of it")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")


def test_calls_are_filtered_and_paged(caller: Any) -> None:
    caller.register()
    for _ in range(4):
        caller.poll()
    caller.client.get("/s2s/v2.0/nowhere")
    everything = caller.calls()
    assert [call["operation"] for call in everything] == ["create_file", *["check_reshape"] * 4]
    assert len(caller.calls(operation="check_reshape")) == 4
    assert len(caller.calls(status="4xx")) == 4
    assert len(caller.calls(status="400")) == 4
    assert caller.calls(status="5xx") == []
    assert caller.calls(vendor="metahuman") == []
    assert caller.calls(since=everything[2]["started_at"]) == everything[2:]
    assert caller.calls(until=everything[2]["started_at"]) == everything[:2]
    assert caller.calls(last=2) == everything[-2:]
    page = caller.client.get(CALLS, params={"credential": caller.key, "limit": 2}).json()
    assert (page["calls"], page["total"]) == (everything[:2], 5)
    assert caller.calls(limit=2, after=page["next_after"]) == everything[2:4]
    assert caller.client.get(CALLS, params={"status": "abc"}).status_code == 422
    number = everything[0]["number"]
    assert caller.client.get(f"{CALLS}/{number}").json() == everything[0]
    assert caller.client.get(f"{CALLS}/999999").status_code == 404


def test_faults_are_recorded_with_their_calls(caller: Any) -> None:
    caller.headers["X-Emulator-Fault"] = "TooManyRequests"
    assert caller.register().status_code == 429
    caller.headers["X-Emulator-Fault"] = "connection-closed"
    with pytest.raises(httpx.RemoteProtocolError):
        caller.register()
    caller.headers["X-Emulator-Fault"] = "truncated"
    with pytest.raises(httpx.RemoteProtocolError):
        caller.register()
    refused, dropped, truncated = caller.calls(fault=True)
    assert refused["fault"] == {"source": "header", "effect": {"error": "TooManyRequests"}}
    assert (refused["status"], refused["is_complete"]) == (429, True)
    assert (dropped["status"], dropped["is_complete"]) == (None, False)
    assert (truncated["status"], truncated["is_complete"]) == (200, False)
    assert caller.calls(status="none") == [dropped]
    assert caller.calls(fault=False) == []


def test_verify_counts_matching_calls(caller: Any) -> None:
    caller.register()
    caller.register(source="yco")
    assert caller.verify(2, operation="create_file")["ok"]
    assert caller.verify({"at_least": 1, "at_most": 2}, path="/s2s/v2.0/file", method="post")["ok"]
    assert caller.verify(1, body={"source": "yco"})["ok"]
    assert caller.verify(2, body={"files": [{"file_name": "a.jpg"}]})["ok"]
    assert caller.verify(1, body_contains="yco")["ok"]
    assert caller.verify(2, headers={"Content-Type": "^application/json$"})["ok"]
    assert caller.verify(0, status=404)["ok"]
    assert caller.verify(path_matches="file$")["ok"]
    verdict = caller.verify(1, operation="create_file")
    first, second = (call["number"] for call in caller.calls())
    assert verdict == {
        "ok": False,
        "message": f"expected exactly 1 call, but 2 matched ({first}, {second})",
        "count": 2,
        "matching": [first, second],
        "near_misses": [],
    }


def test_verify_lists_near_misses_with_their_failed_conditions(caller: Any) -> None:
    caller.poll()
    caller.register()
    poll, registration = (call["number"] for call in caller.calls())
    verdict = caller.verify(1, operation="create_file", status="200", body={"files": [{"file_size": 6}]})
    assert not verdict["ok"]
    assert verdict["near_misses"] == [
        {
            "number": registration,
            "failures": [{"condition": "body.files[0].file_size", "expected": 6, "actual": 5}],
        },
        {
            "number": poll,
            "failures": [
                {"condition": "operation", "expected": "create_file", "actual": "check_reshape"},
                {"condition": "status", "expected": "200", "actual": "400"},
                {"condition": "body", "expected": {"files": [{"file_size": 6}]}, "actual": None},
            ],
        },
    ]
    assert verdict["message"] == (
        f"expected exactly 1 call, but 0 matched; the closest is call {registration}, which fails 1 of 4"
        " conditions: body.files[0].file_size is 5, not 6"
    )


def test_verify_never_shows_the_calls_of_another_credential(caller: Any) -> None:
    caller.register()
    other = caller.other("sk-quite-another")
    verdict = other.verify(1, operation="create_file")
    assert (verdict["count"], verdict["near_misses"]) == (0, [])
    assert verdict["message"].endswith("there are no calls of this credential")


def test_the_calls_of_one_credential_can_be_forgotten(caller: Any) -> None:
    other = caller.other("sk-kept-all-the-same")
    caller.register()
    other.register()
    assert caller.client.delete(CALLS, params={"credential": caller.key}).status_code == 204
    assert caller.calls() == []
    assert len(other.calls()) == 1


def test_the_journal_is_bounded_in_bytes_and_can_be_switched_off(workers: WorkerPool, calling: Any) -> None:
    few = Settings(journal_bytes=20_000)
    with running_server(few, workers=workers) as server, calling(server, "sk-bounded") as caller:
        for _ in range(50):
            caller.poll()
        assert 1 <= len(caller.calls()) < 20
        assert caller.calls()[-1]["number"] == 50
    none = Settings(journal_calls=0)
    with running_server(none, workers=workers) as server, calling(server, "sk-off") as caller:
        assert caller.poll().status_code == 400
        assert caller.calls() == []


def test_with_a_data_folder_calls_survive_a_restart(
    workers: WorkerPool, calling: Any, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "data", journal_calls=5)
    with running_server(settings, workers=workers) as server, calling(server, "sk-survivor") as caller:
        other = caller.other("sk-forgotten")
        for _ in range(7):
            caller.poll()
        other.poll()
        caller.client.delete(CALLS, params={"credential": other.key})
        caller.register()
        before = caller.calls()
    with running_server(settings, workers=workers) as server, calling(server, "sk-survivor") as caller:
        assert caller.calls() == before
        assert [call["number"] for call in before] == [4, 5, 6, 7, 9]
        caller.poll()
        assert caller.calls()[-1]["number"] == 10
        assert caller.other("sk-forgotten").calls() == []


def test_the_har_export_has_the_requested_calls(caller: Any) -> None:
    for _ in range(5):
        caller.poll()

    def exported(**wanted: int) -> list[int]:
        params = {"credential": caller.key, **wanted}
        log = caller.client.get(f"{CALLS}.har", params=params).json()["log"]
        return [int(entry["_number"]) for entry in log["entries"]]

    numbers = [call["number"] for call in caller.calls()]
    assert exported() == numbers
    assert exported(last=3) == numbers[-3:]
    assert (
        exported(last=3, limit=2)
        == [call["number"] for call in caller.calls(last=3, limit=2)]
        == numbers[2:4]
    )


def test_the_har_export_has_every_required_member(caller: Any, face_jpeg: bytes) -> None:
    caller.register()
    files = {"image_bytes": ("me.jpg", face_jpeg, "image/jpeg")}
    caller.client.post("/face_recon/run_pipeline", data={"token": caller.key}, files=files)
    caller.headers["X-Emulator-Fault"] = "connection-closed"
    with pytest.raises(httpx.RemoteProtocolError):
        caller.poll()
    answer = caller.client.get("/_emulator/calls.har", params={"credential": caller.key})
    log = answer.json()["log"]
    assert caller.key not in answer.text
    assert {entry["_credential"] for entry in log["entries"]} == {mask(caller.key)}
    assert log["version"] == "1.2"
    assert set(log["creator"]) == {"name", "version"}
    assert len(log["entries"]) == 3
    for entry in log["entries"]:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
        assert entry["time"] == sum(entry["timings"][name] for name in ("send", "wait", "receive"))
        request, response = entry["request"], entry["response"]
        assert set(request) - {"postData"} == {
            *("method", "url", "httpVersion", "cookies", "headers", "queryString"),
            *("headersSize", "bodySize"),
        }
        assert set(response) - {"_error"} == {
            *("status", "statusText", "httpVersion", "cookies", "headers", "content"),
            *("redirectURL", "headersSize", "bodySize"),
        }
        assert {"size", "mimeType"} <= set(response["content"])
        for pair in (*request["headers"], *request["queryString"], *response["headers"]):
            assert set(pair) == {"name", "value"}
        if "postData" in request:
            assert "mimeType" in request["postData"]
            assert ("params" in request["postData"]) != ("text" in request["postData"])
    params = {param["name"]: param for param in log["entries"][1]["request"]["postData"]["params"]}
    assert params["image_bytes"]["fileName"] == "me.jpg"
    assert params["image_bytes"]["_sha256"] == hashlib.sha256(face_jpeg).hexdigest()
    assert (log["entries"][2]["response"]["status"], log["entries"][2]["_fault"] is not None) == (0, True)
