"""Fixtures for tests over HTTP: control clients, a plain socket, and vendors that a test defines."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.types import ASGIApp

from emulator.app import create_app
from emulator.server import Listening
from emulator.settings import Settings
from emulator.web.application import vendor_application
from emulator.web.dispatch import Dispatch
from emulator.web.vendor import Vendor, VendorSettings
from face_api_emulator.client import Client

numbers = itertools.count()


@pytest.fixture
def me(server: Listening) -> Iterator[Client]:
    """A control client with a credential of its own."""
    with Client(server.base_url, f"sk-call-{next(numbers)}") as control:
        yield control
        control.reset()


@pytest.fixture
def everybody(server: Listening) -> Iterator[Client]:
    """A control client without a credential, whose rules can apply to all calls of the session."""
    with Client(server.base_url) as control:
        yield control


@pytest.fixture
def no_warnings_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that the emulator logs no warning, because an injected fault is no error of the emulator."""
    with caplog.at_level(logging.WARNING):
        yield
    logged = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert logged == [], logged[0].getMessage()


@pytest.fixture
def raw(server: Listening) -> Callable[[bytes], tuple[bytes, str]]:
    """Return a function that sends bytes. It returns the response, and how it ended: ``eof`` or ``reset``."""
    url = httpx.URL(server.base_url)

    def raw(request: bytes) -> tuple[bytes, str]:
        got = b""
        with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
            try:
                connection.sendall(request)
                while chunk := connection.recv(65536):
                    got += chunk
            except ConnectionResetError:
                return got, "reset"
        return got, "eof"

    return raw


@pytest.fixture
def upload(server: Listening) -> Callable[..., bytes]:
    """Return a function that builds an upload of ``size`` bytes to an unknown presigned URL."""
    host = httpx.URL(server.base_url).netloc.decode()

    def upload(size: int, **headers: str) -> bytes:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"PUT /yce-us/ttl30/nothing.jpg HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {size}\r\n"
        return f"{head}\r\n".encode() + bytes(size)

    return upload


@pytest.fixture(scope="session")
def served() -> Callable[..., ASGIApp]:
    """Return a function that serves only a vendor that the test defines."""
    app = create_app(Settings(vendor_packages=(), workers=1))

    def served(vendor: Vendor, settings: VendorSettings | None = None) -> ASGIApp:
        application = vendor_application(vendor, app.state.world, settings or vendor.settings_model())
        return Dispatch(app, [vendor], {vendor.name: application}, app.state.world, lambda _scope: None, 30.0)

    return served
