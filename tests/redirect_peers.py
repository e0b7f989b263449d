"""Servers in the places of vendors and emulators, for the tests of ``face_api_emulator.testing``."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emulator.clock import machine_time
from emulator.tls.authority import open_authority
from emulator.tls.context import server_context
from face_api_emulator.testing.redirect import redirected

NAME = "api-us.faceplusplus.com"
NAMES = (NAME, "yce-api-01.makeupar.com")


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="the machine has no IPv6")


@dataclass(frozen=True)
class Peer:
    """A server with its own certificate authority. It answers with its own name."""

    text: str
    plain: tuple[str, int]
    tls: tuple[str, int]
    ca_file: Path

    @property
    def ca(self) -> str:
        return self.ca_file.read_text()

    @property
    def url(self) -> str:
        """A URL that leads here without a redirect, if the name resolves to the loopback interface."""
        return f"https://{NAME}:{self.tls[1]}/"

    def redirected(self, *names: str) -> contextlib.AbstractContextManager[None]:
        return redirected(names or NAMES, plain=self.plain, tls=self.tls, ca=self.ca)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None
    text = ""

    def handle_error(self, *_: object) -> None:
        """Ignore clients that refuse the certificate, and connections that tests end."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(self.timeout)
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = self.server.text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def peer(text: str, folder: Path, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Serve ``text`` with and without TLS, on connections that stay open."""
    authority = open_authority(folder, frozenset(NAMES), machine_time())
    context = context or server_context(authority, NAMES, machine_time)
    with contextlib.ExitStack() as stack:
        addresses = []
        for each in (None, context):
            server = stack.enter_context(_Server(("127.0.0.1", 0), _Handler))
            server.text, server.context = text, each
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            addresses.append(("127.0.0.1", server.server_address[1]))
        yield Peer(text, addresses[0], addresses[1], folder / "ca.pem")
