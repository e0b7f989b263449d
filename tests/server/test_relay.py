from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.server.relay import Relay, Target
from emulator.settings import Settings
from emulator.web.proxy import not_served, split_authority

NAME = "api-us.faceplusplus.com"


def test_a_tunnel_to_a_vendor_leads_to_the_tls_listener() -> None:
    relay = Relay([NAME], ("127.0.0.1", 8443))
    assert relay.target(f"{NAME}:443") == Target("127.0.0.1", 8443, is_foreign=False)
    assert relay.target(f"{NAME.upper()}.:443") == Target("127.0.0.1", 8443, is_foreign=False)


@pytest.mark.parametrize(
    ("authority", "reason"),
    [
        (f"{NAME}:80", "on port 443 only"),
        ("example.com:443", "the vendors' names only, not example.com:443"),
        (f"evil.{NAME}:443", "the vendors' names only"),
        ("127.0.0.1:3468", "the vendors' names only"),
        ("[::1]:443", "the vendors' names only"),
        ("", "the vendors' names only"),
    ],
)
def test_other_tunnels_are_refused(authority: str, reason: str) -> None:
    refused = Relay([NAME], ("127.0.0.1", 8443)).target(authority)
    assert isinstance(refused, str)
    assert reason in refused


def test_without_tls_a_tunnel_is_refused_with_the_remedy() -> None:
    assert Relay([NAME]).target(f"{NAME}:443") == (
        f"TLS is off; start the emulator with --tls to serve {NAME}"
    )


