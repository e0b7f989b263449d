from __future__ import annotations

import httpx
import pytest

from emulator.drift.exchange import NoResponse, Pace, Side, play
from emulator.drift.samples import Sample


def sample(*steps: dict[str, object]) -> Sample:
    return Sample.model_validate(
        {"title": "t", "credential": {"key": "golden"}, "steps": [{"response": {}, **step} for step in steps]}
    )


def side(handler: httpx.MockTransport, **credential: str) -> Side:
    client = httpx.Client(base_url="https://api.example/v9", transport=handler)
    return Side("the service", client, Pace(0), credential or None)


def test_pace_waits_only_for_the_rest_of_the_pause() -> None:
    now, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    pace = Pace(1.25, now=lambda: now, sleep=sleep)
    pace.wait()
    now += 0.25
    pace.wait()
    now += 5
    pace.wait()
    pace.wait()
    assert slept == [1.0, 1.25]


def test_a_request_repeats_while_its_condition_holds_and_kept_values_are_filled_in() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(
            f"{request.method} {request.url} {request.headers.get('authorization')} {request.read().decode()}"
        )
        if request.method == "POST":
            return httpx.Response(200, json={"id": "a b", "headers": {"Content-Length": 1, "X": 2}})
        if request.method == "PUT":
            return httpx.Response(200)
        return httpx.Response(200, json={"state": "running" if len(seen) < 5 else "done"})

    steps = sample(
        {
            "request": {
                "method": "POST",
                "path": "/new",
                "headers": {"Authorization": "Bearer {key}"},
                "json": {},
            },
            "keep": {"id": "body.id", "headers": "body.headers"},
        },
        {"request": {"method": "PUT", "path": "/up", "headers": "{headers}", "json": 1}},
        {"request": {"method": "GET", "path": "/task/{id}"}, "while": {"body.state": "running"}},
    )
    played = play(steps, side(httpx.MockTransport(answer), key="real"))
    assert (played.calls, played.stopped, len(played.answers)) == (5, None, 3)
    assert played.answers[-1] == {
        "status": 200,
        "type": "application/json",
        "headers": [],
        "body": {"state": "done"},
    }
    assert seen == [
        "POST https://api.example/v9/new Bearer real {}",
        "PUT https://api.example/v9/up None 1",
        *["GET https://api.example/v9/task/a%20b None "] * 3,
    ]


def test_without_a_real_key_the_credential_of_the_sample_is_sent() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["x-key"]))
    steps = sample({"request": {"method": "GET", "path": "/", "headers": {"X-Key": "{key}"}}})
    assert play(steps, side(transport)).answers[0]["body"] == "golden"


def test_a_failed_request_is_not_retried_and_its_error_hides_the_key() -> None:
    calls = 0

    def refuse(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        raise httpx.ReadTimeout("too slow", request=request)

    steps = sample({"request": {"method": "GET", "path": "/a/{key}"}})
    with pytest.raises(NoResponse) as raised:
        play(steps, side(httpx.MockTransport(refuse), key="real"))
    assert str(raised.value) == "the service did not answer GET /a/{key}: ReadTimeout: too slow"
    assert calls == 1


def test_a_redirect_is_not_followed_by_play() -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example"})
    )
    steps = sample({"request": {"method": "GET", "path": "/"}})
    assert play(steps, side(transport)).answers[0]["headers"] == ["location"]


@pytest.mark.parametrize(
    ("media_type", "content", "body"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/problem+json", b"[]", []),
        ("application/json", b"<html>", "<html>"),
        ("application/octet-stream", b"\xff\xfe\x00", b"\xff\xfe\x00"),
        ("text/plain", b"newmtl a\n", b"newmtl a\n"),
        ("image/gif", b"GIF89a", b"GIF89a"),
        ("text/html", b"<p>", "<p>"),
    ],
)
def test_a_body_is_decoded_by_its_media_type(media_type: str, content: bytes, body: object) -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(
            200, content=content, headers={"Content-Type": f"{media_type}; charset=utf-8"}
        )
    )
    answer = play(sample({"request": {"method": "GET", "path": "/"}}), side(transport)).answers[0]
    assert (answer["type"], answer["body"]) == (media_type, body)
