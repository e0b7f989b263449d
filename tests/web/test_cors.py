from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from emulator.web.cors import LOOPBACK_ORIGIN, Cors
from emulator.web.exchange import Exchange

LOCAL = "http://localhost:5173"
FOREIGN = "https://app.example"
API = "/s2s/v2.0/task/face-reshape"
STORE = "/yce-us/ttl30/a.jpg"
FACE = "/facepp/v1/3dface"


def preflight(url: str, origin: str, **headers: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", **headers}
    return httpx.options(url, headers=asked)


PRIVATE = {"Access-Control-Request-Private-Network": "true"}


@pytest.mark.parametrize("path", [API, STORE, FACE])
def test_pages_of_this_machine_may_call_from_a_public_network(server: Listening, path: str) -> None:
    answer = preflight(server.base_url + path, LOCAL, **PRIVATE)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert answer.headers["access-control-allow-origin"] == LOCAL


@pytest.mark.parametrize(("path", "is_open"), [(API, False), (STORE, True), (FACE, True)])
def test_other_pages_may_read_what_is_open_at_the_vendor(
    server: Listening, path: str, *, is_open: bool
) -> None:
    assert preflight(server.base_url + path, FOREIGN).status_code == (200 if is_open else 400)
    assert preflight(server.base_url + path, FOREIGN, **PRIVATE).status_code == 400
    answer = httpx.get(server.base_url + path, headers={"Origin": FOREIGN})
    assert answer.headers.get("access-control-allow-origin") == ("*" if is_open else None)
    trusted = httpx.get(server.base_url + path, headers={"Origin": LOCAL})
    assert trusted.headers["access-control-allow-origin"] in {"*", LOCAL}


@pytest.mark.parametrize("origins", [(FOREIGN,), ("*",)])
def test_the_setting_trusts_more_origins(workers: WorkerPool, origins: tuple[str, ...]) -> None:
    with running_server(Settings(origins=origins), workers=workers) as server:
        for path in (API, STORE, FACE):
            answer = preflight(server.base_url + path, FOREIGN, **PRIVATE)
            assert answer.headers["access-control-allow-private-network"] == "true"
        other = preflight(server.base_url + API, "https://other.example", **PRIVATE)
        assert other.status_code == (200 if origins == ("*",) else 400)


@pytest.mark.parametrize(
    ("origin", "is_local"),
    [
        ("http://localhost", True),
        ("https://localhost:8080", True),
        ("http://app.localhost:3000", True),
        ("http://127.0.0.1:5173", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:5173", True),
        ("null", False),
        ("http://localhost.example", False),
        ("http://notlocalhost", False),
        ("http://127.0.0.1.example", False),
        ("http://10.0.0.1", False),
        ("file://", False),
        ("http://localhost:5173.example", False),
    ],
)
def test_origins_of_this_machine(origin: str, *, is_local: bool) -> None:
    assert (re.fullmatch(LOOPBACK_ORIGIN, origin) is not None) is is_local


@pytest.mark.parametrize(("given", "sent"), [({}, ["Origin"]), ({"vary": "Range"}, ["Range, Origin"])])
def test_caches_learn_that_a_response_depends_on_the_origin(given: dict[str, str], sent: list[str]) -> None:
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    exchange = Exchange(scope, receive, send)
    scope["state"] = {"exchange": exchange}
    response = PlainTextResponse("", headers=given)
    asyncio.run(exchange.run(Cors(response, origins=(), open_paths=())))
    assert Headers(raw=messages[0]["headers"]).getlist("vary") == sent
    assert response.headers.get("vary") == given.get("vary")
