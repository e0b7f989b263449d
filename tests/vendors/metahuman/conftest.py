"""A response of MetaHuman SDK, for comparisons."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

URL = "/face_recon/run_pipeline"


@pytest.fixture(scope="session")
def result(client: httpx.Client, face_jpeg: bytes) -> dict[str, Any]:
    """The member ``result`` of the response to a photo."""
    response = client.post(URL, data={"token": "t"}, files={"image_bytes": ("input_image.jpg", face_jpeg)})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert list(document) == ["result"]
    found: dict[str, Any] = document["result"]
    return found
