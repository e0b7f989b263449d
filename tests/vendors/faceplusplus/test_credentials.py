from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.world.credentials import CredentialState

URL = "/facepp/v1/3dface"
NO_IMAGE = "MISSING_ARGUMENTS: image_url_1, image_file_1, image_base64_1"


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        ({}, 400, '{"error_message":"MISSING_ARGUMENTS: api_key"}'),
        ({"api_key": ""}, 400, '{"error_message":"MISSING_ARGUMENTS: api_key"}'),
        ({"api_key": "key"}, 400, '{"error_message":"MISSING_ARGUMENTS: api_secret"}'),
    ],
)
def test_the_gateway_refuses_without_credentials(
    client: httpx.Client, face_jpeg: bytes, data: dict[str, str], status: int, text: str
) -> None:
    response = client.post(URL, data=data, files={"image_file_1": face_jpeg})
    assert (response.status_code, response.text) == (status, text)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("state", "status", "message"),
    [
        (CredentialState.REVOKED, 403, "AUTHORIZATION_ERROR: Denied by Admin"),
        (CredentialState.RESTRICTED, 403, "AUTHORIZATION_ERROR: Denied by Client"),
        (CredentialState.NO_BALANCE, 403, "AUTHORIZATION_ERROR: Insufficient Account Balance"),
        (CredentialState.OTHER_REGION, 401, "AUTHENTICATION_ERROR"),
        (CredentialState.EXPIRED, 401, "AUTHENTICATION_ERROR"),
    ],
)
def test_the_state_of_a_key_decides_its_error(
    workers: WorkerPool, state: CredentialState, status: int, message: str, *, strict: bool
) -> None:
    with TestClient(
        create_app(Settings(credentials={"key": state}, strict=strict), workers=workers)
    ) as client:
        answer = client.post(URL, data={"api_key": "key", "api_secret": "secret"})
    assert (answer.status_code, answer.text) == (status, f'{{"error_message":"{message}"}}')


def test_strict_mode_accepts_only_keys_with_a_state(
    workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    listed = {"listed": CredentialState.VALID, "paired:secret": CredentialState.VALID}
    pairs = {
        ("listed", "anything"): 400,
        ("paired", "secret"): 400,
        ("paired", "wrong"): 401,
        ("unknown", "secret"): 401,
    }
    with TestClient(create_app(Settings(credentials=listed, strict=True), workers=workers)) as client:
        for (key, secret), status in pairs.items():
            answer = client.post(URL, data={"api_key": key, "api_secret": secret})
            if status == 401:
                assert (answer.status_code, answer.text) == (401, '{"error_message":"AUTHENTICATION_ERROR"}')
            else:
                assert refused(answer) == (status, NO_IMAGE)


def test_a_key_that_calls_too_often_is_refused_and_no_other(
    workers: WorkerPool, refused: Callable[[Any], tuple[int, str]]
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    settings = Settings(clock=moment, vendors={"faceplusplus": {"qps": 2}})
    with TestClient(create_app(settings, workers=workers)) as client:
        answers = [client.post(URL, data={"api_key": "busy", "api_secret": "s"}) for _ in range(3)]
        other = client.post(URL, data={"api_key": "calm", "api_secret": "s"})
    assert [refused(answer) for answer in answers[:2]] == [(400, NO_IMAGE)] * 2
    assert (answers[2].status_code, answers[2].text) == (
        403,
        '{"error_message":"CONCURRENCY_LIMIT_EXCEEDED"}',
    )
    assert refused(other) == (400, NO_IMAGE)


def test_a_call_without_a_secret_is_recorded_for_its_key(client: httpx.Client) -> None:
    key = "without-a-secret"
    mine = {"credential": key}
    rule = {"match": {"operation": "3dface"}, "effect": "INTERNAL_ERROR", "count": 1}
    assert client.post("/_emulator/faults", params=mine, json=rule).is_success
    answers = [client.post(URL, data={"api_key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 400]
    assert answers[1].text == '{"error_message":"MISSING_ARGUMENTS: api_secret"}'
    calls = client.get("/_emulator/calls", params=mine).json()["calls"]
    assert [call["status"] for call in calls] == [500, 400]
