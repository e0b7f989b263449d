"""Parsing and validation of request bodies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.vendors.perfectcorp.body import LONGEST, read_json
from emulator.vendors.perfectcorp.units.wire import HistoryPage

TASK = "/s2s/v2.0/task/face-reshape"


def test_a_body_that_is_not_json_is_refused(api: Any) -> None:
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
def test_an_unusable_body_gets_a_json_error(emulate: Callable[..., Any], body: bytes) -> None:
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


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(NUMBERS)
def test_a_number_is_an_integer_if_its_value_is_one(text: str) -> None:
    exact, found = Fraction(text), read_json(text)
    if abs(exact) >= LONGEST:
        assert found == (LONGEST if exact > 0 else -LONGEST)
    elif exact.denominator == 1:
        assert (type(found), found) == (int, exact)
    else:
        assert (type(found), found) == (float, float(text))


@pytest.mark.parametrize(
    "text",
    ["1e400", "1e999999999", "1e99999999999999999999", "1" * 5000, "1" * 5000 + ".0", "1" * 5000 + ".5"],
    ids=lambda text: text[:22],
)
def test_a_number_that_is_too_large_for_the_machine_is_above_every_maximum(text: str) -> None:
    assert read_json(text) >= LONGEST
    assert read_json(f"-{text}") <= -LONGEST


@pytest.mark.parametrize("text", ["0e99999999999999999999", "-0.0e-99999999999999999999", "0e400", "-0"])
def test_zero_is_zero_with_every_exponent(text: str) -> None:
    assert (type(read_json(text)), read_json(text)) == (int, 0)


@pytest.mark.parametrize("text", ["1e-400", "1e-999999999", "1e-99999999999999999999"])
def test_a_number_that_is_nearly_zero_is_no_integer(text: str) -> None:
    assert (type(read_json(text)), read_json(text)) == (float, 0.0)


TASK_BODY: dict[str, Any] = {"src_file_id": "x", "version": "1.0", "features": {"eye_size": 1}, "global": {}}
FILE_BODY = {"content_type": "image/png", "file_name": "a.png", "file_size": 5}


def answered(emulator: Any, member: str, number: str) -> tuple[int, str]:
    """Return the status and the text of the response if ``member`` of the body is ``number``."""
    object_, _, name = member.rpartition(".")
    path, body = TASK, {**TASK_BODY, **({object_: {name: "?"}} if object_ else {name: "?"})}
    if member == "file_size":
        path, body = "/s2s/v2.0/file", {"files": [{**FILE_BODY, member: "?"}]}
    answer = emulator.client.post(path, content=json.dumps(body).replace('"?"', number))
    return answer.status_code, answer.json().get("error", "")


INTEGERS = ["features.eye_size", "features.jaw", "global.skin_smooth_strength", "index", "file_size"]


@pytest.mark.parametrize("member", INTEGERS)
def test_an_integer_may_be_written_with_a_fraction_of_zero_or_an_exponent(
    emulate: Callable[..., Any], member: str
) -> None:
    emulator = emulate()
    accepted = answered(emulator, member, "30")
    assert accepted in {(200, ""), (400, "One or more parameters in this request are invalid.")}
    for written in ("30.0", "3e1", "300E-1", "30.00"):
        assert answered(emulator, member, written) == accepted
    refused = (400, f"{member.rpartition('.')[2]} doesn't match the required format.")
    for written in ("30.5", "true", "false", '"30"', "[30]", "{}", "1e-400", "305e-1"):
        assert answered(emulator, member, written) == refused


@pytest.mark.parametrize("member", [member for member in INTEGERS if member != "index"])
@pytest.mark.parametrize("number", ["1e400", "1e999999999999999999999", "9" * 5000])
def test_a_huge_number_is_above_the_maximum(emulate: Callable[..., Any], member: str, number: str) -> None:
    emulator, name = emulate(), member.rpartition(".")[2]
    assert answered(emulator, member, number) == (400, f"{name} is above the allowed maximum.")
    assert answered(emulator, member, f"-{number}") == (400, f"{name} is below the allowed minimum.")


def test_a_face_with_a_huge_index_does_not_exist(emulate: Callable[..., Any], face_jpeg: bytes) -> None:
    emulator = emulate()
    body = json.dumps({**TASK_BODY, "src_file_id": emulator.upload(face_jpeg), "index": "?"})
    for number in ("1e400", "-1e400"):
        created = emulator.client.post(TASK, content=body.replace('"?"', number))
        assert emulator.wait(created.json()["data"]["task_id"])["error"] == "invalid_parameter"


def test_a_size_with_a_fraction_of_zero_is_signed_as_an_integer(emulate: Callable[..., Any]) -> None:
    emulator = emulate()
    body = json.dumps({"files": [{**FILE_BODY, "file_size": "?"}]}).replace('"?"', "5.0")
    (file,) = emulator.client.post("/s2s/v2.0/file", content=body).json()["data"]["files"]
    assert file["requests"][0]["headers"]["Content-Length"] == "5"
    assert emulator.put(file, b"photo").status_code == 200
