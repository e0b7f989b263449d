"""What goes wrong on purpose, as a client on the other end of the wire sees it."""

from __future__ import annotations

import http.client
import itertools
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import emulator.vendors
from emulator.app import create_app
from emulator.control import Client
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.call import ConnectionDropped
from emulator.web.faults import PRESETS
from emulator.web.vendor import Vendor, discover_vendors

CREDIT = "/s2s/v1.0/client/credit"
FILE = "/s2s/v2.0/file"
TASK = "/s2s/v2.0/task/face-reshape"
RUN = "/face_recon/run_pipeline"
THREE_D_FACE = "/facepp/v1/3dface"
NEW_TASK = {
    "src_file_url": "http://127.0.0.1:9/a.jpg",
    "version": "1.0",
    "features": {"jaw": 9},
    "global": {},
}
DROPPING = {"connection-closed", "connection-reset", "answer-lost", "closed-midway", "truncated"}
HERE = {name for name, effect in PRESETS.items() if not (effect.webhook or effect.picture or effect.task)}
VENDORS = discover_vendors(emulator.vendors)

numbers = itertools.count()


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A tester whose credential nobody else has."""
    with Client(server.base_url, f"sk-call-{next(numbers)}") as control:
        yield control
        control.reset()


@pytest.fixture
def everybody(server: Listening) -> Iterator[Client]:
    """A tester of everybody's, whose rules have to say which calls they are for."""
    with Client(server.base_url) as control:
        yield control


