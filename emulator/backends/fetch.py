"""Download of pictures that clients send as URLs."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from emulator.backends.outgoing import (
    AddressPolicy,
    AddressRefused,
    Outgoing,
    authorization,
    load_httpx,
    without_user,
)
from emulator.backends.shares import FairShare

if TYPE_CHECKING:
    import httpcore
    import httpx

MOST_BYTES = 256 * 1024 * 1024
"""Largest total size of downloaded pictures in memory, in bytes. A credential gets at most three quarters."""

STEP_BYTES = 256 * 1024
"""Number of bytes to reserve in one step if the size of a picture is unknown."""

DECODED_BYTES = 64 * 1024
"""Largest number of bytes to decode in one step, so that a step takes less than a millisecond."""

ROOM_SECONDS = 60.0
"""Longest wait for memory during a download, in real seconds. Web servers close idle connections."""

REDIRECTS = 20
"""Largest number of redirects that are followed."""

MOVED = frozenset({301, 302, 303, 307, 308})


class FetchFailed(Exception):
    """The download failed."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{without_user(self.url)}: {self.reason}"


class FetchTimedOut(FetchFailed):
    """The download took too long."""


class Fetcher(Protocol):
    """A downloader of pictures."""

    async def fetch(self, url: str, *, credential: str, limit: int, timeout_s: float) -> bytes:
        """Return the first ``limit + 1`` bytes of the body at ``url``, or the whole body if it is shorter.

        A result of ``limit + 1`` bytes means that the body is longer than ``limit``.

        Downloads are limited, and credentials share the limits fairly. The whole download may take at most
        ``timeout_s`` seconds, not counting the time that it waits for its turn. The picture counts towards
        the memory limit until the asyncio task of the caller ends, because the caller holds the picture.

        Raises
        ------
        FetchTimedOut
            If the download takes too long.
        FetchFailed
            If the URL is malformed, the host cannot be reached or must not be called, the status is not 200,
            or the body is damaged.
        """


