"""The HTTP client that posts webhooks to endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx

READ_BYTES = 65536
"""Largest number of response bytes to read. The body is read only so that the connection can be reused."""


class SendFailed(Exception):
    """No response was received."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


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
    """The ``Sender`` that uses httpx."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

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
        # Imported on demand, because the import takes a third of a second.
        import httpx  # noqa: PLC0415 - see above

        if self._client is None:
            # Lanes limit the requests per endpoint. With a common limit, a slow endpoint could block others.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=limits)

        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_body.complete"):
                on_sent()

        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream(
                    "POST",
                    url,
                    headers=dict(headers),
                    content=body,
                    timeout=timeout_s,
                    extensions={"trace": trace},
                ) as response,
            ):
                read = 0
                async for chunk in response.aiter_raw():
                    read += len(chunk)
                    if read > READ_BYTES:
                        break
                return Answer(response.status_code, response.headers.get("retry-after"))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise SendFailed(url, f"no response within {timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SendFailed(url, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