@pytest.fixture(autouse=True)
def _no_defect(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What goes wrong on purpose is no defect of the emulator's."""
    with caplog.at_level(logging.WARNING):
        yield
    logged = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert logged == [], logged[0].getMessage()


def bearer(me: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {me.credential}"}


def raw(server: Listening, request: bytes) -> tuple[bytes, str]:
    """Return what a plain socket gets for a request, and how that ends: ``eof`` or ``reset``."""
    url, got = httpx.URL(server.base_url), b""
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                got += chunk
        except ConnectionResetError:
            return got, "reset"
    return got, "eof"


def get(server: Listening, me: Client, path: str = CREDIT, *, close: bool = False) -> bytes:
    last = "Connection: close\r\n" if close else ""
    host = httpx.URL(server.base_url).netloc.decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {me.credential}\r\n{last}\r\n".encode()
    )


def parts(answer: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, value in lines}, body


@pytest.fixture
def ordinary(server: Listening, me: Client) -> bytes:
    """The body of the answer to which nothing happens."""
    return httpx.get(server.base_url + CREDIT, headers=bearer(me)).content


def test_a_closed_connection_ends_without_a_byte(server: Listening, me: Client) -> None:
    me.add_fault("connection-closed")
    assert raw(server, get(server, me)) == (b"", "eof")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


def test_a_reset_connection_is_reset(server: Listening, me: Client) -> None:
    me.add_fault("connection-reset")
    assert raw(server, get(server, me)) == (b"", "reset")
    with pytest.raises(httpx.ReadError):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


@pytest.mark.parametrize("name", ["connection-closed", "connection-reset"])
def test_a_connection_dropped_before_has_done_nothing(server: Listening, me: Client, name: str) -> None:
    me.add_fault(name, operation="create_reshape")
    with pytest.raises(httpx.TransportError):
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert me.tasks() == []


def test_a_lost_answer_was_given_after_all_was_done(server: Listening, me: Client) -> None:
    me.add_fault("answer-lost", operation="create_reshape", count=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    (task,) = me.tasks()
    assert task.credential == me.credential
    answer = httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert [found.id for found in me.tasks()] == [task.id, answer.json()["data"]["task_id"]]


@pytest.mark.parametrize(("name", "end"), [("truncated", "eof"), ("closed-midway", "reset")])
def test_part_of_an_answer_arrives_and_its_length_is_the_wholes(
    server: Listening, me: Client, ordinary: bytes, name: str, end: str
) -> None:
    me.add_fault(name)
    got, ended = raw(server, get(server, me))
    headers, body = parts(got)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert int(headers["content-length"]) == len(ordinary)
    assert (body, ended) == (ordinary[: len(ordinary) // 2], end)
    with pytest.raises(httpx.TransportError):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


@pytest.mark.parametrize(("name", "share"), [("malformed", 2), ("empty", 0)])
def test_a_malformed_body_is_as_long_as_it_says(
    server: Listening, me: Client, ordinary: bytes, name: str, share: int
) -> None:
    me.add_fault(name)
    answer = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == (ordinary[: len(ordinary) // share] if share else b"")
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_dripping_body_is_slow_and_whole(server: Listening, me: Client, ordinary: bytes) -> None:
    me.add_fault({"drip": {"chunk_bytes": 20, "pause_s": 0.02}})
    began = time.monotonic()
    with httpx.stream("GET", server.base_url + CREDIT, headers=bearer(me)) as answer:
        arrived = list(answer.iter_raw())
    elapsed = time.monotonic() - began
    assert b"".join(arrived) == ordinary
    # The last pause comes before the end of the body.
    assert elapsed >= 0.02 * -(-len(ordinary) // 20)
    assert len(arrived) > 1


def test_a_wrong_content_type_is_said_in_place_of_the_right_one(
    server: Listening, me: Client, ordinary: bytes
) -> None:
    me.add_fault("wrong-content-type")
    answer = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert (answer.status_code, answer.content) == (200, ordinary)
    assert answer.headers.get_list("content-type") == ["text/html"]


@pytest.mark.parametrize(
    ("name", "status", "title"),
    [
        ("bad-gateway", 502, "502 Bad Gateway"),
        ("unavailable", 503, "503 Service Temporarily Unavailable"),
        ("gateway-timeout", 504, "504 Gateway Time-out"),
    ],
)
def test_a_proxy_answers_with_a_page_and_nothing_is_done(
    server: Listening, me: Client, name: str, status: int, title: str
) -> None:
    rule = me.add_fault(name)
    answer = httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in answer.text
    assert answer.headers["x-emulator-fault"] == f"rule {rule.id}"
    assert me.tasks() == []


def test_latency_holds_an_answer_back_and_changes_nothing(
    server: Listening, me: Client, ordinary: bytes
) -> None:
    me.add_fault({"latency": 0.2}, count=1)
    began = time.monotonic()
    slow = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert time.monotonic() - began >= 0.2
    assert slow.content == ordinary
    with me.fault({"latency": 1}), pytest.raises(httpx.ReadTimeout):
        httpx.get(server.base_url + CREDIT, headers=bearer(me), timeout=0.1)


@pytest.mark.parametrize("effect", [{"latency": 600}, {"drip": {"chunk_bytes": 1, "pause_s": 600}}])
def test_an_answer_that_is_held_back_goes_out_when_the_server_stops(effect: dict[str, Any]) -> None:
    headers = {"Authorization": "Bearer sk-a"}
    with ThreadPoolExecutor(1) as pool:
        with running_server(Settings(workers=1)) as server, Client(server.base_url) as control:
            control.add_fault(effect, operation="credit")
            answer = pool.submit(httpx.get, f"{server.base_url}{CREDIT}", headers=headers, timeout=60)
            while not control.faults()[0].fired:
                time.sleep(0.01)
        assert answer.result(timeout=30).json()["results"][0]["amount"] == 1000


def test_a_slow_answer_can_be_an_error_too(server: Listening, me: Client) -> None:
    me.add_fault({"latency": 0.1, "error": "TooManyRequests"})
    began = time.monotonic()
    answer = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert time.monotonic() - began >= 0.1
    assert (answer.status_code, answer.json()) == (429, {"status": 429, "error": "Too many requests"})


def test_a_stuck_task_runs_until_it_is_ended(server: Listening, me: Client) -> None:
    me.add_fault("stuck-task", count=1)
    stuck, other = (
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me)).json()["data"]["task_id"]
        for _ in range(2)
    )

    def status(task_id: str) -> str:
        answer = httpx.get(f"{server.base_url}{TASK}/{task_id}", headers=bearer(me))
        return str(answer.json()["data"]["task_status"])

    deadline = time.monotonic() + 60
    while {task.id: task.state for task in me.tasks()}[stuck] != "held" or status(other) == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert status(stuck) == "running"
    me.finish_task(stuck)
    assert (status(stuck), status(other)) == ("error", "error")


@pytest.mark.parametrize("name", sorted(HERE - DROPPING - {"slow", "drip"}))
def test_a_connection_that_was_not_dropped_goes_on(
    server: Listening, me: Client, ordinary: bytes, name: str
) -> None:
    me.add_fault(name, count=1)
    connection = http.client.HTTPConnection(httpx.URL(server.base_url).netloc.decode(), timeout=30)
    try:
        connection.request("GET", CREDIT, headers=bearer(me))
        answer = connection.getresponse()
        assert answer.getheader("x-emulator-fault", "").startswith("rule ")
        answer.read()
        socket_before = connection.sock
        connection.request("GET", CREDIT, headers=bearer(me))
        assert connection.sock is socket_before
        second = connection.getresponse()
        assert (second.getheader("x-emulator-fault"), second.read()) == (None, ordinary)
    finally:
        connection.close()


def test_every_effect_on_the_wire_has_a_test_here() -> None:
    """Webhooks and pictures have theirs where they are made."""
    assert {
        "slow", "connection-closed", "connection-reset", "answer-lost", "closed-midway", "truncated",
        "malformed", "empty", "drip", "wrong-content-type", "bad-gateway", "unavailable", "gateway-timeout",
    } == HERE  # fmt: skip


@pytest.mark.parametrize("name", sorted(HERE - {"slow", "drip"}))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/face_recon/static/nothing.png"),
        ("HEAD", TASK),
        ("OPTIONS", TASK),
        ("GET", "/facepp/v9/nothing"),
        ("DELETE", "/auth/nothing"),
        ("GET", "/yce-us/ttl30/nothing.jpg"),
        ("POST", THREE_D_FACE),
    ],
)
def test_what_belongs_to_nobody_goes_wrong_by_everybodys_rules(
    server: Listening, everybody: Client, method: str, path: str, name: str
) -> None:
    """Also on paths that are not served, and for methods that have no body to cut."""
    mark = f"mark-{next(numbers)}"
    host = httpx.URL(server.base_url).netloc.decode()
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Mark: {mark}\r\n\r\n".encode()
    )
    without, ended = raw(server, request)
    assert without.startswith(b"HTTP/1.1 ")
    assert ended == "eof"
    with everybody.fault(name, headers={"x-mark": f"^{mark}$"}) as rule:
        got, ended = raw(server, request)
        assert {listed.id: listed.fired for listed in everybody.faults()}[rule.id] == 1
    assert ended == ("reset" if name in {"connection-reset", "closed-midway"} else "eof")
    if name in {"connection-closed", "connection-reset", "answer-lost"}:
        assert got == b""
    else:
        headers, body = parts(got)
        assert headers["x-emulator-fault"] == f"rule {rule.id}"
        assert body == b"" or method != "HEAD"
        expected = {"bad-gateway": 502, "unavailable": 503, "gateway-timeout": 504}.get(name)
        assert got.split()[1] == (without.split()[1] if expected is None else str(expected).encode())


def test_a_browsers_question_beforehand_is_left_alone(server: Listening, everybody: Client) -> None:
    """It is the proxy's to answer, and carries no credential; else no fault would reach a browser."""
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "X-Mark": "preflight",
    }
    with everybody.fault("unavailable", headers={"x-mark": "preflight"}):
        assert httpx.options(server.base_url + TASK, headers=headers).status_code == 200
        answer = httpx.post(server.base_url + TASK, headers=headers)
    assert answer.status_code == 503


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_what_a_client_asks_for_and_is_not_there_is_said(client: httpx.Client, vendor: Vendor) -> None:
    for prefix in vendor.prefixes:
        answer = client.get(f"{prefix}/nothing", headers={"X-Emulator-Fault": "oops"})
        assert answer.status_code == 400
        names = ", ".join([*(entry.name for entry in vendor.errors), *PRESETS])
        assert answer.json() == {"error": f"there is no error or effect named oops; there are {names}"}


def upload(server: Listening, size: int, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    host = httpx.URL(server.base_url).netloc.decode()
    head = f"PUT /yce-us/ttl30/nothing.jpg HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {size}\r\n\r\n"
    return head.encode() + bytes(size)


@pytest.mark.parametrize("name", ["connection-closed", "answer-lost", "truncated", "bad-gateway"])
def test_a_client_that_sends_much_first_is_not_reset(server: Listening, everybody: Client, name: str) -> None:
    with everybody.fault(name, headers={"x-mark": "much"}):
        got, ended = raw(server, upload(server, 9_000_000, X_Mark="much", Connection="close"))
    assert ended == "eof"
    assert (got == b"") == (name in {"connection-closed", "answer-lost"})


def test_a_client_that_sends_much_is_reset_if_that_is_asked_for(server: Listening, everybody: Client) -> None:
    url = httpx.URL(server.base_url)
    with (
        everybody.fault("connection-reset", headers={"x-mark": "reset-much"}),
        socket.create_connection((url.host, url.port or 80), timeout=30) as connection,
    ):
        sent = upload(server, 50_000_000, X_Mark="reset-much")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(sent)


def test_a_rule_can_look_into_a_large_form_that_is_then_read_as_ever(
    server: Listening, everybody: Client
) -> None:
    def post(name: str, token: str = "t") -> httpx.Response:  # noqa: S107 - nobody's
        photo = b"no picture" + bytes(3_000_000)
        return httpx.post(
            server.base_url + RUN, data={"token": token}, files={"image_bytes": (name, photo)}, timeout=120
        )

    with everybody.fault("FACE_NOT_FOUND", vendor="metahuman", body_contains="needle.jpg") as rule:
        assert post("needle.jpg").json()["error"]["code"] == 4
        # What no rule is for reaches the application as it was sent.
        assert post("hay.jpg").json()["error"]["code"] == 5
        assert post("hay.jpg", "needle.jpg").json()["error"]["code"] == 4
        (found,) = (listed for listed in everybody.faults() if listed.id == rule.id)
        assert (found.matched, found.fired) == (2, 2)
    assert post("needle.jpg").json()["error"]["code"] == 5


def test_a_rule_that_looks_into_bodies_holds_up_nobody_elses_call(
    server: Listening, everybody: Client, me: Client
) -> None:
    url = httpx.URL(server.base_url)
    head = upload(server, 100)[:-50]
    with (
        everybody.fault("unavailable", body_contains="needle"),
        socket.create_connection((url.host, url.port or 80), timeout=30) as slow,
    ):
        slow.sendall(head)
        assert httpx.get(server.base_url + CREDIT, headers=bearer(me), timeout=5).status_code == 200
        slow.sendall(b"needle" + bytes(44))
        assert slow.recv(65536).startswith(b"HTTP/1.1 503")


def test_every_caller_gets_what_is_meant_for_it_at_the_same_moment(server: Listening, me: Client) -> None:
    me.add_fault("TooManyRequests", every=2)

    def status(_: int) -> int:
        return httpx.get(server.base_url + CREDIT, headers=bearer(me)).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(status, range(40)))
    assert (statuses.count(200), statuses.count(429)) == (20, 20)


def test_without_a_socket_a_dropped_connection_is_an_exception() -> None:
    with TestClient(create_app(Settings(workers=1))) as client:

        def call(name: str) -> Any:
            return client.get(CREDIT, headers={"Authorization": "Bearer k", "X-Emulator-Fault": name})

        for name in sorted(DROPPING):
            with pytest.raises(ConnectionDropped):
                call(name)
        assert call("unavailable").status_code == 503
        assert client.get(CREDIT, headers={"Authorization": "Bearer k"}).status_code == 200


def test_in_band_faults_can_be_switched_off() -> None:
    with TestClient(create_app(Settings(workers=1, in_band_faults=False))) as client:
        for name in ("InvalidApiKey", "nonsense"):
            headers = {"Authorization": f"Bearer fault-{name}", "X-Emulator-Fault": name}
            assert client.get("/s2s/v2.0/credit/feature-cost", headers=headers).status_code == 200
        assert {error["in_band"] for error in client.get("/_emulator/errors").json()} == {None}
