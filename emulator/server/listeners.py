"""Listening sockets, and the URLs at which clients reach them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

BACKLOG = 2048
"""Largest number of connections of a socket that can wait in the kernel."""

Address = tuple[socket.AddressFamily, str]


class AddressInUse(Exception):
    """Another process listens on the address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port

    def __str__(self) -> str:
        where = f"{_bracketed(self.host)}:{self.port}"
        return f"{where} is in use: stop the other server, or choose another port with --port"


class AddressUnusable(Exception):
    """The emulator cannot listen on the address."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(host, port, reason)
        self.host = host
        self.port = port
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot listen on {_bracketed(self.host)}:{self.port}: {self.reason}"


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return sockets that listen on ``port`` of every address of ``hosts``.

    A name such as ``localhost`` can have an IPv4 and an IPv6 address. ``::`` also accepts IPv4 if the system
    allows it. If ``port`` is 0, the first socket gets a free port, and the other sockets get the same port.

    Raises
    ------
    AddressInUse
        If another process listens on one of the addresses.
    AddressUnusable
        If a host is not an address of this machine, or the port requires more privileges.
    """
    bound: list[socket.socket] = []
    try:
        for family, address in _distinct([each for host in hosts for each in _addresses(host, port)]):
            bound.append(_bind(family, address, port or (bound[0].getsockname()[1] if bound else 0)))
    except BaseException:
        for each in bound:
            each.close()
        raise
    return bound


def base_url(bound: socket.socket, scheme: str = "http") -> str:
    """Return the URL of a listening socket. If it listens on all addresses, return the loopback URL."""
    host, port = bound.getsockname()[:2]
    return f"{scheme}://{_bracketed(reachable(host))}:{port}"


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a socket that is bound to the address ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _addresses(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressUnusable(host, port, str(getattr(error, "strerror", error))) from error
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _distinct(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses that no other address includes. For example, 0.0.0.0 includes 127.0.0.1."""
    has_all_of_ipv6 = (socket.AF_INET6, "::") in addresses
    has_all_of_ipv4 = (socket.AF_INET, "0.0.0.0") in addresses  # noqa: S104 - compared, not bound
    is_dual = has_all_of_ipv6 and socket.has_dualstack_ipv6()

    def is_included(family: socket.AddressFamily, address: str) -> bool:
        if family is socket.AF_INET6:
            return has_all_of_ipv6 and address != "::"
        return is_dual or (has_all_of_ipv4 and address != "0.0.0.0")  # noqa: S104 - compared, not bound

    return [each for each in dict.fromkeys(addresses) if not is_included(*each)]


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    try:
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_dual)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(host, port) from error
        raise AddressUnusable(host, port, error.strerror or str(error)) from error
    # Connections inherit this option from the socket. A response's head and body are two writes. Without the
    # option, the second write waits for the client's delayed acknowledgement of the first, which takes 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
