"""Posting over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from emulator.webhooks.sender import Answer, SendFailed

READ_BYTES = 65536
"""What is read of an answer at most: nobody looks at it, but a connection that is read is used again."""


class HttpPosts:
    """A client and its connections."""

    def __init__(self) -> None:
        # How many go out at once is decided per endpoint: a pool for all would let a slow one
        # hold up the others.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=limits)

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
        await self._client.aclose()
