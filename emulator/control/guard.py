"""``JsonGuard``, which refuses JSON bodies of the control API that take too long to parse and to check."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emulator.control.refusals import refused

MOST_MEMBERS: Final = 20_000
"""Largest number of commas and opening brackets in a JSON body, because each can cause a separate error."""

DEEPEST: Final = 100
"""Largest nesting depth of a JSON body."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


class JsonGuard:
    """ASGI middleware that reads and checks JSON bodies before the application parses them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, with status 422 if its body is not acceptable."""
        if scope["type"] != "http" or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        reason = reason_to_refuse(body)
        if reason is not None:
            await refused(reason)(scope, receive, send)
            return
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def reason_to_refuse(body: bytes) -> str | None:
    """Return why a JSON body is refused, or None if it is acceptable."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_MEMBERS:
        return f"the body has more than {MOST_MEMBERS} members"
    depth = 0
    for token in _TOKEN.finditer(body):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > DEEPEST:
                return f"the body is nested more than {DEEPEST} levels deep"
        elif first in b"]}":
            depth -= 1
    return None


def _is_json(scope: Scope) -> bool:
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return b"json" in kind.lower()
