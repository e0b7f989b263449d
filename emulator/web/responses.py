"""Responses that save the journal work, because they tell it what they know of their body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from emulator.web.capture.content import DIGEST, WITHOUT_BLOBS, described_base64, quoted_base64


class HashedResponse(Response):
    """A response to whose body the application has computed the digest, with ``hashlib.sha256``."""

    def __init__(
        self,
        content: bytes,
        digest: Any,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._digest = digest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await super().__call__(scope, receive, _adding(send, DIGEST, self._digest))


class BlobResponse(Response):
    """A JSON object, some of whose members are base64.

    The JSON encoder does not read the base64, because base64 has no characters to escape. And the journal
    does not decode it, because this response knows the bytes.

    Parameters
    ----------
    members : mapping of str to (str or bytes)
        The JSON text of each member, or the bytes of a member that is base64.
    comma, colon : str
        Text between two members, and text between a name and its value.
    end : str
        Text after the object.
    headers : mapping of str to str, optional
        Headers of the response.
    """

    media_type = "application/json"

    def __init__(
        self,
        members: Mapping[str, str | bytes],
        *,
        comma: str = ",",
        colon: str = ":",
        end: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._members = members
        self._comma = comma
        self._colon = colon
        self._end = end
        super().__init__(self._written(quoted_base64), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await super().__call__(scope, receive, _adding(send, WITHOUT_BLOBS, self.without_blobs))

    def without_blobs(self) -> bytes:
        """Return the body with descriptions in place of long base64."""
        return self._written(described_base64)

    def _written(self, write_base64: Callable[[bytes], Sequence[bytes]]) -> bytes:
        """Return the body. ``write_base64`` returns the parts of a member that is base64."""
        parts = [b"{"]
        for name, value in self._members.items():
            comma = "" if len(parts) == 1 else self._comma
            parts.append(f"{comma}{json.dumps(name)}{self._colon}".encode())
            parts += (value.encode(),) if isinstance(value, str) else write_base64(value)
        return b"".join([*parts, f"}}{self._end}".encode()])


def _adding(send: Send, name: str, value: Any) -> Send:
    """Return a ``send`` that adds a member to the message with the body."""

    async def send_known(message: Message) -> None:
        if message["type"] == "http.response.body":
            message[name] = value
        await send(message)

    return send_known
