"""Faults in responses, as a client on a real socket sees them."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening
from emulator.web.exchange import ConnectionDropped
from emulator.world.faults.effects import PRESETS
from face_api_emulator.client import Client

pytestmark = pytest.mark.usefixtures("no_warnings_logged")

Raw = Callable[[bytes], tuple[bytes, str]]
Upload = Callable[..., bytes]


CREDIT = "/s2s/v1.0/client/credit"


TASK = "/s2s/v2.0/task/face-reshape"


NEW_TASK = {
    "src_file_url": "http://127.0.0.1:9/a.jpg",
    "version": "1.0",
    "features": {"jaw": 9},
    "global": {},
}


DROPPING = {"connection-closed", "connection-reset", "answer-lost", "closed-midway", "truncated"}


HERE = {name for name, effect in PRESETS.items() if not (effect.webhook or effect.picture or effect.task)}


def bearer(me: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {me.credential}"}


def get(server: Listening, me: Client, path: str = CREDIT) -> bytes:
    host = httpx.URL(server.base_url).netloc.decode()
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {me.credential}\r\n\r\n".encode()


def parts(answer: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, value in lines}, body


@pytest.fixture
def ordinary(server: Listening, me: Client) -> bytes:
    """The body of the response without a fault."""
    return httpx.get(server.base_url + CREDIT, headers=bearer(me)).content


def test_connection_closed_sends_no_bytes(server: Listening, raw: Raw, me: Client) -> None:
    me.add_fault("connection-closed")
    assert raw(get(server, me)) == (b"", "eof")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


def test_connection_reset_resets_the_connection(server: Listening, raw: Raw, me: Client) -> None:
    me.add_fault("connection-reset")
    assert raw(get(server, me)) == (b"", "reset")
    with pytest.raises(httpx.ReadError):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


@pytest.mark.parametrize("name", ["connection-closed", "connection-reset"])
def test_a_connection_dropped_before_the_operation_creates_no_task(
    server: Listening, me: Client, name: str
) -> None:
    me.add_fault(name, operation="create_reshape")
    with pytest.raises(httpx.TransportError):
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert me.tasks() == []


def test_answer_lost_drops_the_response_after_the_operation(server: Listening, me: Client) -> None:
    me.add_fault("answer-lost", operation="create_reshape", count=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    (task,) = me.tasks()
    assert task.credential == me.credential
    answer = httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert [found.id for found in me.tasks()] == [task.id, answer.json()["data"]["task_id"]]


@pytest.mark.parametrize(("name", "end"), [("truncated", "eof"), ("closed-midway", "reset")])
def test_a_partial_response_declares_the_full_length(
    server: Listening, raw: Raw, me: Client, ordinary: bytes, name: str, end: str
) -> None:
    me.add_fault(name)
    got, ended = raw(get(server, me))
    headers, body = parts(got)
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert int(headers["content-length"]) == len(ordinary)
    assert (body, ended) == (ordinary[: len(ordinary) // 2], end)
    with pytest.raises(httpx.TransportError):
        httpx.get(server.base_url + CREDIT, headers=bearer(me))


@pytest.mark.parametrize(("name", "share"), [("malformed", 2), ("empty", 0)])
def test_a_malformed_body_declares_its_own_length(
    server: Listening, me: Client, ordinary: bytes, name: str, share: int
) -> None:
    me.add_fault(name)
    answer = httpx.get(server.base_url + CREDIT, headers=bearer(me))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == (ordinary[: len(ordinary) // share] if share else b"")
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_dripping_body_is_slow_and_complete(server: Listening, me: Client, ordinary: bytes) -> None:
    me.add_fault({"drip": {"chunk_bytes": 20, "pause_s": 0.02}})
    began = time.monotonic()
    with httpx.stream("GET", server.base_url + CREDIT, headers=bearer(me)) as answer:
        arrived = list(answer.iter_raw())
    elapsed = time.monotonic() - began
    assert b"".join(arrived) == ordinary
    # There is a pause after every chunk, also the last. uvloop counts it from the beginning of the loop's
    # iteration, in whole milliseconds, so it ends up to 3 ms early.
    assert elapsed >= 0.017 * -(-len(ordinary) // 20)
    assert len(arrived) > 1


def test_wrong_content_type_replaces_the_content_type(server: Listening, me: Client, ordinary: bytes) -> None:
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
def test_a_proxy_page_is_returned_without_the_operation(
    server: Listening, me: Client, name: str, status: int, title: str
) -> None:
    rule = me.add_fault(name)
    answer = httpx.post(server.base_url + TASK, json=NEW_TASK, headers=bearer(me))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{title}</h1>" in answer.text
    assert answer.headers["x-emulator-fault"] == f"rule {rule.id}"
    assert me.tasks() == []


@pytest.mark.parametrize("name", sorted(HERE - DROPPING - {"slow", "drip"}))
def test_a_connection_that_was_not_dropped_can_be_reused(
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


def test_every_effect_on_a_response_is_tested_here() -> None:
    """Effects on webhooks, pictures and tasks are tested elsewhere."""
    assert {
        "slow", "connection-closed", "connection-reset", "answer-lost", "closed-midway", "truncated",
        "malformed", "empty", "drip", "wrong-content-type", "bad-gateway", "unavailable", "gateway-timeout",
    } == HERE  # fmt: skip


@pytest.mark.parametrize("name", ["connection-closed", "answer-lost", "truncated", "bad-gateway"])
def test_a_client_that_sends_a_large_body_is_not_reset(
    upload: Upload, raw: Raw, everybody: Client, name: str
) -> None:
    with everybody.fault(name, headers={"x-mark": "much"}):
        got, ended = raw(upload(9_000_000, X_Mark="much", Connection="close"))
    assert ended == "eof"
    assert (got == b"") == (name in {"connection-closed", "answer-lost"})


def test_connection_reset_also_resets_a_large_upload(
    server: Listening, upload: Upload, everybody: Client
) -> None:
    url = httpx.URL(server.base_url)
    with (
        everybody.fault("connection-reset", headers={"x-mark": "reset-much"}),
        socket.create_connection((url.host, url.port or 80), timeout=30) as connection,
    ):
        sent = upload(50_000_000, X_Mark="reset-much")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(sent)


def test_without_a_socket_a_dropped_connection_raises_an_exception(workers: WorkerPool) -> None:
    with TestClient(create_app(workers=workers)) as client:

        def call(name: str) -> Any:
            return client.get(CREDIT, headers={"Authorization": "Bearer k", "X-Emulator-Fault": name})

        for name in sorted(DROPPING):
            with pytest.raises(ConnectionDropped):
                call(name)
        assert call("unavailable").status_code == 503
        assert client.get(CREDIT, headers={"Authorization": "Bearer k"}).status_code == 200
