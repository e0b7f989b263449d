from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.control.gate import ControlGate, is_loopback, names_this_machine
from emulator.server import running_server
from emulator.settings import Settings

VENDOR = "/s2s/v1.0/client/credit"


def test_a_server_on_loopback_serves_the_control_api(client: httpx.Client) -> None:
    assert client.get("/_emulator/clock").status_code == 200


def test_only_the_control_port_serves_the_control_api(workers: WorkerPool) -> None:
    with running_server(Settings(control_port=0), workers=workers) as server:
        assert server.control_url not in {None, server.base_url}
        beside = httpx.get(f"{server.base_url}/_emulator/clock")
        assert (beside.status_code, "control_port" in beside.json()["error"]) == (404, True)
        assert httpx.get(f"{server.base_url}/_emulator/health").status_code == 200
        assert httpx.get(f"{server.base_url}//_emulator/clock").status_code == 404
        assert httpx.get(f"{server.control_url}/_emulator/clock").status_code == 200


def test_the_control_api_can_be_switched_off(workers: WorkerPool) -> None:
    with running_server(Settings(control="off"), workers=workers) as server:
        assert server.control_url is None
        for path in ("/_emulator/clock", "/_emulator/openapi.json", "/_emulator/reset"):
            assert httpx.get(f"{server.base_url}{path}").status_code == 404
        assert httpx.get(f"{server.base_url}/_emulator/health").status_code == 200
        assert httpx.get(f"{server.base_url}{VENDOR}").status_code == 401


@pytest.mark.parametrize(("control", "status"), [("auto", 404), ("on", 200)])
def test_a_public_server_serves_the_control_api_only_if_it_is_switched_on(control: str, status: int) -> None:
    with serving("0.0.0.0", control) as url:  # noqa: S104 - what is tested
        assert httpx.get(f"{url}/_emulator/health").status_code == 200
        assert httpx.get(f"{url}/_emulator/clock").status_code == status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - data
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_is_loopback_recognises_loopback_hosts(host: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "https://localhost.evil.example", "null"]
)
def test_requests_from_other_sites_are_refused(client: httpx.Client, origin: str) -> None:
    for method, path in (("POST", "reset"), ("POST", "scenarios/vendor-outage"), ("GET", "calls")):
        answer = client.request(method, f"/_emulator/{path}", headers={"Origin": origin})
        assert (answer.status_code, "other origins" in answer.json()["error"]) == (403, True)
    assert client.get("/_emulator/health", headers={"Origin": origin}).status_code == 200
    own = f"http://{client.base_url.netloc.decode()}"
    assert client.get("/_emulator/clock", headers={"Origin": own}).status_code == 200


def test_requests_with_a_foreign_host_name_are_refused(client: httpx.Client) -> None:
    for host, status in (("evil.example", 403), ("evil.example:3468", 403), ("localhost:80", 200)):
        assert client.get("/_emulator/clock", headers={"Host": host}).status_code == status


def gate_of(*hosts: str) -> ControlGate:
    """Return the gate of a server that listens on all addresses, with the control API on."""
    return ControlGate("on", None, hosts)


def status_of(gate: ControlGate, host: str, origin: str | None = None) -> int:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    scope = {"type": "http", "path": "/_emulator/reset", "headers": headers, "server": ("10.0.0.2", 3468)}
    answer = gate(scope)
    return 200 if answer is None else answer.status_code


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3468", "rebound.127.0.0.1.nip.io", "a.internal.evil"]
)
def test_a_rebound_name_with_its_own_origin_is_refused_on_every_address(host: str) -> None:
    """The page's name leads to the emulator, so the browser takes the emulator for the page's own server."""
    assert status_of(gate_of(), host, f"http://{host}") == 403
    assert status_of(gate_of("emulator.ci.example", "*.good.example"), host, f"http://{host}") == 403


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:3468",
        "10.0.0.2:3468",
        "[::1]:3468",
        "localhost",
        "face-api-emulator:3468",
        "host.docker.internal",
    ],
)
def test_addresses_and_names_of_a_local_network_are_served_on_every_address(host: str) -> None:
    assert status_of(gate_of(), host) == 200
    assert status_of(gate_of(), host, "http://evil.example") == 403


def test_a_setting_adds_host_names() -> None:
    gate = gate_of("Emulator.ci.example", "*.svc.cluster.local")
    for host, status in (
        ("emulator.ci.example:80", 200),
        ("EMULATOR.CI.EXAMPLE.", 200),
        ("a.svc.cluster.local", 200),
        ("svc.cluster.local.evil.example", 403),
        ("x.emulator.ci.example", 403),
    ):
        assert status_of(gate, host) == status, host
    assert status_of(gate_of("*"), "anything.example") == 200
    assert status_of(gate_of("*"), "anything.example", "http://evil.example") == 403


def test_the_setting_reaches_the_gate(workers: WorkerPool) -> None:
    with running_server(Settings(control="on", control_hosts=("a.example",)), workers=workers) as server:
        clock = f"{server.base_url}/_emulator/clock"
        assert httpx.get(clock, headers={"Host": "a.example"}).status_code == 200
        answer = httpx.get(clock, headers={"Host": "b.example", "Origin": "http://b.example"})
        assert answer.status_code == 403
        assert "FACE_EMULATOR_CONTROL_HOSTS" in answer.json()["error"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:3468", True),
        ("[::1]:3468", True),
        ("192.168.1.7", True),
        ("localhost", True),
        ("LOCALHOST.:80", True),
        ("a.localhost", True),
        ("emulator:3468", True),
        ("host.docker.internal", True),
        ("internal.example", False),
        ("", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("[", False),
        (":80", False),
    ],
)
def test_names_this_machine_recognises_local_host_names(host: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert names_this_machine(host) is expected


@contextmanager
def serving(host: str, control: str) -> Iterator[str]:
    """Run ``face-emulator serve`` and yield its URL on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "emulator", "serve", "--host", host, "--port", str(port)],
        env={"FACE_EMULATOR_CONTROL": control, "FACE_EMULATOR_WORKERS": "1", "PATH": ""},
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/_emulator/health")
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()
