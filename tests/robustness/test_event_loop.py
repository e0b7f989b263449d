"""Requests that are expensive to answer do not block the event loop."""

from __future__ import annotations

import io
import json
import zipfile

import httpx
import pytest
from emulated import Emulated

pytestmark = pytest.mark.usefixtures("free_loop")

MIB = 1024 * 1024
KEY = {"Authorization": "Bearer sk-robust"}
JSON = {"Content-Type": "application/json"}
FILE = {"content_type": "image/jpeg", "file_name": "a.jpg", "file_size": 5}
REGISTER = "/s2s/v2.0/file"


def register(emulated: Emulated, body: bytes) -> httpx.Response:
    return emulated.send("POST", REGISTER, content=body, headers={**KEY, **JSON})


def test_many_unknown_members_make_few_warnings(emulated: Emulated) -> None:
    many = {f"x{number}": 1 for number in range(90_000)}
    body = json.dumps({"files": [FILE], **many}, separators=(",", ":")).encode()
    assert register(emulated, body).status_code == 200
    (call,) = emulated.send("GET", "/_emulator/calls", params={"last": 1}).json()["calls"]
    assert call["warnings"][:2] == [
        {"code": "field-dropped", "detail": "unknown member x0"},
        {"code": "field-dropped", "detail": "unknown member x1"},
    ]
    assert len(call["warnings"]) == 21
    rest = {"code": "field-dropped", "detail": "89980 more warnings of this kind", "count": 89_980}
    assert call["warnings"][-1] == rest


@pytest.mark.parametrize("number", [b"1", b"1.5", b"1e5", b"[]", b"null"])
def test_many_wrong_items_get_one_error(emulated: Emulated, number: bytes) -> None:
    count = (MIB - 100) // (len(number) + 1)
    answer = register(emulated, b'{"files":[' + b",".join([number] * count) + b"]}")
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "InvalidParameters"


def test_a_registration_has_a_largest_number_of_files(emulated: Emulated) -> None:
    answer = register(emulated, json.dumps({"files": [FILE] * 10_000}).encode())
    assert answer.status_code == 400
    assert answer.json()["error"] == "files is above the allowed maximum."


@pytest.mark.parametrize("pattern", ["(a+)+$", "((a|b|c)*(d|e|f)*){200}z", "(x+x+)+y", "(a?){300}a{300}"])
def test_a_pattern_is_searched_for_in_linear_time(emulated: Emulated, pattern: str) -> None:
    rule = {"effect": {"latency": 0.001}, "match": {"headers": {"x-long": pattern}}}
    added = emulated.send("POST", "/_emulator/faults", json=rule)
    assert added.status_code == 201
    header = {"X-Long": "a" * 60_000 + "!"}
    emulated.send("GET", "/s2s/v2.0/task/face-reshape/a", headers={**KEY, **header})
    match = {"headers": {"x-long": pattern}, "path_matches": pattern}
    verdict = emulated.send("POST", "/_emulator/calls/verify", json={"match": match})
    assert verdict.status_code == 200
    assert emulated.send("DELETE", f"/_emulator/faults/{added.json()['id']}").status_code == 204


@pytest.mark.parametrize(
    "pattern", ["(?=a)", r"(a)\1", "a++", "(?>a)", "a{1001}", ".{1000}", r"\pL{30}", "("]
)
def test_a_pattern_that_needs_another_engine_is_refused_in_a_sentence(
    emulated: Emulated, pattern: str
) -> None:
    for path, body in (
        ("faults", {"effect": "slow", "match": {"headers": {"a": pattern}}}),
        ("calls/verify", {"match": {"path_matches": pattern}}),
    ):
        answer = emulated.send("POST", f"/_emulator/{path}", json=body)
        assert answer.status_code == 422
        assert f"{pattern!r} is not a valid regular expression: " in answer.json()["error"]
        assert "the syntax is RE2, which has no lookarounds and no backreferences" in answer.json()["error"]


@pytest.mark.parametrize("depth", [101, 1000, 5_000_000])
@pytest.mark.parametrize(
    "path", ["faults", "calls/verify", "scenarios", "reset", "credentials", "clock/advance"]
)
def test_a_deeply_nested_body_of_the_control_api_is_refused(
    emulated: Emulated, path: str, depth: int
) -> None:
    for begin, end in (b"[]", b"{}"):
        inner = bytes([begin]) if begin == ord("[") else b'{"a":'
        body = b'{"match":' + inner * depth + b"1" + bytes([end]) * depth + b"}"
        method = "PUT" if path == "credentials" else "POST"
        answer = emulated.send(method, f"/_emulator/{path}", content=body, headers=JSON)
        assert answer.status_code == (413 if depth > MIB else 422)
        assert answer.json()["error"]


def test_many_members_of_the_control_api_are_refused(emulated: Emulated) -> None:
    body = b'{"name":"a","rules":[' + b",".join([b"1"] * 500_000) + b"]}"
    answer = emulated.send("POST", "/_emulator/scenarios", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (422, "the body has more than 20000 members")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.yaml", "a: " + "[" * 500 + "]" * 500, "it is nested too deeply"),
        ("a.toml", "a = " + "[" * 500 + "]" * 500, "it is nested too deeply"),
        ("a.yaml", "a: &a [1]\nb: *a\n", "aliases (*) are not supported"),
        ("a.yaml", "a: 2001-99-99\n", "month must be in 1..12"),
        ("a.yaml", "- 1\n" * 100_000, "it has more than 262144 bytes"),
        ("a.yaml", "- 1\n" * 20_000, "it must have members"),
    ],
    ids=["deep-yaml", "deep-toml", "alias", "date", "large", "list"],
)
def test_a_scenario_file_that_is_expensive_to_read_is_refused(
    emulated: Emulated, name: str, text: str, reason: str
) -> None:
    answer = emulated.send("POST", f"/_emulator/scenario-files/{name}", content=text.encode())
    assert answer.status_code == 422
    assert reason in answer.json()["error"]


def snapshot(line: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("records.jsonl", line)
        archive.writestr("blobs.jsonl", b"")
        counts = {"documents": 1, "counters": 0, "blobs": 0}
        archive.writestr("manifest.json", json.dumps({"format": 1, "emulator": "0", **counts}))
    return file.getvalue()


@pytest.mark.parametrize("inner", [b"[],", b'{"a":1},', b"1,", b"[" * 100_000])
def test_a_snapshot_of_one_long_line_is_refused(emulated: Emulated, inner: bytes) -> None:
    count = 60 * MIB // len(inner)
    line = b'{"kind":"task","key":"a","credential":"","document":{"a":[' + inner * count + b"1]}}\n"
    answer = emulated.send("PUT", "/_emulator/snapshot", content=snapshot(line))
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("this snapshot cannot be restored: ")