class HttpFetcher:
    """The ``Fetcher`` that uses HTTP.

    Parameters
    ----------
    policy : AddressPolicy
        The hosts that may be called.
    downloads : int
        Largest number of concurrent downloads. One credential gets at most three quarters of them.
    """

    def __init__(self, policy: AddressPolicy | None = None, downloads: int = 256) -> None:
        self._outgoing = Outgoing(policy or AddressPolicy())
        self._turns = FairShare(downloads, max(1, downloads * 3 // 4))
        self._memory = FairShare(MOST_BYTES, MOST_BYTES * 3 // 4)

    async def fetch(self, url: str, *, credential: str, limit: int, timeout_s: float) -> bytes:
        """Return the first ``limit + 1`` bytes of the body at ``url``, or the whole body if it is shorter."""
        httpx = await load_httpx()
        try:
            parsed = httpx.URL(url)
            if not _is_http_url(parsed):
                raise FetchFailed(url, "not an http or https URL")
            async with self._turns.turn(credential), asyncio.timeout(timeout_s) as deadline:
                room = _Room(self._memory, credential, deadline)
                return await self._follow(parsed, credential, limit, room)
        except TimeoutError as error:
            raise FetchTimedOut(url, "timed out") from error
        except (OSError, ValueError, httpx.InvalidURL, AddressRefused, _Unusable) as error:
            raise FetchFailed(url, without_user(str(error))) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._outgoing.close()

    async def _follow(self, url: httpx.URL, credential: str, limit: int, room: _Room) -> bytes:
        """Return the body at ``url``, after redirects. Each redirect is a request without cookies."""
        for _ in range(REDIRECTS + 1):
            # The limit applies to the decoded body, so ask the server not to encode it.
            headers = {"Accept-Encoding": "identity", **authorization(url)}
            async with self._outgoing.stream("GET", url, headers, key=credential) as response:
                location = _header(response, b"location")
                if response.status not in MOVED or not location:
                    if response.status != 200:
                        raise _Unusable(f"HTTP status {response.status}")
                    return await _read(response, limit, room)
                url = url.join(location)
                if not _is_http_url(url):
                    raise _Unusable("it redirects to something that is not an http or https URL")
        raise _Unusable(f"more than {REDIRECTS} redirects")


class _Unusable(Exception):
    """The response cannot be used as a picture."""


class _Room:
    """The memory of one download. It is released when the caller's asyncio task ends."""

    def __init__(self, memory: FairShare, credential: str, deadline: asyncio.Timeout) -> None:
        self._memory = memory
        self._credential = credential
        self._deadline = deadline
        self._reserved = 0

    async def reserve(self, size: int) -> None:
        """Wait until there is room for ``size`` bytes in all. The wait does not count as download time."""
        if size <= self._reserved:
            return
        loop = asyncio.get_running_loop()
        begun, when = loop.time(), self._deadline.when() or loop.time()
        self._deadline.reschedule(None)
        async with asyncio.timeout(ROOM_SECONDS):
            taken = await self._memory.take(self._credential, size - self._reserved)
        self._deadline.reschedule(when + loop.time() - begun)
        self._reserved = size
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: self._memory.give(self._credential, taken))


async def _read(response: httpcore.Response, limit: int, room: _Room) -> bytes:
    """Return the first ``limit + 1`` bytes of the decoded body."""
    declared, coding = _header(response, b"content-length"), _header(response, b"content-encoding").lower()
    if not coding and declared.isdecimal() and len(declared) < 19:
        await room.reserve(min(int(declared), limit + 1))
    body = bytearray()
    async with contextlib.aclosing(_decoded(response, coding)) as pieces:
        async for piece in pieces:
            size = min(len(body) + len(piece), limit + 1)
            await room.reserve(min(-(-size // STEP_BYTES) * STEP_BYTES, limit + 1))
            body += piece[: limit + 1 - len(body)]
            if len(body) > limit:
                break
    return bytes(body)


async def _decoded(response: httpcore.Response, coding: str) -> AsyncGenerator[bytes, None]:
    """Yield small pieces of the decoded body."""
    stream: Any = response.stream
    if coding in {"", "identity"}:
        async for chunk in stream:
            yield chunk
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        # Also refuse a body that is encoded twice, because a few bytes could expand to terabytes.
        raise _Unusable("the body is encoded, although the request allows no encoding")
    decoder = _Decoder(coding)
    async for chunk in stream:
        for piece in decoder.pieces(chunk):
            yield piece
            await asyncio.sleep(0)  # a few bytes can expand to megabytes, so let other coroutines run
    yield decoder.end()
    if not decoder.has_ended:
        raise _Unusable("the encoded body is not complete")


class _Decoder:
    """Decodes ``gzip`` and ``deflate``, at most ``DECODED_BYTES`` at once."""

    def __init__(self, coding: str) -> None:
        # By the standard, a ``deflate`` body has a zlib header, but some servers omit it.
        self._decoders = [zlib.MAX_WBITS | 16] if coding != "deflate" else [zlib.MAX_WBITS, -zlib.MAX_WBITS]
        self._inflate = zlib.decompressobj(self._decoders.pop(0))

    @property
    def has_ended(self) -> bool:
        """Whether the body is complete."""
        return self._inflate.eof

    def end(self) -> bytes:
        """Return the remaining decoded bytes, which are fewer than 300."""
        return self._inflate.flush()

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Decode a chunk, and yield the decoded pieces."""
        while chunk and not self._inflate.eof:
            try:
                piece = self._inflate.decompress(chunk, DECODED_BYTES)
            except zlib.error as error:
                if not self._decoders:
                    raise _Unusable("the encoded body is damaged") from error
                self._inflate = zlib.decompressobj(self._decoders.pop(0))
                continue
            self._decoders.clear()
            chunk = self._inflate.unconsumed_tail
            yield piece


def _header(response: httpcore.Response, name: bytes) -> str:
    """Return a header of a response. Several lines are joined, and a missing header is empty."""
    return ", ".join(
        value.decode("latin-1").strip() for key, value in response.headers if key.lower() == name
    )


def _is_http_url(url: httpx.URL) -> bool:
    """Return whether ``url`` is an http or https URL with a host and a valid port.

    Check this before httpx does, because httpx raises errors of many types for other URLs.
    """
    return url.scheme in {"http", "https"} and bool(url.host) and 0 < (url.port or 80) < 65536
