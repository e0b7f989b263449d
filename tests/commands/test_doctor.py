from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from command_runs import face_emulator

from emulator.backends.queue.pool import WorkerPool
from emulator.commands import doctor
from emulator.commands.doctor import Result, check_name
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client import Client
from face_api_emulator.client.variables import variables_of

NAME = "api-us.faceplusplus.com"


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, workers: WorkerPool) -> Iterator[Listening]:
    """A server with TLS."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running_server(settings, workers=workers, tls_port=0) as server:
        yield server


@pytest.fixture
def redirected(secure: Listening, monkeypatch: pytest.MonkeyPatch) -> Listening:
    """A server that this process reaches by its environment, as a child of ``exec`` does."""
    with Client(secure.base_url) as client:
        found = variables_of(client, secure.base_url, {})
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return secure


@pytest.mark.usefixtures("redirected")
def test_a_name_that_reaches_the_emulator_passes() -> None:
    finding = check_name(NAME)
    assert (finding.result, finding.found) == (Result.PASS, "reaches the emulator, trusted")


@pytest.mark.usefixtures("redirected")
def test_a_name_that_is_not_trusted_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    finding = check_name(NAME)
    assert finding.result is Result.FAIL
    assert finding.found.startswith("not trusted: ")
    assert "face-emulator exec" in finding.remedy


@pytest.mark.usefixtures("redirected")
def test_a_name_that_the_emulator_does_not_serve_is_refused() -> None:
    finding = check_name("example.com")
    assert finding.result is Result.WARN
    assert "403" in finding.found


@pytest.mark.usefixtures("no_proxy")
def test_a_real_vendor_is_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it must not connect")

    public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: public)
    monkeypatch.setattr(socket, "create_connection", fail)
    finding = check_name(NAME)
    assert (finding.result, finding.found) == (Result.WARN, "resolves to 8.8.8.8, the real service")


@pytest.mark.usefixtures("no_proxy")
def test_another_proxy_is_never_asked_for_a_real_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    class Other(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    with ThreadingTCPServer(("127.0.0.1", 0), Other) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
        finding = check_name(NAME)
        proxy.shutdown()
    assert finding.result is Result.WARN
    assert finding.found.endswith("is not the emulator, and may lead to the real service")
    assert asked == [b"GET /_emulator/health HTTP/1.1\r\n"]


@pytest.mark.usefixtures("no_proxy")
def test_a_name_that_does_not_resolve_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert check_name(NAME).found == "no connection: no such name"


@pytest.mark.usefixtures("redirected")
def test_another_server_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trusted server that is not the emulator, such as the real service."""
    issuer = {"issuer": ((("organizationName", "A public authority"),),)}
    monkeypatch.setattr(ssl.SSLSocket, "getpeercert", lambda _: issuer)
    finding = check_name(NAME)
    assert (finding.result, finding.found) == (Result.FAIL, "another server answers")


def test_a_server_without_tls_is_reported(server: Listening) -> None:
    host, port = server.base_url.removeprefix("http://").split(":")
    finding = check_name(NAME, connect=lambda _: socket.create_connection((host, int(port))))
    assert finding.result is Result.FAIL
    assert finding.remedy == "start the emulator with --tls"


def test_without_an_emulator_the_port_is_checked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = face_emulator("doctor", "--json", "--url", f"http://127.0.0.1:{port}")
    found = {each["check"]: each["result"] for each in json.loads(ran.stdout)}
    assert (found["emulator"], found["port"], found["face core"]) == ("warn", "fail", "pass")
    assert ran.returncode == 1


def test_a_running_emulator_is_checked(redirected: Listening) -> None:
    ran = face_emulator("doctor", "--url", redirected.base_url)
    assert ran.returncode == 0, ran.stdout
    lines = ran.stdout.splitlines()
    assert "pass  clock: the emulator's clock has the time of this machine" in lines
    assert f"pass  https://{NAME}: reaches the emulator, trusted" in lines
    assert any(line.startswith("pass  emulator: ") and line.endswith("ready") for line in lines)


@pytest.mark.parametrize(
    ("cores", "free", "results"), [(8, 8e9, ["pass", "pass"]), (1, 1e9, ["warn", "warn"])]
)
def test_small_machines_are_reported(
    monkeypatch: pytest.MonkeyPatch, cores: int, free: float, results: list[str]
) -> None:
    import psutil  # noqa: PLC0415 - only here

    class Memory:
        available = free

    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert [doctor._cores().result, doctor._memory().result] == results  # noqa: SLF001 - the checks


def test_healthcheck_has_two_exit_codes(server: Listening) -> None:
    with Client(server.base_url) as client:
        client.wait_until_ready()
    assert face_emulator("healthcheck", "--url", server.base_url).returncode == 0
    ran = face_emulator("healthcheck", "--url", "http://127.0.0.1:9")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "http://127.0.0.1:9 is not ready" in ran.stderr


def test_wait_has_an_exit_code_of_its_own_at_the_timeout(server: Listening) -> None:
    assert face_emulator("wait", FACE_EMULATOR_URL=server.base_url).returncode == 0
    ran = face_emulator("wait", "--timeout", "0.1", "--url", "http://127.0.0.1:9")
    assert ran.returncode == 124
    assert "is not ready after 0.1 s" in ran.stderr
