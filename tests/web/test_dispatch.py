"""Whose a request is, and what goes wrong with it before anybody else looks at it."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.control import Client
from emulator.server import Listening
from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors
from emulator.world.faults.effects import PRESETS

pytestmark = pytest.mark.usefixtures("no_defect")

Raw = Callable[[bytes], tuple[bytes, str]]
Upload = Callable[..., bytes]


CREDIT = "/s2s/v1.0/client/credit"


TASK = "/s2s/v2.0/task/face-reshape"


RUN = "/face_recon/run_pipeline"


THREE_D_FACE = "/facepp/v1/3dface"


HERE = {name for name, effect in PRESETS.items() if not (effect.webhook or effect.picture or effect.task)}


VENDORS = discover_vendors(Settings().vendor_packages)

numbers = itertools.count()


def bearer(me: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {me.credential}"}


def parts(answer: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, value in lines}, body


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
    server: Listening, raw: Raw, everybody: Client, method: str, path: str, name: str
) -> None:
    """Also on paths that are not served, and for methods that have no body to cut."""
    mark = f"mark-{next(numbers)}"
    host = httpx.URL(server.base_url).netloc.decode()
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Mark: {mark}\r\n\r\n".encode()
    )
    without, ended = raw(request)
    assert without.startswith(b"HTTP/1.1 ")
    assert ended == "eof"
    with everybody.fault(name, headers={"x-mark": f"^{mark}$"}) as rule:
        got, ended = raw(request)
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
        names = ", ".join([*vendor.errors, *PRESETS])
        assert answer.json() == {"error": f"there is no error or effect named oops; there are {names}"}


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
    server: Listening, upload: Upload, everybody: Client, me: Client
) -> None:
    url = httpx.URL(server.base_url)
    head = upload(100)[:-50]
    with (
        everybody.fault("unavailable", body_contains="needle"),
        socket.create_connection((url.host, url.port or 80), timeout=30) as slow,
    ):
        slow.sendall(head)
        assert httpx.get(server.base_url + CREDIT, headers=bearer(me), timeout=5).status_code == 200
        slow.sendall(b"needle" + bytes(44))
        assert slow.recv(65536).startswith(b"HTTP/1.1 503")


def test_the_vendors_own_host_leads_to_it_whatever_the_path(workers: WorkerPool) -> None:
    with TestClient(create_app(workers=workers)) as client:
        answer = client.get("/nothing", headers={"Host": "api-cn.faceplusplus.com"})
    assert (answer.status_code, answer.text) == (404, '{"error_message":"API_NOT_FOUND"}')


@pytest.mark.parametrize("path", ["/", "/faceppp/v1/3dface", "/_emulator/nothing", "/statics"])
def test_a_path_that_nobody_owns_gets_a_guide(path: str) -> None:
    answer = TestClient(create_app()).get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == f"nothing is served at {path}"
    assert answer.json()["vendors"]["faceplusplus"] == ["/facepp"]
