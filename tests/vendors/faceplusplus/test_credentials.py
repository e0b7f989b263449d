from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.settings import Settings
from emulator.web.credentials import CredentialState

URL = "/facepp/v1/3dface"


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
def test_a_listed_key_is_what_it_is_listed_as(
    state: CredentialState, status: int, message: str, *, strict: bool
) -> None:
    with TestClient(create_app(Settings(credentials={"key": state}, strict=strict))) as client:
        answer = client.post(URL, data={"api_key": "key", "api_secret": "secret"})
    assert (answer.status_code, answer.text) == (status, f'{{"error_message":"{message}"}}')


def test_only_listed_keys_are_good() -> None:
    listed = {"listed": CredentialState.VALID, "paired:secret": CredentialState.VALID}
    pairs = {
        ("listed", "anything"): 400,
        ("paired", "secret"): 400,
        ("paired", "wrong"): 401,
        ("unknown", "secret"): 401,
    }
    with TestClient(create_app(Settings(credentials=listed, strict=True))) as client:
        for (key, secret), status in pairs.items():
            answer = client.post(URL, data={"api_key": key, "api_secret": secret})
            assert answer.status_code == status
            if status == 401:
                assert answer.text == '{"error_message":"AUTHENTICATION_ERROR"}'
            else:
                assert answer.json()["error_message"].startswith("MISSING_ARGUMENTS: image_url_1")


def test_a_key_that_calls_too_often_is_held_back_and_no_other() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    settings = Settings(clock=moment, vendors={"faceplusplus": {"qps": 2}})
    with TestClient(create_app(settings)) as client:
        answers = [client.post(URL, data={"api_key": "busy", "api_secret": "s"}) for _ in range(3)]
        other = client.post(URL, data={"api_key": "calm", "api_secret": "s"})
    assert [answer.status_code for answer in answers] == [400, 400, 403]
    assert answers[2].text == '{"error_message":"CONCURRENCY_LIMIT_EXCEEDED"}'
    assert other.status_code == 400
