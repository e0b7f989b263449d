"""Plain ``http`` requests that the proxy passes on to another host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings

BIG = bytes(range(256)) * 20_000


class Other(BaseHTTPRequestHandler):
    """Another host, which returns what it gets."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Return the body, with the request's line and headers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(418)
        self.send_header("X-Line", self.requestline)
        self.send_header("X-Sent", ", ".join(sorted(name.lower() for name in self.headers)))
        self.send_header("X-Host", self.headers["Host"])
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Redirect."""
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def other() -> Iterator[str]:
    """The authority of another host."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"other.example:{server.server_port}"
        server.shutdown()


@pytest.fixture
def open_proxy(workers: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    """An emulator that passes requests to other hosts on. All names resolve to this machine."""

    async def this_machine(_host: str, _port: int) -> str:
        return "127.0.0.1"

    monkeypatch.setattr("emulator.web.forward.foreign_address", this_machine)
    with running_server(Settings(proxy_others=True), workers=workers) as server:
        yield server


def test_a_request_and_its_response_pass_unchanged(open_proxy: Listening, other: str) -> None:
    """The headers for the proxy itself are removed. The journal has the call, but not its bodies."""
    headers = {"Proxy-Authorization": "Basic eA==", "Connection": "X-Hop", "X-Hop": "1", "X-End": "2"}
    with httpx.Client(proxy=open_proxy.base_url, trust_env=False) as client:
        answer = client.post(f"http://{other}/a%20b?c=d&c=e", content=BIG, headers=headers)
    assert (answer.status_code, answer.content) == (418, BIG)
    assert answer.headers["X-Line"] == "POST /a%20b?c=d&c=e HTTP/1.1"
    assert answer.headers["X-Host"] == other
    sent = answer.headers["X-Sent"].split(", ")
    assert "x-end" in sent
    assert not {"proxy-authorization", "x-hop", "proxy-connection"} & set(sent)
    assert answer.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    (call,) = httpx.get(f"{open_proxy.base_url}/_emulator/calls", trust_env=False).json()["calls"]
    assert (call["vendor"], call["method"], call["path"], call["status"]) == ("proxy", "POST", "/a%20b", 418)
    assert (call["url"], call["sent"], call["answer"]) == (f"http://{other}", None, None)
    counts = open_proxy.app.state.world.call_counts
    assert counts.by_status() == {("proxy", "none", "418"): 1}
    # The duration includes the wait for the other host.
    (durations,) = counts.durations().values()
    assert durations.sum_s * 1000 == pytest.approx(call["duration_ms"], abs=5)
    assert min(durations.sum_s * 1000, call["duration_ms"]) > 1


def test_a_redirect_is_not_followed(open_proxy: Listening, other: str) -> None:
    with httpx.Client(proxy=open_proxy.base_url, trust_env=False) as client:
        answer = client.get(f"http://{other}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")


def test_an_unreachable_host_gets_bad_gateway(open_proxy: Listening) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with httpx.Client(proxy=open_proxy.base_url, trust_env=False) as client:
        answer = client.get(f"http://other.example:{port}/")
    assert answer.status_code == 502
    assert answer.text.startswith(f"other.example:{port} cannot be reached")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])  # noqa: S104
def test_the_proxy_never_reaches_this_machine(workers: WorkerPool, host: str) -> None:
    with (
        running_server(Settings(proxy_others=True), workers=workers) as server,
        httpx.Client(proxy=server.base_url, trust_env=False) as client,
    ):
        answer = client.get(f"http://{host}:{urlsplit(server.base_url).port}/_emulator/health")
    assert answer.status_code == 502


def test_an_https_url_needs_a_tunnel(open_proxy: Listening) -> None:
    url = urlsplit(open_proxy.base_url)
    with socket.create_connection((str(url.hostname), int(url.port or 80)), timeout=30) as connection:
        connection.sendall(b"GET https://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 403"
