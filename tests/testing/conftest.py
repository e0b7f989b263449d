"""Servers in the places of the vendors and of emulators, and a name server that knows only the vendors."""

from __future__ import annotations

import _socket
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from redirect_peers import NAMES, Peer, peer
from redirect_state import state


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A server in the place of the vendor."""
    with peer("vendor", tmp_path_factory.mktemp("vendor")) as server:
        yield server


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A server in the place of the emulator."""
    with peer("emulator", tmp_path_factory.mktemp("emulator")) as server:
        yield server


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """A second emulator."""
    with peer("another", tmp_path_factory.mktemp("another")) as server:
        yield server


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve the vendors' names to the loopback interface, and no other names."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    # The first two would replace the authorities that a test gives to requests.
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    original = _socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in NAMES:
            return original("127.0.0.1", *arguments)
        if name in {"localhost", None} or name.replace(".", "").isdecimal() or ":" in name:
            return original(host, *arguments)
        raise socket.gaierror(socket.EAI_NONAME, "no such name in this test")

    async def loop_getaddrinfo(_self: Any, host: Any, port: Any, **options: Any) -> Any:
        return socket.getaddrinfo(host, port, **options)

    connect = uvloop.Loop.create_connection

    async def create_connection(
        self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        if host in NAMES:
            if options.get("ssl"):
                options.setdefault("server_hostname", host)
            host = "127.0.0.1"
        return await connect(self, factory, host, port, **options)

    monkeypatch.setattr(_socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(uvloop.Loop, "getaddrinfo", loop_getaddrinfo)
    monkeypatch.setattr(uvloop.Loop, "create_connection", create_connection)


@pytest.fixture
def nothing_is_left(name_server: None) -> Iterator[None]:  # noqa: ARG001 - only its effect is needed
    """Check that a test undoes all that redirects change. It runs with the name server."""
    before = state()
    yield
    assert state() == before


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that name proxies."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
