"""Pictures that a client sends as a URL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx


class FetchFailed(Exception):
    """Nothing could be had from the URL."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class FetchTimedOut(FetchFailed):
    """The server behind the URL took too long."""


class Fetcher(Protocol):
    """What downloads a picture."""

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the body behind ``url``, of which at most ``limit + 1`` bytes are read.

        ``timeout_s`` bounds the whole download.

        Raises
        ------
        FetchTimedOut
            If it takes too long.
        FetchFailed
            If the URL is malformed, the host is not there or the status is not 200.
        """


class HttpFetcher:
    """Downloads over HTTP."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the body behind ``url``, of which at most ``limit + 1`` bytes are read."""
        # A third of a second, that only a server pays that downloads something.
        import httpx  # noqa: PLC0415 - the line above

        if self._client is None:
            self._client = httpx.AsyncClient(follow_redirects=True, trust_env=False)
        body = bytearray()
        try:
            if not _is_of_the_web(httpx.URL(url)):
                raise FetchFailed(url, "not a URL of the web")
            # One deadline holds for the whole download, so that a server that drips cannot stretch it.
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream("GET", url, timeout=timeout_s) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise FetchFailed(url, f"HTTP status {response.status_code}")
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        break
        except (TimeoutError, httpx.TimeoutException) as error:
            raise FetchTimedOut(url, "timed out") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FetchFailed(url, str(error)) from error
        return bytes(body[: limit + 1])

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _is_of_the_web(url: httpx.URL) -> bool:
    """Return whether it is a URL that the client reports in the usual way when it fails."""
    return url.scheme in {"http", "https"} and bool(url.host) and 0 < (url.port or 80) < 65536
