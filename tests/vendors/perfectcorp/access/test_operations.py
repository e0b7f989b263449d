"""Access tokens, which old clients send in place of their key."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

TASK = "/s2s/v2.0/task/face-reshape"


def created(emulator: Any, photo: bytes, path: str = TASK) -> str:
    task_id: str = emulator.create(emulator.upload(photo), path).json()["data"]["task_id"]
    return task_id


def test_a_legacy_client_gets_a_token_that_replaces_its_key(
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


def test_a_call_without_an_id_token_is_recorded_for_its_key(emulate: Callable[..., Any]) -> None:
    client = emulate().anonymous
    body = {"client_id": "sk-test"}
    before = client.post("/s2s/v1.0/client/auth", json=body)
    assert before.json()["error_code"] == "InvalidParameters"
    rule = {"match": {"credential": "sk-test"}, "effect": "InvalidAuthentication", "count": 1}
    assert client.post("/_emulator/faults", json=rule).status_code == 201
    answers = [client.post("/s2s/v1.0/client/auth", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 400]
    assert answers[1].json() == before.json()
    calls = client.get("/_emulator/calls", params={"credential": "sk-test"}).json()["calls"]
    assert [call["operation"] for call in calls] == ["legacy_token"] * 3
    # If the body has no client_id, the journal has the key of the Authorization header.
    headers = {"Authorization": "Bearer sk-test"}
    stranger = client.post("/s2s/v1.0/client/auth", json={"client_id": 5}, headers=headers)
    assert stranger.json()["error_code"] == "InvalidParameters"
    assert len(client.get("/_emulator/calls", params={"credential": "sk-test"}).json()["calls"]) == 4
