"""Errors and headers that all APIs of Perfect Corp share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulator.vendors.perfectcorp.reshape import operations

TASK = "/s2s/v2.0/task/face-reshape"


def test_every_response_has_a_request_id(api: Any) -> None:
    responses = [api.client.get(path) for path in (f"{TASK}/x", "/s2s/v2.0/nothing", f"{TASK}/y")]
    numbers = [response.headers["x-request-id"] for response in responses]
    assert len(set(numbers)) == 3
    assert all(number.isdigit() and len(number) == 18 for number in numbers)


def test_an_unknown_path_and_a_wrong_method_get_json_errors(api: Any) -> None:
    unknown = api.client.get("/s2s/v2.0/credit")
    assert unknown.status_code == 404
    assert unknown.json() == {
        "status": 404,
        "error": "The requested resource was not found.",
        "error_code": "NotFound",
        "errorCode": "NotFound",
    }
    wrong = api.client.get(TASK)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json() == {
        "status": 405,
        "error": "The method is not allowed for this resource.",
        "error_code": "MethodNotAllowed",
    }


def test_an_endless_body_is_refused(emulate: Callable[..., Any]) -> None:
    answer = emulate().client.post(TASK, content=b'{"version": "' + bytes(2 * 1024 * 1024))
    sentence = "The request body is above the allowed maximum."
    assert (answer.status_code, answer.json()) == (
        400,
        {"status": 400, "error": sentence, "error_code": "InvalidParameters"},
    )


def test_an_unexpected_exception_gets_a_json_error(
    emulate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(operations, "check_features", fail)
    answer = emulate().create("unknown")
    assert (answer.status_code, answer.json()) == (
        500,
        {"status": 500, "error": "Server Error", "error_code": "unknown_internal_error"},
    )
