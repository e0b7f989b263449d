"""Requests for a task that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

TASK = "/s2s/v2.0/task/face-reshape"
PRE_PROCESS = f"{TASK}/pre-process"
WIDER_EYES: dict[str, Any] = {"version": "1.0", "features": {"eye_size": 80}, "global": {}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": None}, "'version' is required and can't be null."),
        ({"version": "2.0"}, "version is not one of the accepted values."),
        ({"version": ""}, "version is not one of the accepted values."),
        ({"version": 1.0}, "version doesn't match the required format."),
        ({"version": 1}, "version doesn't match the required format."),
        ({"version": True}, "version doesn't match the required format."),
        ({"version": {"major": 1}}, "version doesn't match the required format."),
        ({"version": ["1.0"]}, "version doesn't match the required format."),
        ({"features": {"cheekbones": 101}}, "cheekbones is above the allowed maximum."),
        ({"features": {"cheekbones": -1}}, "cheekbones is below the allowed minimum."),
        ({"features": {"jaw": 1.5}}, "jaw doesn't match the required format."),
        ({"features": {"eye_size": 0, "jaw": 0}}, "Features cannot be all zero"),
        ({"features": {}}, "Features cannot be all zero"),
        ({"global": {"skin_smooth_strength": 101}}, "skin_smooth_strength is above the allowed maximum."),
        ({"src_file_id": "unknown"}, "One or more parameters in this request are invalid."),
    ],
)
def test_an_invalid_member_is_refused_with_the_vendors_message(
    api: Any, change: dict[str, Any], sentence: str
) -> None:
    response = api.client.post(TASK, json={"src_file_id": "x", **WIDER_EYES, **change})
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": sentence, "error_code": "InvalidParameters"},
    )


@pytest.mark.parametrize("name", ["version", "features", "global"])
def test_a_missing_member_is_named(api: Any, name: str) -> None:
    body = {key: value for key, value in {"src_file_id": "x", **WIDER_EYES}.items() if key != name}
    response = api.client.post(TASK, json=body)
    sentence = f"{name} is required but wasn't included in your request."
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": sentence, "error_code": "InvalidParameters"},
    )


@pytest.mark.parametrize("path", [TASK, PRE_PROCESS])
def test_a_task_needs_a_picture(api: Any, path: str) -> None:
    response = api.client.post(path, json=WIDER_EYES)
    sentence = (
        "src_file_url is required but wasn't included in your request., or "
        "src_file_id is required but wasn't included in your request."
    )
    assert (response.status_code, response.json()) == (
        400,
        {"status": 400, "error": sentence, "error_code": "InvalidParameters"},
    )


V1_BODY = {
    "request_id": 0,
    "payload": {"file_sets": {"src_ids": ["x"]}, "actions": [{"id": 0, "params": {}, "dst_actions": []}]},
}


@pytest.mark.parametrize("path", [TASK, PRE_PROCESS])
def test_the_nested_body_of_v1_has_no_picture_for_v2(emulate: Callable[..., Any], path: str) -> None:
    answer = emulate().client.post(path, json=V1_BODY)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameters")
    assert "src_file_id is required but wasn't included in your request." in answer.json()["error"]


@pytest.mark.parametrize("version", ["v1.0", "v1.1", "v2.1", "v3.0"])
def test_tasks_exist_under_v2_0_only(emulate: Callable[..., Any], version: str) -> None:
    emulator, body = emulate(), {"src_file_id": "x", **WIDER_EYES}
    path = f"/s2s/{version}/task/face-reshape"
    answers = [
        *(
            emulator.client.post(f"{path}{end}", json=each)
            for end in ("", "/pre-process")
            for each in (body, V1_BODY)
        ),
        *(emulator.client.get(f"{path}{end}") for end in ("?task_id=x", "/x", "/pre-process/x")),
        emulator.client.post(f"/s2s/{version}/task/delete", json={"task_id": "x"}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error_code"]) == (404, "NotFound")


def test_a_file_that_was_never_uploaded_is_refused(api: Any, face_jpeg: bytes) -> None:
    file_id = api.registered(len(face_jpeg))["file_id"]
    response = api.client.post(TASK, json={"src_file_id": file_id, **WIDER_EYES})
    assert (response.status_code, response.json()) == (
        500,
        {"status": 500, "error": "Server Error", "error_code": "unknown_internal_error"},
    )


def test_a_missing_upload_can_be_a_404(emulate: Callable[..., Any]) -> None:
    emulator = emulate(missing_upload_status=404)
    file_id = emulator.register(10).json()["data"]["files"][0]["file_id"]
    answer = emulator.create(file_id)
    assert (answer.status_code, answer.json()) == (
        404,
        {"status": 404, "error": "The requested resource was not found.", "error_code": "NotFound"},
    )


def test_get_without_a_task_id_is_not_allowed(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    for path in (TASK, PRE_PROCESS):
        answer = emulator.client.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.json() == {
            "status": 405,
            "error": "The method is not allowed for this resource.",
            "error_code": "MethodNotAllowed",
        }
