"""The rules of the forward proxy, and the ASGI scope extensions of the proxy and of TLS."""

from __future__ import annotations

import asyncio
import ipaddress

PROXY = "face_emulator.proxy"
"""Extension of a request to the proxy: the ``authority`` that the client wants to reach, and the ``reason``
why no tunnel to it was opened, or None."""

TLS_NAME = "face_emulator.tls_name"
"""Extension with the ``name`` that the client asked for in its TLS handshake."""

ANSWERED = "face_emulator.answered"
"""Extension of a request that the server answers itself: the ``status`` of the response, and the ``reason``
why the server refuses the request, or None. The application only records it."""


def not_served(authority: str) -> str:
    """Return why the proxy refuses a host, and what lets it pass."""
    return (
        f"the proxy serves the vendors' names only, not {authority}; "
        "FACE_EMULATOR_PROXY_OTHERS=true lets other hosts pass"
    )


def split_authority(authority: str) -> tuple[str, int | None]:
    """Return the host of ``host:port`` in lower case without brackets and final dot, and the port."""
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        host, port = authority, ""
    host = host.strip("[]").rstrip(".").lower()
    return host, int(port) if port and len(port) <= 5 else None


async def foreign_address(host: str, port: int) -> str:
    """Return an address of ``host``.

    Raises
    ------
    OSError
        If ``host`` has no address, or is this machine, because the proxy must not reach the control API.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    address = str(found[0][4][0])
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    if mapped.is_loopback or mapped.is_unspecified:
        raise OSError(f"{host} is this machine")
    return address
