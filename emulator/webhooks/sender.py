"""Posting to an endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx

READ_BYTES = 65536
"""What is read of an answer at most: nobody looks at it, but a connection that is read is used again."""


class SendFailed(Exception):
    """No answer came."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered."""

    status: int
    retry_after: str | None = None


class Sender(Protocol):
    """What posts a webhook."""

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[], None],
    ) -> Answer:
        """Return what the endpoint answers; redirects are not followed.

        ``timeout_s`` bounds the whole exchange. ``on_sent`` is called once the request has gone out.

        Raises
        ------
        SendFailed
            If no answer comes.
        """

    async def close(self) -> None:
        """Close the connections."""


class HttpSender:
    """Posts over HTTP."""

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
        """Return what the endpoint answers."""
        # A third of a second, that only a server pays that has somebody to tell.
        import httpx  # noqa: PLC0415 - the line above

        if self._client is None:
            # How many go out at once is decided per endpoint: a pool for all would let a slow one
            # hold up the others.
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
            raise SendFailed(url, f"no answer within {timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SendFailed(url, f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
