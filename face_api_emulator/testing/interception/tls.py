"""Patches of ``ssl``, where TLS starts."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from face_api_emulator.testing.interception.classes import SSL_CONTEXT
from face_api_emulator.testing.interception.patch import Replacement
from face_api_emulator.testing.interception.registry import find_route, route_of_connection


def tls_replacements() -> Iterator[Replacement]:
    """Yield the replacements of methods of ``ssl.SSLContext``."""
    yield SSL_CONTEXT, "wrap_socket", _wrap_socket
    yield SSL_CONTEXT, "wrap_bio", _wrap_bio


def _wrap_socket(original: Callable[..., Any]) -> Callable[..., Any]:
    def wrap_socket(
        self: ssl.SSLContext,
        sock: socket.socket,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in ssl
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002 - as in ssl
        suppress_ragged_eofs: bool = True,  # noqa: FBT001, FBT002 - as in ssl
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> Any:
        route = None if server_side else route_of_connection(server_hostname, sock)
        if route is None:
            context = self
        else:
            # The client's session is valid only with the client's own context and the vendor's server.
            context, session = route.context(self), None
        arguments = (
            sock,
            server_side,
            do_handshake_on_connect,
            suppress_ragged_eofs,
            server_hostname,
            session,
        )
        wrapped = original(context, *arguments)
        if route is not None:
            route.add(wrapped)
        return wrapped

    return wrap_socket


def _wrap_bio(original: Callable[..., Any]) -> Callable[..., Any]:
    def wrap_bio(
        self: ssl.SSLContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as in ssl
        server_hostname: str | bytes | None = None,
        session: Any = None,
    ) -> Any:
        found = None if server_side else find_route(server_hostname)
        if found is not None:
            return original(found[1].context(self), incoming, outgoing, server_side, server_hostname, None)
        return original(self, incoming, outgoing, server_side, server_hostname, session)

    return wrap_bio
