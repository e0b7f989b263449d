"""The interfaces that redirects and seals implement, and that the patches call."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

Address = tuple[str, int]


class Route(Protocol):
    """Where the connections to a redirected name go."""

    def address(self, port: int) -> Address:
        """Return the emulator's address and port for connections to ``port`` of the name."""

    def context(self, given: ssl.SSLContext) -> ssl.SSLContext:
        """Return the TLS context to use in place of the client's."""

    def add(self, sock: socket.socket) -> None:
        """Remember a connection, so that it is closed when the redirect ends."""

    def add_transport(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> None:
        """Remember the transport of a connection, so that it is closed when the redirect ends."""

    def has(self, sock: socket.socket) -> bool:
        """Return whether the connection was remembered."""


class Redirector(Protocol):
    """Finds the routes of names."""

    def route(self, name: str) -> Route | None:
        """Return the route of a normalised name."""

    def routes(self) -> Sequence[Route]:
        """Return all routes."""

    def is_target(self, host: str, port: int | None) -> bool:
        """Return whether this is an address of the emulator."""


class Watcher(Protocol):
    """Checks names and addresses that are not redirected."""

    def lookup(self, host: str, port: int | None) -> None:
        """Raise an ``OSError`` if the process may not look up the name."""

    def connect(self, host: str, port: int | None) -> None:
        """Raise an ``OSError`` if the process may not reach the address or name."""

    def found(self, host: str, addresses: Sequence[str]) -> None:
        """Receive the addresses of a name that was looked up."""
