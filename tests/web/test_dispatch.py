"""Routing of requests to vendors, and faults that happen before routing."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable

import httpx
import pytest
from fastapi.testclient import TestClient

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening
from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors
from emulator.world.faults.effects import PRESETS
from face_api_emulator.client import Client

pytestmark = pytest.mark.usefixtures("no_warnings_logged")

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
def test_rules_without_a_credential_apply_to_requests_without_one(
    server: Listening, raw: Raw, everybody: Client, method: str, path: str, name: str
) -> None:
    """They also apply to paths that are not served, and to responses without a body."""
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


def test_a_cors_preflight_gets_no_fault(server: Listening, everybody: Client) -> None:
    """A preflight has no credential, and if it failed, the browser would not send the request itself."""
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "X-Mark": "preflight",
    }
    with everybody.fault("unavailable", headers={"x-mark": "preflight"}):
        assert httpx.options(server.base_url + TASK, headers=headers).status_code == 200
        answer = httpx.post(server.base_url + TASK, headers=headers)
    assert answer.status_code == 503


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_an_unknown_name_in_the_fault_header_is_refused_with_the_known_ones(
    client: httpx.Client, vendor: Vendor
) -> None:
    for prefix in vendor.prefixes:
        answer = client.get(f"{prefix}/nothing", headers={"X-Emulator-Fault": "oops"})
        assert answer.status_code == 400
        names = ", ".join([*vendor.errors, *PRESETS])
        assert answer.json() == {"error": f"there is no error or effect named oops; there are {names}"}


def test_a_rule_can_match_a_large_form_that_the_operation_still_reads(
    server: Listening, everybody: Client
) -> None:
    def post(name: str, token: str = "t") -> httpx.Response:  # noqa: S107 - no real secret
        photo = b"no picture" + bytes(3_000_000)
        return httpx.post(
            server.base_url + RUN, data={"token": token}, files={"image_bytes": (name, photo)}, timeout=120
        )

    with everybody.fault("FACE_NOT_FOUND", vendor="metahuman", body_contains="needle.jpg") as rule:
        assert post("needle.jpg").json()["error"]["code"] == 4
        # A request that matches no rule reaches the application unchanged.
        assert post("hay.jpg").json()["error"]["code"] == 5
        assert post("hay.jpg", "needle.jpg").json()["error"]["code"] == 4
        (found,) = (listed for listed in everybody.faults() if listed.id == rule.id)
        assert (found.matched, found.fired) == (2, 2)
    assert post("needle.jpg").json()["error"]["code"] == 5


def test_a_rule_that_matches_bodies_does_not_delay_other_calls(
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


def test_a_vendors_host_name_routes_every_path_to_it(workers: WorkerPool) -> None:
    with TestClient(create_app(workers=workers)) as client:
        answer = client.get("/nothing", headers={"Host": "api-cn.faceplusplus.com"})
    assert (answer.status_code, answer.text) == (404, '{"error_message":"API_NOT_FOUND"}')


@pytest.mark.parametrize("path", ["/", "/faceppp/v1/3dface", "/_emulator/nothing", "/statics"])
def test_a_path_of_no_vendor_is_answered_with_the_list_of_vendors(path: str) -> None:
    answer = TestClient(create_app()).get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == f"nothing is served at {path}; see `vendors` and `control` for the paths"
    assert answer.json()["vendors"]["faceplusplus"] == ["/facepp"]
