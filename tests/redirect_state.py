"""What a redirect changes in the process."""

from __future__ import annotations

import _socket
import asyncio
import os
import socket
import ssl
import sys
from typing import Any

import httpcore
import httpcore2
import uvloop
from aiohttp.connector import TCPConnector

PATCHED: tuple[tuple[Any, str], ...] = (
    (_socket, "getaddrinfo"),
    *((socket, name) for name in ("gethostbyname", "gethostbyname_ex", "getnameinfo")),
    *((socket.socket, name) for name in ("connect", "connect_ex", "sendto", "sendmsg")),
    *((ssl.SSLContext, name) for name in ("wrap_socket", "wrap_bio")),
    *((asyncio.BaseEventLoop, name) for name in ("create_connection", "getaddrinfo")),
    *((uvloop.Loop, name) for name in ("create_connection", "getaddrinfo", "create_datagram_endpoint")),
    (TCPConnector, "_resolve_host"),
    *(
        (getattr(module, prefix + name), "create_connection")
        for module in (httpcore, httpcore2)
        for prefix in ("", "Async")
        for name in ("HTTPProxy", "SOCKSProxy", "ConnectionPool")
    ),
)


def state() -> list[object]:
    """Return everything that a redirect changes."""
    return [
        *(vars(owner).get(name) for owner, name in PATCHED),
        list(sys.meta_path),
        {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")},
    ]
