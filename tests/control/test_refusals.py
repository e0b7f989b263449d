from __future__ import annotations

import httpx
import pytest
from tester import refusal

from face_api_emulator.client import Client

HALF = r"\ud800"
"""A lone surrogate, escaped for JSON."""

DEEP = "(" * 3000 + ")" * 3000

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 5000])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "clock/freeze?credential=refused", '{"at": %s}'),
        ("POST", "clock/travel?credential=refused", '{"to": %s}'),
        ("POST", "clock/advance?credential=refused", '{"seconds": %s}'),
        ("PUT", "progression?credential=refused", '{"mode": "after_seconds", "seconds": %s}'),
        ("PUT", "webhooks/plan?credential=refused", '{"pause_s": %s}'),
        ("POST", "faults", '{"match": {"probability": %s}, "effect": "slow"}'),
        ("POST", "faults", '{"match": {"nth": %s}, "effect": "slow"}'),
        ("POST", "faults", '{"effect": "slow", "ttl_s": %s}'),
        ("POST", "faults", '{"effect": {"latency": %s}}'),
        ("POST", "faults", '{"effect": {"picture": {"truncate": %s}}}'),
        ("POST", "faults", '{"effect": {"webhook": {"delay_s": %s}}}'),
        ("POST", "calls/verify", '{"count": %s}'),
    ],
)
def test_invalid_numbers_are_refused_with_a_message(
    client: httpx.Client, method: str, path: str, body: str, number: str
) -> None:
    refused(client, method, path, body % number)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "reset", '{"credential": "%s"}'),
        ("POST", "reset", '{"%s": 1}'),
        ("PUT", "credentials", '{"credential": "%s", "state": "valid"}'),
        ("POST", "webhooks/endpoints", '{"url": "http://127.0.0.1:1/%s"}'),
        ("POST", "webhooks/endpoints", '{"url": "http://127.0.0.1:1/", "vendor": "%s"}'),
        ("POST", "webhooks/endpoints", '{"url": "http://127.0.0.1:1/", "secret": "%s"}'),
        ("POST", "faults", '{"effect": "%s"}'),
        ("POST", "faults", '{"effect": {"content_type": "%s"}}'),
        ("POST", "faults", '{"effect": "slow", "match": {"headers": {"%s": "a"}}}'),
        ("POST", "scenarios", '{"name": "a", "credentials": {"%s": "valid"}}'),
        ("POST", "scenarios", '{"name": "a", "description": "%s"}'),
        ("POST", "calls/verify", '{"match": {"path": "%s"}}'),
        ("POST", "calls/verify", '{"match": {"query": {"%s": "a"}}}'),
        ("POST", "calls/verify", '{"match": {"body": {"a": ["%s"]}}}'),
        ("POST", "calls/verify", '{"match": {"body_contains": "%s"}}'),
    ],
)
def test_lone_surrogates_are_refused_with_a_message(
    client: httpx.Client, method: str, path: str, body: str
) -> None:
    refused(client, method, path, body % HALF)


@pytest.mark.parametrize("pattern", ["(", "a{9999}", DEEP], ids=["open", "often", "deep"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", '{"effect": "slow", "match": {"headers": {"a": "%s"}}}'),
        ("calls/verify", '{"match": {"headers": {"a": "%s"}}}'),
        ("calls/verify", '{"match": {"path_matches": "%s"}}'),
    ],
)
def test_invalid_regular_expressions_are_refused_with_a_message(
    client: httpx.Client, path: str, body: str, pattern: str
) -> None:
    assert "is not a valid regular expression" in refused(client, "POST", path, body % pattern)


@pytest.mark.parametrize("content_type", [*JSON.values(), "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("body", [b"{", b"\x00", b"\xff\xfe\x00"])
def test_invalid_json_is_refused_with_a_message(client: httpx.Client, content_type: str, body: bytes) -> None:
    for path in ("faults", "reset", "clock/freeze", "calls/verify"):
        answer = client.post(f"/_emulator/{path}", content=body, headers={"Content-Type": content_type})
        assert (answer.status_code in {400, 422}, "error" in answer.json()) == (True, True), answer.text


def test_an_impossible_call_number_is_not_found(client: httpx.Client) -> None:
    for number in ("0", "-1", "x", "9" * 18, "9" * 5000):
        assert client.get(f"/_emulator/calls/{number}").status_code == 404


def test_the_path_of_verify_is_not_a_call_number(client: httpx.Client) -> None:
    assert client.get("/_emulator/calls/verify").status_code == 405


def test_an_impossible_last_event_id_is_ignored(client: httpx.Client) -> None:
    with client.stream("GET", "/_emulator/calls/stream", headers={"Last-Event-ID": "9" * 5000}) as answer:
        assert next(answer.iter_lines()) == ": calls follow"


def refused(client: httpx.Client, method: str, path: str, body: str) -> str:
    """Send a body that the server must refuse, and return the error message."""
    answer = client.request(method, f"/_emulator/{path}", content=body, headers=JSON)
    # Python's JSON parser rejects numbers with too many digits, which FastAPI answers with 400.
    assert answer.status_code in {400, 422}, answer.text
    said = answer.json()["error"]
    assert isinstance(said, str)
    assert said
    return said


def test_an_unknown_path_is_answered_with_the_path_of_the_openapi_document(client: httpx.Client) -> None:
    answer = client.get("/_emulator/nothing")
    assert answer.status_code == 404
    assert answer.json()["control"] == "/_emulator/openapi.json"
    with Client(f"{client.base_url}/facepp") as stranger:
        status, reason = refusal(stranger.clock)
        assert (status, reason.endswith("is not from a control API; check the URL")) == (404, True)


@pytest.mark.parametrize(
    ("body", "media_type", "reason"),
    [
        ('{"effect": "slow", "count": 0}', "json", "count: Input should be greater than or equal to 1"),
        ('{"match": {"vendr": "x"}, "effect": "slow"}', "json", "match.vendr: Extra inputs"),
        ('{"match": {"a": 1}, "count": 0}', "json", "match.a: Extra inputs are not permitted; effect: Field"),
        ("{", "json", "the body is not valid JSON: Expecting property name"),
        ("[]", "json", "Input should be a valid dictionary"),
        ('{"effect": "slow"}', "x-www-form-urlencoded", "the body was not sent as JSON; add the header "),
    ],
)  # fmt: skip
def test_validation_errors_also_have_a_sentence(
    client: httpx.Client, body: str, media_type: str, reason: str
) -> None:
    headers = {"Content-Type": f"application/{media_type}"}
    answer = client.post("/_emulator/faults", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(reason)
    assert all({"loc", "msg", "type"} <= found.keys() for found in answer.json()["detail"])
    assert client.get("/_emulator/calls?status=banana").json()["error"].startswith("status: String should")