@given(host=st.from_regex(r"[a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True), port=st.integers(0, 65535))
def test_an_authority_is_split(host: str, port: int) -> None:
    assert split_authority(f"{host}:{port}") == (host, port)
    assert split_authority(host) == (host, None)


@given(st.text())
def test_any_authority_is_split(text: str) -> None:
    host, port = split_authority(text)
    assert host == host.lower()
    assert port is None or 0 <= port <= 99999


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A server that returns what it gets, and that the proxy may reach."""

    async def allow(host: str, _port: int) -> str:
        return host

    # The proxy never reaches loopback addresses, and the machine may have no others.
    monkeypatch.setattr("emulator.server.relay.foreign_address", allow)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()


def connect(server: Listening, authority: str) -> tuple[socket.socket, bytes]:
    url = urlsplit(server.base_url)
    connection = socket.create_connection((str(url.hostname), int(url.port or 80)), timeout=30)
    connection.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    return connection, head


def test_other_hosts_pass_by_a_setting(echo: tuple[str, int], workers: WorkerPool) -> None:
    """Megabytes pass in both directions at once, and the end of one direction leaves the other open."""
    sent = bytes(range(256)) * 40_000
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        connection, head = connect(server, f"{echo[0]}:{echo[1]}")
        with connection:
            assert head.startswith(b"HTTP/1.1 200 ")

            def send() -> None:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=send)
            thread.start()
            got = b""
            while data := connection.recv(65536):
                got += data
            thread.join()
            assert got == sent


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"])  # noqa: S104
def test_the_proxy_never_reaches_this_machine(workers: WorkerPool, host: str) -> None:
    """Otherwise, a client of the proxy could call the control API, or other services on loopback."""
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        connection, head = connect(server, f"{host}:{urlsplit(server.base_url).port}")
        connection.close()
        assert head.startswith(b"HTTP/1.1 502 ")


def test_a_refused_tunnel_is_in_the_journal(server: Listening, client: httpx.Client) -> None:
    connection, head = connect(server, "journal.example:443")
    with connection:
        assert head.startswith(b"HTTP/1.1 403 ")
        body = b""
        while data := connection.recv(65536):  # until the server closes the connection
            body += data
    assert b"the proxy serves the vendors' names only, not journal.example:443" in body
    calls = client.get("/_emulator/calls", params={"last": 50}).json()["calls"]
    (call,) = (call for call in calls if call["url"].endswith("//journal.example:443"))
    assert (call["vendor"], call["method"], call["status"]) == ("proxy", "CONNECT", 403)
    assert [warning["code"] for warning in call["warnings"]] == ["proxy-refused"]


def test_a_plain_request_to_another_host_is_refused(server: Listening, client: httpx.Client) -> None:
    with httpx.Client(proxy=server.base_url, trust_env=False) as proxied:
        answer = proxied.get("http://plain.example/_emulator/health")
    assert (answer.status_code, answer.text) == (403, f"{not_served('plain.example')}\n")
    calls = client.get("/_emulator/calls", params={"last": 50}).json()["calls"]
    assert any(call["url"] == "http://plain.example" for call in calls)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_control_api_is_not_served_to_a_proxy(server: Listening, host: str) -> None:
    with httpx.Client(proxy=server.base_url, trust_env=False) as proxied:
        url = f"http://{host}:{urlsplit(server.base_url).port}/_emulator/health"
        assert proxied.get(url).status_code == 403


def test_a_plain_request_to_a_vendor_is_served(server: Listening) -> None:
    """The authority of the URL decides, whatever the header ``Host``."""
    with httpx.Client(proxy=server.base_url, trust_env=False) as proxied:
        answer = proxied.get(f"http://{NAME}/nothing", headers={"Host": "example.com"})
    assert answer.json() == {"error_message": "API_NOT_FOUND"}


def test_open_tunnels_do_not_delay_the_stop(echo: tuple[str, int], workers: WorkerPool) -> None:
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        connection, head = connect(server, f"{echo[0]}:{echo[1]}")
        assert head.startswith(b"HTTP/1.1 200 ")
    with connection:
        assert connection.recv(1) == b""


def test_an_unreachable_target_gets_bad_gateway(workers: WorkerPool) -> None:
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        connection, head = connect(server, "no.such.host.invalid:443")
        connection.close()
    assert head.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("effect", ["slow", "fast"])
def test_a_tunnel_opens_after_the_response_of_an_earlier_request(workers: WorkerPool, effect: str) -> None:
    """All three are sent at once: a request, ``CONNECT``, and the first bytes for the tunnel."""
    fault = b"X-Emulator-Fault: slow\r\n" if effect == "slow" else b""
    hello = TlsHello()
    request = (
        b"POST /facepp/v1/3dface HTTP/1.1\r\nHost: h\r\n%bContent-Length: 0\r\n\r\n"
        b"CONNECT %b:443 HTTP/1.1\r\nHost: h\r\n\r\n" % (fault, NAME.encode())
    )
    with running_server(Settings(), workers=workers, tls_port=0) as server:
        url = urlsplit(server.base_url)
        with socket.create_connection((str(url.hostname), int(url.port or 80)), timeout=30) as connection:
            connection.sendall(request + hello.begin())
            got = b""
            while b"established" not in got:
                got += connection.recv(65536)
            assert got.startswith(b"HTTP/1.1 400 ")
            tunnel = got.partition(b"HTTP/1.1 200 Connection established\r\n\r\n")[2]
            assert hello.finish(connection, tunnel) == "TLSv1.3"
        calls = httpx.get(f"{server.base_url}/_emulator/calls", trust_env=False).json()["calls"]
    assert [(call["method"], call["status"]) for call in calls] == [("POST", 400)]


class TlsHello:
    """The client's side of a TLS handshake, in memory."""

    def __init__(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)

    def begin(self) -> bytes:
        """Return the first message."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._object.do_handshake()
        return self._outgoing.read()

    def finish(self, connection: socket.socket, got: bytes) -> str | None:
        """Read the server's messages, and return the version of TLS."""
        while True:
            self._incoming.write(got)
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                got = connection.recv(65536)
            else:
                return self._object.version()


@pytest.mark.parametrize("status", [200, 502])
def test_a_tunnel_to_another_host_is_in_the_journal(
    echo: tuple[str, int], workers: WorkerPool, status: int
) -> None:
    authority = f"{echo[0]}:{echo[1]}" if status == 200 else "no.such.host.invalid:443"
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        connection, head = connect(server, authority)
        connection.close()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        (call,) = httpx.get(f"{server.base_url}/_emulator/calls", trust_env=False).json()["calls"]
    assert (call["vendor"], call["method"], call["status"]) == ("proxy", "CONNECT", status)
    assert (call["url"], call["warnings"]) == (f"http://{authority}", [])
