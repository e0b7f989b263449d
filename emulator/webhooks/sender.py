"""Posting to an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emulator.webhooks.post import HttpPosts


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
        self._posts: HttpPosts | None = None

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
        if self._posts is None:
            # A third of a second, that only a server pays that has somebody to tell.
            from emulator.webhooks.post import HttpPosts  # noqa: PLC0415 - the line above

            self._posts = HttpPosts()
        return await self._posts.post(url, headers, body, timeout_s=timeout_s, on_sent=on_sent)

    async def close(self) -> None:
        """Close the connections."""
        if self._posts is not None:
            await self._posts.close()
