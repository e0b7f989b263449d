"""Access control for the control API."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from emulator.backends.outgoing import is_named

OPEN = frozenset({"/_emulator/health", "/_emulator/ready"})
"""Paths that are always served, because orchestrators such as Docker and Kubernetes need them."""


CONSOLE = "/_emulator/console/"

ASKING_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>The console needs a token</title>
<h1>The console needs a token</h1>
<p>The emulator prints a link with the token when it starts. In a container, the link is in the log.</p>
<form><label>Token <input name="token" autocomplete="off" autofocus required></label>
<button>Open</button></form>
</html>
"""
"""Page for a browser that has no token."""


class ControlGate:
    """Decides which requests may reach the control API at ``/_emulator``.

    Parameters
    ----------
    mode : {"auto", "on", "off"}
        The setting ``control``. With ``auto``, only connections to a loopback address are served.
    port : int or None
        The only port that serves the control API, or None for all ports.
    hosts : sequence of str
        The setting ``control_hosts``: additional names that requests may have in ``Host``.
    token : str or None
        Token that all requests must have, or None if programs need no token.

    Attributes
    ----------
    console_token : str or None
        Token that requests for the console must have, or None.
    """

    def __init__(
        self, mode: str, port: int | None, hosts: Sequence[str] = (), *, token: str | None = None
    ) -> None:
        self._mode = mode
        self._port = port
        self._hosts = hosts
        self._token = token
        self.console_token = token

    def __call__(self, scope: Scope) -> Response | None:
        """Return the error response if a request is refused. Return None if it is allowed."""
        path: str = scope["path"]
        if not path.startswith("/_emulator/") or path in OPEN:
            return None
        reason = self._reason(scope.get("server"))
        if reason is not None:
            return JSONResponse({"error": reason}, 404)
        headers = dict(scope["headers"])
        stranger = self._stranger(headers)
        if stranger is not None:
            return JSONResponse({"error": stranger}, 403)
        token = self.console_token if path.startswith(CONSOLE) else self._token
        return None if token is None else _check_token(scope, headers, token)

    def _stranger(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return why a request is refused as possibly sent by a foreign web page, or None if it is allowed.

        A page in a browser on this machine or in its network can send requests to the emulator. Such requests
        have a foreign ``Origin`` or, after DNS rebinding, the page's own domain as ``Host``.
        """
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
            return "the control API refuses web pages of other origins; call it from a program instead"
        if not names_this_machine(host) and not self._is_listed(host):
            return (
                f"the control API is not served under the name {host}; use an IP address or localhost, or "
                "add the name to FACE_EMULATOR_CONTROL_HOSTS"
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
            return "the control API is off; to serve it, set FACE_EMULATOR_CONTROL=on"
        if self._port is not None:
            here = server is not None and server[1] == self._port
            return None if here else "the control API has its own port; see the setting `control_port`"
        if self._mode == "auto" and not _is_local(server):
            return (
                "the control API is served only on loopback addresses; to serve it on all addresses, set "
                "FACE_EMULATOR_CONTROL=on"
            )
        return None


def _check_token(scope: Scope, headers: Mapping[bytes, bytes], token: str) -> Response | None:
    """Return the response to a request without the token, or None if the request has it.

    The link that the server prints has the token in its query. The response moves it to a cookie, so that it
    is not in the addresses of the console's views.
    """
    name = _cookie_name(headers)
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if scope["path"].startswith(CONSOLE) and _equals(query.get("token", [""])[-1], token):
        response = RedirectResponse(scope["path"], 303, {"Cache-Control": "no-store"})
        response.set_cookie(name, token, path="/_emulator/", httponly=True, samesite="strict")
        return response
    scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if (scheme.lower() == "bearer" and _equals(bearer, token)) or _equals(_cookie(headers, name), token):
        return None
    reason = (
        "the token is missing or wrong; open the link with the token that the server prints when it starts, "
    )
    reason += "or send FACE_EMULATOR_CONTROL_TOKEN as `Authorization: Bearer <token>`"
    if scope["path"].startswith(CONSOLE) and b"text/html" in headers.get(b"accept", b""):
        return HTMLResponse(ASKING_PAGE, 401, {"Cache-Control": "no-store"})
    return JSONResponse({"error": reason}, 401, {"WWW-Authenticate": "Bearer"})


def _equals(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie_name(headers: Mapping[bytes, bytes]) -> str:
    """Return the name of the cookie, with the port, because browsers send cookies to all ports of a host."""
    port = headers.get(b"host", b"").decode("latin-1").rpartition(":")[2]
    return f"face-emulator-{port if port.isdecimal() else 80}"


def _cookie(headers: Mapping[bytes, bytes], name: str) -> str:
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


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
    # A request without an address comes from a Unix socket or from a direct call of the application.
    if server is None or server[1] is None or server[0] == "testserver":
        return True
    return is_loopback(server[0])
