"""The part of the forward proxy that passes plain ``http`` requests on to other hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from emulator.web.proxy import PROXY, foreign_address, split_authority

HTTP_PORT = 80

SECONDS = 60.0
"""Timeout for another host, in real seconds: for the connection, and for each part of the response."""

HOP_BY_HOP = frozenset(
    {
        b"connection", b"expect", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Headers that a proxy does not pass on (RFC 9110, 7.6.1)."""

Headers = list[tuple[bytes, bytes]]


async def forward(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a request on to the host in its URL, and send the response back to the client.

    Only hop-by-hop headers are removed. Nothing is stored.
    """
    # Imported on demand, because the import takes a third of a second.
    import httpx  # noqa: PLC0415 - see above

    authority: str = scope["extensions"][PROXY]["authority"]
    host, port = split_authority(authority)
    path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    try:
        address = await foreign_address(host, port or HTTP_PORT)
        url = httpx.URL(scheme="http", host=address, port=port, raw_path=path)
        # Do not load the public root certificates: it takes long, and the URL has no TLS.
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=SECONDS) as client:  # noqa: S501 - see above
            names = {name for name, _ in scope["headers"]}
            has_body = bool(names & {b"content-length", b"transfer-encoding"})
            body = Request(scope, receive).stream() if has_body else None
            request = httpx.Request(scope["method"], url, headers=_passed_on(scope["headers"]), content=body)
            response = await client.send(request, stream=True)
            try:
                passed = _Passed(response.aiter_raw(), response.status_code, _passed_on(response.headers.raw))
                await passed(scope, receive, send)
            finally:
                await response.aclose()
    except (OSError, httpx.TransportError, httpx.InvalidURL) as error:
        text = f"{authority} cannot be reached: {error}\n"
        await PlainTextResponse(text, HTTPStatus.BAD_GATEWAY)(scope, receive, send)


class _Passed(StreamingResponse):
    """A response with exactly the given headers."""

    def __init__(self, content: AsyncIterator[bytes], status: int, headers: Headers) -> None:
        super().__init__(content, status)
        self.raw_headers = headers


def _passed_on(headers: Headers) -> Headers:
    """Return the headers that a proxy passes on."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | named]
