from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.settings import Settings
from emulator.vendors.metahuman import routes
from emulator.web.credentials import CredentialState

URL = "/face_recon/run_pipeline"
PHOTO = {"image_bytes": ("a.jpg", b"")}


def test_only_listed_tokens_are_good() -> None:
    settings = Settings(credentials={"listed": CredentialState.VALID}, strict=True)
    with TestClient(create_app(settings)) as client:
        unknown = client.post(URL, data={"token": "unknown"}, files=PHOTO)
        listed = client.post(URL, data={"token": "listed"}, files=PHOTO)
        issued = client.post("/auth/token", data={"mail": "me"}).json()["result"]["token"]
        registered = client.post(URL, data={"token": issued}, files=PHOTO)
    assert (unknown.status_code, unknown.json()) == (
        422,
        {"error": {"code": 0, "message": "unregistered token"}},
    )
    assert listed.json()["error"]["code"] == 6
    assert registered.json()["error"]["code"] == 6


@pytest.mark.parametrize(
    ("state", "code", "message"),
    [
        (CredentialState.OTHER_REGION, 0, "unregistered token"),
        (CredentialState.REVOKED, 1, "fail authorization"),
        (CredentialState.EXPIRED, 1, "fail authorization"),
        (CredentialState.RESTRICTED, 1, "fail authorization"),
        (CredentialState.NO_BALANCE, 1, "fail authorization"),
    ],
)
def test_a_listed_token_is_what_it_is_listed_as(state: CredentialState, code: int, message: str) -> None:
    with TestClient(create_app(Settings(credentials={"t": state}))) as client:
        answer = client.post(URL, data={"token": "t"}, files=PHOTO)
    assert (answer.status_code, answer.json()) == (422, {"error": {"code": code, "message": message}})


def test_a_defect_is_answered_as_fastapi_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(routes, "authenticate", fail)
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        answer = client.post(URL, data={"token": "t"}, files=PHOTO)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
