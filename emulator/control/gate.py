"""Who may reach the control API."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import Scope

OPEN = frozenset({"/_emulator/health", "/_emulator/ready"})
"""What is told to everybody: an orchestrator has to know."""


class ControlGate:
    """Serves ``/_emulator`` where it was asked for, and nowhere else.

    Parameters
    ----------
    mode : {"auto", "on", "off"}
        ``auto``: to connections that reach a loopback address of this machine.
    port : int or None
        The one port on which it is served, if there is one of its own.
    """

    def __init__(self, mode: str, port: int | None) -> None:
        self._mode = mode
        self._port = port

    def __call__(self, scope: Scope) -> JSONResponse | None:
        """Return the refusal of a request, or None to serve it."""
        path: str = scope["path"]
        if not path.startswith("/_emulator/") or path in OPEN:
            return None
        reason = self._reason(scope.get("server"))
        if reason is not None:
            return JSONResponse({"error": reason}, 404)
        stranger = self._stranger(dict(scope["headers"]))
        return None if stranger is None else JSONResponse({"error": stranger}, 403)

    def _stranger(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return why a request is none of the tester's, or None if it may be.

        Any page that a browser on this machine shows can send to a loopback address. It says where
        it comes from, or names the host that it had resolved to this machine.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return "the control API is not for the pages of other sites"
        if self._mode == "auto" and not names_this_machine(host):
            return f"the control API is not served as {host}: call it by an address, or as localhost"
        return None

    def _reason(self, server: tuple[str, int | None] | None) -> str | None:
        """Return why it is not served to who connects to ``server``, or None if it is."""
        if self._mode == "off":
            return "the control API is off: the setting `control` says so"
        if self._port is not None:
            here = server is not None and server[1] == self._port
            return None if here else "the control API is served on a port of its own: see `control_port`"
        if self._mode == "auto" and not _is_local(server):
            return (
                "the control API is off, since this is no loopback address; the setting `control` serves it"
            )
        return None


def is_loopback(host: str) -> bool:
    """Return whether nothing but this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_this_machine(host: str) -> bool:
    """Return whether a ``Host`` cannot be a name that somebody else had resolved to this machine.

    Addresses are no names, ``localhost`` is nobody's, and names without a dot are the local network's.
    """
    if not host:
        return True  # browsers always send one
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if name and ("." not in name or name.endswith(".localhost")):
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(server: tuple[str, int | None] | None) -> bool:
    # Without an address there is no network: a Unix socket, or an application that is called directly.
    if server is None or server[1] is None or server[0] == "testserver":
        return True
    return is_loopback(server[0])
