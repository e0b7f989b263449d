"""Access control for the control API."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import Scope

from emulator.backends.outgoing import is_named

OPEN = frozenset({"/_emulator/health", "/_emulator/ready"})
"""Paths that are always served, because orchestrators such as Docker and Kubernetes need them."""


class ControlGate:
    """Decides which requests may reach the control API at ``/_emulator``.

    Parameters
    ----------
    mode : {"auto", "on", "off"}
        The setting ``control``. With ``auto``, only connections to a loopback address are served.
    port : int or None
        The only port that serves the control API, or None for all ports.
    hosts : sequence of str
        The setting ``control_hosts``: further names under which the control API may be called.
    """

    def __init__(self, mode: str, port: int | None, hosts: Sequence[str] = ()) -> None:
        self._mode = mode
        self._port = port
        self._hosts = hosts

    def __call__(self, scope: Scope) -> JSONResponse | None:
        """Return the error response if a request is refused. Return None if it is allowed."""
        path: str = scope["path"]
        if not path.startswith("/_emulator/") or path in OPEN:
            return None
        reason = self._reason(scope.get("server"))
        if reason is not None:
            return JSONResponse({"error": reason}, 404)
        stranger = self._stranger(dict(scope["headers"]))
        return None if stranger is None else JSONResponse({"error": stranger}, 403)

    def _stranger(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the reason why a request may come from a foreign web page, or None if it cannot.

        A page in a browser on this machine or in its network can send requests to the emulator. Such requests
        have a foreign ``Origin`` or, after DNS rebinding, the page's own domain as ``Host``.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return "the control API refuses web pages of other origins; call it from a program instead"
        if not names_this_machine(host) and not self._is_listed(host):
            return (
                f"the control API is not served as {host}; call it by an IP address or as localhost, or add "
                "the name to FACE_EMULATOR_CONTROL_HOSTS"
            )
        return None

    def _is_listed(self, host: str) -> bool:
        name = host_name(host)
        return any(
            listed == "*" or is_named(name, listed.lower()) for listed in self._hosts if name is not None
        )

    def _reason(self, server: tuple[str, int | None] | None) -> str | None:
        """Return why the control API is not served at the address ``server``, or None if it is served."""
        if self._mode == "off":
            return "the control API is off; set FACE_EMULATOR_CONTROL=on to serve it"
        if self._port is not None:
            here = server is not None and server[1] == self._port
            return None if here else "the control API has its own port; see the setting `control_port`"
        if self._mode == "auto" and not _is_local(server):
            return (
                "the control API is served on loopback addresses only; FACE_EMULATOR_CONTROL=on changes this"
            )
        return None


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is reachable only from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_this_machine(host: str) -> bool:
    """Return whether the value of ``Host`` excludes DNS rebinding, which needs a public domain name.

    IP addresses, and the names below ``localhost`` and ``internal`` are not public domain names. Names
    without a dot are not either, because only a local network resolves them. A request without ``Host`` is
    not from a web page.
    """
    if not host:
        return True  # not a browser, because browsers always send a Host
    name = host_name(host)
    if not name:
        return False
    if "." not in name or name.endswith((".localhost", ".internal")):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(host: str) -> str | None:
    """Return the name in a ``Host`` in lower case, without its port; None if it is invalid."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return None


def _is_local(server: tuple[str, int | None] | None) -> bool:
    # Without an address, the request comes from a Unix socket or from a direct call of the application.
    if server is None or server[1] is None or server[0] == "testserver":
        return True
    return is_loopback(server[0])
