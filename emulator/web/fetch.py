"""Pictures that a client sends as a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emulator.web.download import HttpDownloads


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
        self._downloads: HttpDownloads | None = None

    async def fetch(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        """Return the body behind ``url``, of which at most ``limit + 1`` bytes are read."""
        if self._downloads is None:
            # A third of a second, that only a server pays that downloads something.
            from emulator.web.download import HttpDownloads  # noqa: PLC0415 - the line above

            self._downloads = HttpDownloads()
        return await self._downloads.fetch(url, limit=limit, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close the connections."""
        if self._downloads is not None:
            await self._downloads.close()
