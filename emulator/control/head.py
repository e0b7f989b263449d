"""HEAD requests to the control API."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """ASGI middleware that answers HEAD like GET, but without the body.

    FastAPI does not add HEAD to its routes, but tools such as ``wait-on`` and ``wget --spider`` send it. A
    HEAD request for the endless stream of calls ends after the headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        has_ended = False

        async def receive_until_sent() -> Message:
            return {"type": "http.disconnect"} if has_ended else await receive()

        async def send_head(message: Message) -> None:
            nonlocal has_ended
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "GET" in headers.get("allow", ""):
                    headers["allow"] += ", HEAD"
                await send(message)
                if is_head:
                    has_ended = True
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif not is_head:
                await send(message)

        if is_head:
            await self._app({**scope, "method": "GET"}, receive_until_sent, send_head)
        else:
            await self._app(scope, receive, send_head)
