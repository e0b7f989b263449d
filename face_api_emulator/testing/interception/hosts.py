"""Host names, addresses and ports, in the forms that clients give to sockets."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Any, cast

from face_api_emulator import trust

INTERNET = (socket.AF_INET, socket.AF_INET6)


def host_text(host: object) -> str:
    """Return a host as text, or an empty text if there is no host."""
    return bytes(host).decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def normalized(host: object) -> str:
    """Return a host name as lower-case text without a trailing dot; empty text if it is not a name."""
    return trust.normalized(host_text(host)) if isinstance(host, str | bytes | bytearray) else ""


def port_number(port: object) -> int | None:
    """Return the number of a port or of a service such as ``https``. Return None for an unknown service."""
    with contextlib.suppress(TypeError, ValueError):
        return int(cast("Any", port))
    if isinstance(port, str):
        with contextlib.suppress(OSError):
            return socket.getservbyname(port)
    return None


def is_address(host: str) -> bool:
    """Return whether this is an IP address, in any notation that sockets accept."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def is_internet(sock: socket.socket, address: object) -> bool:
    """Return whether a socket and an address belong to IPv4 or IPv6, and not to Unix sockets."""
    return sock.family in INTERNET and isinstance(address, tuple) and len(address) >= 2
