from __future__ import annotations

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.settings import Settings

URL = "/facepp/v1/3dface"


@pytest.mark.parametrize(
    ("key", "secret", "status"),
    [
        ("listed", "anything", 400),
        ("paired", "secret", 400),
        ("paired", "wrong", 401),
        ("unknown", "secret", 401),
    ],
)
def test_only_listed_keys_are_good(key: str, secret: str, status: int) -> None:
    settings = Settings(credentials=("listed", "paired:secret"))
    with TestClient(create_app(settings)) as client:
        answer: httpx.Response = client.post(URL, data={"api_key": key, "api_secret": secret})  # type: ignore[assignment] # TestClient speaks httpx2
    assert answer.status_code == status
    if status == 401:
        assert answer.text == '{"error_message":"AUTHENTICATION_ERROR"}'
    else:
        assert answer.json()["error_message"].startswith("MISSING_ARGUMENTS: image_url_1")
