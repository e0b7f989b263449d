"""Functions that close connections of this process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import os
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from face_api_emulator.testing.interception.hosts import INTERNET, normalized
from face_api_emulator.testing.interception.protocols import Address

Close = Callable[[Any, frozenset[str]], None]
"""Closes a connection, the first argument, if its host is one of the names in the second argument."""

# On Windows, sockets are not files.
_duplicate: Callable[[int], int] = getattr(socket, "dup", os.dup)


def shut_down(sock: Any) -> None:
    """Shut down a connection, so that its owner sees it as closed. The owner must still close the socket."""
    # Shut down a duplicate: ``shutdown`` of a TLS socket would delete its TLS state, and the sockets of
    # uvloop do not support ``shutdown``.
    with (
        contextlib.suppress(OSError, ValueError),
        socket.socket(fileno=_duplicate(sock.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def abort(transport: Any, loop: asyncio.AbstractEventLoop | None) -> None:
    """Abort an asynchronous connection, in the thread of its loop.

    A connection pool notices immediately that a transport is aborted. If only the socket were shut down, the
    pool would not notice until the loop has run.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None:
        shut_down(sock)
    if loop is None or loop.is_closed():
        return
    # Another thread can close the loop meanwhile.
    with contextlib.suppress(RuntimeError):
        if loop.is_running() and not _is_here(loop):
            loop.call_soon_threadsafe(transport.abort)
        else:
            transport.abort()


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop runs in this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def close_earlier(names: frozenset[str], emulator: frozenset[Address]) -> None:
    """Close the connections that this process already has to the hosts in ``names``.

    No library lists its connections, so this searches all Python objects, which takes some milliseconds. The
    search is skipped if all connections of the process go to the addresses in ``emulator``.
    """
    if not _has_connections(emulator):
        return
    closers = _closers()
    for each in [each for each in gc.get_objects() if type(each) in closers]:
        # Some objects are not initialised, or have been closed meanwhile.
        with contextlib.suppress(AttributeError, LookupError):
            closers[type(each)](each, names)


def _has_connections(known: frozenset[Address]) -> bool:
    """Return whether the process has TCP connections to or from addresses that are not ``known``."""
    try:
        descriptors = [path.name for path in Path("/dev/fd").iterdir()]
    except OSError:
        return True
    for each in descriptors:
        with contextlib.suppress(OSError, ValueError):
            copy = os.dup(int(each))
            try:
                sock = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with sock:
                if sock.family in INTERNET and sock.type == socket.SOCK_STREAM:
                    ends = {sock.getpeername()[:2], sock.getsockname()[:2]}
                    if not ends & known:
                        return True
    return False


def _closers() -> dict[type, Close]:
    """Return the types of all connections, and the functions that close them."""
    closers: dict[type, Close] = {}

    def add(kind: type | None, close: Close) -> None:
        if kind is not None:
            closers[kind] = close
            subclasses: list[type] = kind.__subclasses__()
            for each in subclasses:
                add(each, close)

    def find(module: str, name: str) -> type | None:
        return getattr(sys.modules.get(module), name, None)

    add(http.client.HTTPConnection, _close_http)
    add(ssl.SSLSocket, _close_tls)
    add(find("anyio.streams.tls", "TLSStream"), _close_stream)
    for module in ("asyncio.sslproto", "uvloop.loop"):
        add(find(module, "_SSLProtocolTransport"), _close_transport)
    return closers


def _close_http(connection: http.client.HTTPConnection, names: frozenset[str]) -> None:
    hosts = {normalized(connection.host), normalized(getattr(connection, "_tunnel_host", None))}
    if connection.sock is not None and hosts & names:
        shut_down(connection.sock)
        # The object connects again for the next request.
        connection.close()


def _close_tls(sock: ssl.SSLSocket, names: frozenset[str]) -> None:
    if normalized(sock.server_hostname) in names:
        shut_down(sock)


def _close_transport(transport: Any, names: frozenset[str]) -> None:
    if normalized(transport.get_extra_info("ssl_object").server_hostname) in names:
        # uvloop's transports do not reveal their loop, but most protocols do.
        loops = (getattr(each, "_loop", None) for each in (transport, transport.get_protocol()))
        abort(transport, next(filter(None, loops), None))


def _close_stream(stream: Any, names: frozenset[str]) -> None:
    if normalized(stream._ssl_object.server_hostname) in names:  # noqa: SLF001 - anyio hides it
        raw = sys.modules["anyio.abc"].SocketAttribute.raw_socket
        shut_down(stream.extra(raw))  # noqa: S610 - not Django's
