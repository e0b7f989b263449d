"""The HTTP client that posts webhooks to endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from emulator.backends.outgoing import (
    AddressPolicy,
    AddressRefused,
    Outgoing,
    authorization,
    load_httpx,
    without_user,
)
from emulator.backends.shares import FairShare

READ_BYTES = 65536
"""Largest number of response bytes to read. The body is read only so that the connection can be reused."""


class SendFailed(Exception):
    """No response was received."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{without_user(self.url)}: {self.reason}"


@dataclass(frozen=True)
class Answer:
    """The response of an endpoint."""

    status: int
    retry_after: str | None = None


class Sender(Protocol):
    """An HTTP client for webhooks."""

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[], None],
    ) -> Answer:
        """Post a webhook and return the response. Redirects are not followed.

        ``timeout_s`` limits the request and the response together, in real seconds. ``on_sent`` is called
        when the request is sent.

        Raises
        ------
        SendFailed
            If no response is received.
        """

    async def close(self) -> None:
        """Close the connections."""


class HttpSender:
    """The ``Sender`` that uses HTTP.

    Parameters
    ----------
    policy : AddressPolicy
        The hosts that may be called.
    requests : int
        Largest number of concurrent requests. One host gets at most half of them.
    """

    def __init__(self, policy: AddressPolicy | None = None, requests: int = 128) -> None:
        self._outgoing = Outgoing(policy or AddressPolicy())
        self._turns = FairShare(requests, max(1, requests // 2))

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[], None],
    ) -> Answer:
        """Post a webhook and return the response."""
        httpx = await load_httpx()

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_body.complete"):
                on_sent()

        try:
            parsed = httpx.URL(url)
            host = parsed.netloc.decode()
            async with (
                self._turns.turn(host),
                asyncio.timeout(timeout_s),
                self._outgoing.stream(
                    "POST",
                    parsed,
                    {**authorization(parsed), **headers},
                    key=host,
                    content=body,
                    extensions={"trace": trace},
                ) as response,
            ):
                stream: Any = response.stream
                read = 0
                async for chunk in stream:
                    read += len(chunk)
                    if read > READ_BYTES:
                        break
                pairs = {name.lower(): value for name, value in response.headers}
                retry_after = pairs.get(b"retry-after")
                return Answer(response.status, None if retry_after is None else retry_after.decode("latin-1"))
        except TimeoutError as error:
            raise SendFailed(url, f"no response within {timeout_s:g} s") from error
        except (OSError, ValueError, httpx.InvalidURL, AddressRefused) as error:
            raise SendFailed(url, without_user(str(error))) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._outgoing.close()
