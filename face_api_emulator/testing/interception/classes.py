"""The standard library's classes of sockets and TLS contexts."""

from __future__ import annotations

import _socket
import _ssl
import socket
import ssl
from typing import TypeVar, cast

_Class = TypeVar("_Class", bound=type)


def _from_module(base: type, module: str, default: _Class) -> _Class:
    """Return the standard library's subclass of ``base``, even if another package has replaced it there."""
    classes: list[type] = base.__subclasses__()
    for each in classes:
        if each.__module__ == module and each.__name__ == default.__name__:
            return cast("_Class", each)
    return default


SOCKET = _from_module(_socket.socket, "socket", socket.socket)
SSL_CONTEXT = _from_module(_ssl._SSLContext, "ssl", ssl.SSLContext)  # noqa: SLF001 - the base has no other name
