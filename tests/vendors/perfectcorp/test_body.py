"""Request bodies that are refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.vendors.perfectcorp.units.wire import HistoryPage

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


PATTERN = HistoryPage.model_json_schema()["properties"]["starting_token"]["pattern"]


@given(st.integers(1, 10**6) | st.integers(1, 10**14 - 1))
def test_every_token_that_a_page_gives_is_a_declared_one(offset: int) -> None:
    before = base64.urlsafe_b64encode(str(offset - 1).encode()).decode().rstrip("=")
    _, token = HistoryPage(page_size=1, starting_token=before).cut(range(offset + 1))
    assert token is not None
    assert re.search(PATTERN, token)


@given(st.from_regex(PATTERN, fullmatch=True))
def test_every_declared_token_is_accepted(token: str) -> None:
    assert HistoryPage(starting_token=token).offset >= 0


@pytest.mark.parametrize("token", ["x", "MTA=", "LTE", "MTB", "nul", "TUE"])
def test_other_tokens_are_not_declared(token: str) -> None:
    assert not re.search(PATTERN, token)
