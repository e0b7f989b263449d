"""Fixtures for the tests of Face++."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

URL = "/facepp/v1/3dface"
REFUSAL = re.compile(
    r'\{"time_used": \d+, "error_message": "(?P<message>[^"]*)", "request_id": "\d{10},(?P<number>[^"]*)"\}'
)


@pytest.fixture(scope="session")
def answer(client: httpx.Client, face_jpeg: bytes) -> dict[str, Any]:
    """The response of 3D Face to a photo, with all members. The key's clock is frozen."""
    mine = {"credential": "sample-key"}
    client.post(
        "/_emulator/clock/freeze", params=mine, json={"at": "2026-01-02T03:04:05Z"}
    ).raise_for_status()
    data = {"api_key": "sample-key", "api_secret": "secret", "texture": "1", "mtl": "1"}
    response = client.post(URL, data=data, files={"image_file_1": ("me.jpg", face_jpeg)})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    document: dict[str, Any] = response.json()
    return document


@pytest.fixture(scope="session")
def refused() -> Callable[[Any], tuple[int, str]]:
    """A function that checks the members of an error response, and returns its status and text."""

    def read(response: Any) -> tuple[int, str]:
        assert response.headers["content-type"] == "application/json"
        found = REFUSAL.fullmatch(response.text)
        assert found is not None, response.text
        assert uuid.UUID(found["number"]).version == 4
        return response.status_code, found["message"]

    return read
