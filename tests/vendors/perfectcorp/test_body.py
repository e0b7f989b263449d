"""Bodies that nobody can use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TASK = "/s2s/v2.0/task/face-reshape"


def test_a_body_that_is_no_json_is_refused(api: Any) -> None:
    response = api.client.post(TASK, content=b"{")
    assert (response.status_code, response.json()) == (
        400,
        {
            "status": 400,
            "error": "The request body is not valid JSON.",
            "error_code": "InvalidParameters",
        },
    )


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"files": [{"file_name": "\\ud800", "content_type": "image/png", "file_size": 1}]}',
        b'{"files": [], "x": NaN}',
        '{"files": []}'.encode("utf-16"),
        b"",
        b"null",
        b'"files"',
    ],
    ids=range(8),
)
def test_a_body_that_nobody_can_use_is_refused_in_the_envelope(
    emulate: Callable[..., Any], body: bytes
) -> None:
    answer = emulate().client.post("/s2s/v2.0/file", content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")
