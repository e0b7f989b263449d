"""Downloads over HTTP."""

from __future__ import annotations

import asyncio

import httpx

from emulator.web.fetch import FetchFailed, FetchTimedOut


class HttpDownloads:
    """A client and its connections."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(follow_redirects=True, trust_env=False)

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the body behind ``url``, of which at most ``limit + 1`` bytes are read."""
        body = bytearray()
        try:
            _check(httpx.URL(url))
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
        await self._client.aclose()


def _check(url: httpx.URL) -> None:
    # What the client would report in a group of errors, or not at all.
    if url.scheme not in {"http", "https"} or not url.host or not 0 < (url.port or 80) < 65536:
        raise httpx.InvalidURL("not a URL of the web")
