"""The upload of a picture to Perfect Corp's store, with the functions of any HTTP client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Send = Callable[..., Any]


def upload(data: bytes, post: Send, put: Send, headers: Mapping[str, str] | None = None) -> str:
    """Register a file, upload it, and return its id. Only the registration is sent with ``headers``."""
    new = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": len(data)}
    answer = post("/s2s/v2.0/file", json={"files": [new]}, headers=headers)
    (file,) = answer.json()["data"]["files"]
    (request,) = file["requests"]
    sent = put(request["url"], headers=request["headers"], content=data)
    assert sent.status_code == 200, sent.text
    return str(file["file_id"])
