"""The rules of the forward proxy, and the ASGI scope extensions of the proxy and of TLS."""

from __future__ import annotations

import asyncio
import ipaddress

from emulator.backends.outgoing import AddressPolicy, AddressRefused

PROXY = "face_emulator.proxy"
"""Scope extension of a request to the proxy. ``authority`` is the host and port that the client wants to
reach. ``reason`` says why the proxy opened no tunnel, or is None."""

TLS_NAME = "face_emulator.tls_name"
"""Scope extension with the ``name`` that the client asked for in its TLS handshake."""

ANSWERED = "face_emulator.answered"
"""Scope extension of a request that the server answers itself, and that the application only records.
``status`` is the status of the response. ``reason`` says why the server refuses the request, or is None."""


def not_served(authority: str) -> str:
    """Return a message that says why the proxy refuses a host, and which setting allows the host."""
    return (
        f"the proxy serves the vendors' names only, not {authority.rpartition('@')[2]}; "
        "FACE_EMULATOR_PROXY_OTHERS=true lets other hosts pass"
    )


def split_authority(authority: str) -> tuple[str, int | None]:
    """Return the host and the port of ``host:port``. Without a valid port, the port is None.

    The host is in lower case, without brackets, and without a dot at the end.
    """
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        host, port = authority, ""
    host = host.strip("[]").rstrip(".").lower()
    return host, int(port) if port and len(port) <= 5 else None


async def foreign_address(host: str, port: int) -> str:
    """Return an IP address of ``host``, which must not be this machine.

    Otherwise, clients could reach the control API through the proxy.

    Raises
    ------
    OSError
        If ``host`` has no address, is this machine, or must never be called.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    address = str(found[0][4][0])
    try:
        AddressPolicy.check_address(address)
    except AddressRefused as error:
        raise OSError(str(error)) from error
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    if mapped.is_loopback or mapped.is_unspecified:
        raise OSError(f"{host} is this machine")
    return address
