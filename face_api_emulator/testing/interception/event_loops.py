"""Patches of the event loops of asyncio and uvloop."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from face_api_emulator.testing.interception.hosts import port_number
from face_api_emulator.testing.interception.patch import Replacement
from face_api_emulator.testing.interception.protocols import Route
from face_api_emulator.testing.interception.registry import (
    check_lookup,
    check_target,
    find_route,
    refuse_datagrams,
    report_found,
    route_of_connection,
)
from face_api_emulator.testing.interception.sockets import destination
from face_api_emulator.testing.interception.stand_ins import stand_in

UNUSED = ("family", "proto", "flags", "local_addr", "happy_eyeballs_delay", "interleave", "all_errors")
"""Arguments of ``create_connection`` that only matter without a connected socket."""


def asyncio_replacements() -> Iterator[Replacement]:
    """Yield the replacements of methods of asyncio's event loops."""
    yield asyncio.BaseEventLoop, "create_connection", _create_connection
    yield asyncio.BaseEventLoop, "getaddrinfo", _getaddrinfo
    if sys.platform == "win32":
        from asyncio.proactor_events import BaseProactorEventLoop  # noqa: PLC0415 - exists only there

        # This loop does not call the socket's ``connect``.
        yield BaseProactorEventLoop, "sock_connect", _sock_connect


def uvloop_replacements(module: ModuleType) -> Iterator[Replacement]:
    """Yield the replacements of methods of uvloop's event loop."""
    yield module.Loop, "create_connection", _create_connection
    yield module.Loop, "getaddrinfo", _getaddrinfo
    yield module.Loop, "create_datagram_endpoint", _create_datagram_endpoint


def _create_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_connection(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        found = None if host is None else find_route(host)
        if found is None:
            if host is not None:
                check_target(host, port)
            made = await original(self, protocol_factory, host, port, **options)
            route = None if options.get("sock") is None else route_of_connection(None, options["sock"])
        else:
            name, route = found
            options = {key: value for key, value in options.items() if key not in UNUSED}
            if options.get("ssl") and options.get("server_hostname") is None:
                options["server_hostname"] = name
            sock = await _open(self, route, port_number(port) or 0)
            try:
                made = await original(self, protocol_factory, sock=sock, **options)
            except BaseException:
                sock.close()
                raise
        if route is not None:
            route.add_transport(made[0], self)
        return made

    return create_connection


async def _open(loop: asyncio.AbstractEventLoop, route: Route, port: int) -> socket.socket:
    """Return a socket that is connected to the emulator."""
    address = route.address(port)
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    route.add(sock)
    return sock


def _getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    async def getaddrinfo(self: asyncio.AbstractEventLoop, host: Any, port: Any, **options: Any) -> Any:
        found = None if options.get("flags", 0) & socket.AI_NUMERICHOST else find_route(host)
        if found is not None:
            return await original(self, stand_in(*found, options.get("family", 0)), port, **options)
        # Check here as well, because asyncio looks names up in a thread, where the caller is unknown.
        check_lookup(host, port)
        results = await original(self, host, port, **options)
        report_found(host, [result[4][0] for result in results])
        return results

    return getaddrinfo


def _create_datagram_endpoint(original: Callable[..., Any]) -> Callable[..., Any]:
    async def create_datagram_endpoint(
        self: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], Any],
        local_addr: Any = None,
        remote_addr: Any = None,
        **options: Any,
    ) -> Any:
        if isinstance(remote_addr, tuple):
            refuse_datagrams(remote_addr[0])
            check_target(*remote_addr[:2])
        return await original(self, protocol_factory, local_addr, remote_addr, **options)

    return create_datagram_endpoint


def _sock_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    async def sock_connect(self: asyncio.AbstractEventLoop, sock: socket.socket, address: Any) -> None:
        await original(self, sock, destination(sock, address))

    return sock_connect
