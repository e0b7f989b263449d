"""Cross-origin requests of web pages."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.web.exchange import exchange_of
from emulator.web.headers import header_of

LOOPBACK_ORIGIN = r"https?://(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?"
"""Matches the origins of pages that this machine serves.

It does not match the origin ``null``, because pages of any site can have this origin.
"""


class Cors:
    """ASGI middleware that lets web pages of other origins call a vendor.

    Pages of this machine, and pages of ``origins``, may read all responses. If they come from a public
    network, they may also call an emulator on a private network (``Access-Control-Request-Private-Network``).
    Other pages may read only responses of paths below ``open_paths``, and may not call from a public network
    into a private one.

    Parameters
    ----------
    app : ASGI application
        The vendor's application.
    origins : collection of str
        Further origins to trust, in addition to this machine; ``*`` for all.
    open_paths : sequence of str
        Path prefixes that the vendor opens to all origins.
    expose : sequence of str
        Response headers that pages may read.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Collection[str], open_paths: Sequence[str], expose: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._trusted = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_origin_regex=LOOPBACK_ORIGIN,
            allow_private_network=True,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=list(expose),
        )
        self._open = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=list(expose)
        )
        self._open_paths = tuple(open_paths)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer the request."""
        if scope["type"] == "http" and header_of(scope, b"origin") is None:
            exchange_of(scope).added += (_vary,)
            return self._app(scope, receive, send)
        is_open = scope["type"] == "http" and scope["path"].startswith(self._open_paths)
        origin = Headers(scope=scope).get("origin") if is_open else None
        is_trusted = origin is not None and self._trusted.is_allowed_origin(origin)
        return (self._open if is_open and not is_trusted else self._trusted)(scope, receive, send)


def _vary(headers: list[tuple[bytes, bytes]]) -> None:
    """Add ``Vary: Origin``, as Starlette does for a request without an origin."""
    for name, _ in headers:
        if name == b"vary":
            MutableHeaders(raw=headers).add_vary_header("Origin")
            return
    headers.append((b"vary", b"Origin"))
