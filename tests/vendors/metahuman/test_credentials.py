from __future__ import annotations

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.settings import Settings
from emulator.world.credentials import CredentialState

URL = "/face_recon/run_pipeline"
PHOTO = {"image_bytes": ("a.jpg", b"")}
TAKEN = (422, {"error": {"code": 6, "message": "empty input image"}})
"""The response to a valid token with an empty photo."""


def test_strict_mode_accepts_only_tokens_with_a_state(workers: WorkerPool) -> None:
    settings = Settings(credentials={"listed": CredentialState.VALID}, strict=True)
    with TestClient(create_app(settings, workers=workers)) as client:
        unknown = client.post(URL, data={"token": "unknown"}, files=PHOTO)
        listed = client.post(URL, data={"token": "listed"}, files=PHOTO)
        issued = client.post("/auth/token", data={"mail": "me"}).json()["result"]["token"]
        registered = client.post(URL, data={"token": issued}, files=PHOTO)
    assert (unknown.status_code, unknown.json()) == (
        422,
        {"error": {"code": 0, "message": "unregistered token"}},
    )
    for good in (listed, registered):
        assert (good.status_code, good.json()) == TAKEN


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
def test_the_state_of_a_token_decides_its_error(
    workers: WorkerPool, state: CredentialState, code: int, message: str
) -> None:
    with TestClient(create_app(Settings(credentials={"t": state}), workers=workers)) as client:
        answer = client.post(URL, data={"token": "t"}, files=PHOTO)
    assert (answer.status_code, answer.json()) == (422, {"error": {"code": code, "message": message}})


def test_a_call_without_a_picture_is_recorded_for_its_token(client: httpx.Client) -> None:
    token = "without-a-picture"  # noqa: S105 - not a real token
    mine = {"credential": token}
    rule = {"match": {"operation": "run_pipeline"}, "effect": "FACE_NOT_FOUND", "count": 1}
    assert client.post("/_emulator/faults", params=mine, json=rule).is_success
    answers = [client.post(URL, data={"token": token}).json() for _ in range(2)]
    missing = {"loc": ["body", "image_bytes"], "msg": "field required", "type": "value_error.missing"}
    assert (answers[0]["error"]["code"], answers[1]) == (4, {"detail": [missing]})
    assert len(client.get("/_emulator/calls", params=mine).json()["calls"]) == 2
