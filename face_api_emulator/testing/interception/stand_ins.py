"""Placeholder addresses for redirected names. Nothing listens at these addresses."""

from __future__ import annotations

import ipaddress
import socket
import threading

from face_api_emulator.testing.interception.protocols import Route

FIRST_4 = ipaddress.IPv4Address("127.77.0.1")
FIRST_6 = ipaddress.IPv6Address("100::1")
"""The first address of the prefix that RFC 6666 reserves for packets to discard."""

_lock = threading.RLock()

_names: list[str] = []
"""All names that were ever redirected. The index of a name determines its address. Names are never removed,
so that addresses in the caches of clients stay valid.
"""


def stand_in(name: str, route: Route, family: int) -> str:
    """Return the placeholder address for a name in an address family."""
    with _lock:
        if name not in _names:
            _names.append(name)
        index = _names.index(name)
    if ":" in route.address(443)[0]:
        if family == socket.AF_INET:
            raise socket.gaierror(socket.EAI_NONAME, "the emulator has only an IPv6 address")
        return str(FIRST_6 + index)
    return f"{'::ffff:' if family == socket.AF_INET6 else ''}{FIRST_4 + index}"


def name_of(address: str) -> str | None:
    """Return the name of a placeholder address, or None for other addresses."""
    try:
        parsed = ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:
        return None
    index = int(parsed) - int(FIRST_4 if parsed.version == 4 else FIRST_6)
    return _names[index] if 0 <= index < len(_names) else None
