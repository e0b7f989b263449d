"""Download of pictures that clients send as URLs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx


class FetchFailed(Exception):
    """The download failed."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class FetchTimedOut(FetchFailed):
    """The download took too long."""


class Fetcher(Protocol):
    """A downloader of pictures."""

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the first ``limit + 1`` bytes of the body at ``url``, or the whole body if it is shorter.

        A result of ``limit + 1`` bytes means that the body is longer than ``limit``. The whole download may
        take at most ``timeout_s`` seconds.

        Raises
        ------
        FetchTimedOut
            If the download takes too long.
        FetchFailed
            If the URL is malformed, the host cannot be reached, or the status is not 200.
        """


class HttpFetcher:
    """The ``Fetcher`` that uses httpx."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the first ``limit + 1`` bytes of the body at ``url``, or the whole body if it is shorter."""
        # Imported on demand, because the import takes a third of a second.
        import httpx  # noqa: PLC0415 - see above

        if self._client is None:
            self._client = httpx.AsyncClient(follow_redirects=True, trust_env=False)
        body = bytearray()
        try:
            if not _is_http_url(httpx.URL(url)):
                raise FetchFailed(url, "not an http or https URL")
            # httpx's timeout applies to each read. The deadline limits the whole download.
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


def _is_http_url(url: httpx.URL) -> bool:
    """Return whether ``url`` is an http or https URL with a host and a valid port.

    Check this before httpx does, because httpx raises errors of many types for other URLs.
    """
    return url.scheme in {"http", "https"} and bool(url.host) and 0 < (url.port or 80) < 65536
