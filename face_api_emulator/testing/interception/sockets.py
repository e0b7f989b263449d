"""Patches of ``socket``: lookups, connections and datagrams."""

from __future__ import annotations

import _socket
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

from face_api_emulator.testing.interception.classes import SOCKET
from face_api_emulator.testing.interception.hosts import is_internet, port_number
from face_api_emulator.testing.interception.patch import Replacement
from face_api_emulator.testing.interception.registry import (
    check_connect,
    check_lookup,
    find_route,
    refuse_datagrams,
    report_found,
)
from face_api_emulator.testing.interception.stand_ins import stand_in


def socket_replacements() -> Iterator[Replacement]:
    """Yield the replacements of functions of ``socket``."""
    yield _socket, "getaddrinfo", _getaddrinfo
    yield socket, "gethostbyname", _gethostbyname
    yield socket, "gethostbyname_ex", _gethostbyname_ex
    yield socket, "getnameinfo", _getnameinfo
    yield SOCKET, "connect", _connect
    yield SOCKET, "connect_ex", _connect
    yield SOCKET, "sendto", _sendto
    if hasattr(SOCKET, "sendmsg"):
        yield SOCKET, "sendmsg", _sendmsg


def destination(sock: socket.socket, address: Any) -> Any:
    """Return the address to connect a socket to."""
    if not is_internet(sock, address):
        return address
    found = find_route(address[0])
    if found is None:
        check_connect(address)
        return address
    # This is also done for datagram sockets. Nothing receives their datagrams, so HTTP/3 clients fall back to
    # TCP.
    host, port = found[1].address(port_number(address[1]) or 0)
    found[1].add(sock)
    if sock.family == socket.AF_INET6 and ":" not in host:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        host = f"::ffff:{host}"
    return host, port


def _check_message(sock: socket.socket, address: Any) -> None:
    """Check the destination of a datagram."""
    if is_internet(sock, address):
        refuse_datagrams(address[0])
        check_connect(address)


def _getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as in socket
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        found = None if flags & socket.AI_NUMERICHOST else find_route(host)
        if found is not None:
            name, route = found
            results = original(stand_in(name, route, family), port, family, type, proto, flags)
            return [(*result[:3], result[3] and name, result[4]) for result in results]
        check_lookup(host, port)
        results = original(host, port, family, type, proto, flags)
        report_found(host, [result[4][0] for result in results])
        return cast("list[Any]", results)

    return getaddrinfo


def _gethostbyname(original: Callable[..., Any]) -> Callable[..., Any]:
    def gethostbyname(host: Any) -> Any:
        found = find_route(host)
        if found is not None:
            return stand_in(*found, socket.AF_INET)
        check_lookup(host, None)
        address = original(host)
        report_found(host, [address])
        return address

    return gethostbyname


def _gethostbyname_ex(original: Callable[..., Any]) -> Callable[..., Any]:
    def gethostbyname_ex(host: Any) -> Any:
        found = find_route(host)
        if found is not None:
            return found[0], [], [stand_in(*found, socket.AF_INET)]
        check_lookup(host, None)
        results = original(host)
        report_found(host, results[2])
        return results

    return gethostbyname_ex


def _getnameinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getnameinfo(address: Any, flags: int) -> Any:
        # With this flag, ``getnameinfo`` only formats the address, and asks no name server.
        if not flags & socket.NI_NUMERICHOST:
            check_connect(address)
        return original(address, flags)

    return getnameinfo


def _connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any, /) -> Any:
        return original(self, destination(self, address))

    return connect


def _sendto(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendto(self: socket.socket, *arguments: Any) -> Any:
        if len(arguments) > 1:
            _check_message(self, arguments[-1])
        return original(self, *arguments)

    return sendto


def _sendmsg(original: Callable[..., Any]) -> Callable[..., Any]:
    def sendmsg(self: socket.socket, *arguments: Any) -> Any:
        if len(arguments) == 4:
            _check_message(self, arguments[3])
        return original(self, *arguments)

    return sendmsg
