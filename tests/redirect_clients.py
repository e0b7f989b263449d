"""Clients of all libraries that ``redirected`` supports, and event loops to run them on."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import ssl
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import httpx
import httpx2
import requests
import urllib3
import uvloop

SECONDS = 20
"""Time limit of each request."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run_on(loop: str, main: Callable[[], Any]) -> Any:
    """Run a coroutine function on a new loop."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main())


Get = Callable[[str], str]
AsyncGet = Callable[[str], Awaitable[str]]
Trust = ssl.SSLContext | Path | None
"""A context of its own, a file with authorities, or the library's default."""


def _context(trust: Trust) -> ssl.SSLContext:
    return trust if isinstance(trust, ssl.SSLContext) else ssl.create_default_context(cafile=trust)


@contextlib.contextmanager
def with_urllib(trust: Trust) -> Iterator[Get]:
    handlers = [] if trust is None else [urllib.request.HTTPSHandler(context=_context(trust))]
    opener = urllib.request.build_opener(*handlers)

    def get(url: str) -> str:
        with opener.open(url, timeout=SECONDS) as answer:
            text: str = answer.read().decode()
        return text

    yield get


@contextlib.contextmanager
def with_http_client(trust: Trust) -> Iterator[Get]:
    connections: dict[str, http.client.HTTPConnection] = {}

    def get(url: str) -> str:
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        if key not in connections:
            host, port = str(parts.hostname), parts.port or {"http": 80, "https": 443}[parts.scheme]
            connections[key] = (
                http.client.HTTPSConnection(host, port, timeout=SECONDS, context=_context(trust))
                if parts.scheme == "https"
                else http.client.HTTPConnection(host, port, timeout=SECONDS)
            )
        connection = connections[key]
        try:
            connection.request("GET", "/")
        except (ConnectionError, ssl.SSLEOFError):
            # Unlike pools, http.client does not check first whether the server has closed the connection.
            connection.close()
            connection.request("GET", "/")
        return connection.getresponse().read().decode()

    yield get
    for connection in connections.values():
        connection.close()


class _Adapter(requests.adapters.HTTPAdapter):
    """The usual way to set a TLS context in requests."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)


@contextlib.contextmanager
def with_requests(trust: Trust) -> Iterator[Get]:
    with requests.Session() as session:
        if isinstance(trust, Path):
            session.verify = str(trust)
        elif trust is not None:
            session.mount("https://", _Adapter(trust))
        yield lambda url: session.get(url, timeout=SECONDS).text


@contextlib.contextmanager
def with_urllib3(trust: Trust) -> Iterator[Get]:
    options: dict[str, Any] = {}
    if isinstance(trust, Path):
        options["ca_certs"] = str(trust)
    elif trust is not None:
        options["ssl_context"] = trust
    with urllib3.PoolManager(timeout=SECONDS, **options) as pool:
        yield lambda url: pool.request("GET", url, retries=False).data.decode()


@contextlib.contextmanager
def with_httpx(module: Any, trust: Trust) -> Iterator[Get]:
    """Connect with ``httpx`` or ``httpx2``."""
    with module.Client(verify=True if trust is None else _context(trust), timeout=SECONDS) as client:
        yield lambda url: client.get(url).text


SYNCHRONOUS: dict[str, Callable[[Trust], contextlib.AbstractContextManager[Get]]] = {
    "urllib": with_urllib,
    "http.client": with_http_client,
    "requests": with_requests,
    "urllib3": with_urllib3,
    "httpx": functools.partial(with_httpx, httpx),
    "httpx2": functools.partial(with_httpx, httpx2),
}


@contextlib.asynccontextmanager
async def with_async_httpx(module: Any, trust: Trust) -> Any:
    """Connect with ``httpx`` or ``httpx2``."""
    async with module.AsyncClient(
        verify=True if trust is None else _context(trust), timeout=SECONDS
    ) as client:

        async def get(url: str) -> str:
            # The pools of asynchronous clients must notice the end of a connection before they send a body.
            return str((await client.post(url, content=b"body")).text)

        yield get


@contextlib.asynccontextmanager
async def with_aiohttp(trust: Trust) -> Any:
    connector = aiohttp.TCPConnector(ssl=True if trust is None else _context(trust))
    timeout = aiohttp.ClientTimeout(SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as session:

        async def get(url: str) -> str:
            async with session.post(url, data=b"body") as answer:
                return await answer.text()

        yield get


@contextlib.asynccontextmanager
async def with_streams(trust: Trust) -> Any:
    """Connect with asyncio's own streams, which have no pool."""

    async def get(url: str) -> str:
        parts = urlsplit(url)
        context = _context(trust) if parts.scheme == "https" else None
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        reader, writer = await asyncio.open_connection(str(parts.hostname), port, ssl=context)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].split("\r\n")[0])
            return (await reader.readexactly(length)).decode()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    yield get


@contextlib.asynccontextmanager
async def with_anyio(trust: Trust) -> Any:
    """Connect with anyio, which has no pool."""

    async def get(url: str) -> str:
        parts = urlsplit(url)
        host = str(parts.hostname)
        stream: Any
        if parts.scheme == "https":
            stream = await anyio.connect_tcp(host, parts.port or 443, ssl_context=_context(trust))
        else:
            stream = await anyio.connect_tcp(host, parts.port or 80)
        try:
            await stream.send(f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            received = b""
            while True:
                received += await stream.receive()
                head, _, body = received.partition(b"\r\n\r\n")
                length = head.decode().lower().partition("content-length: ")[2].split("\r\n")[0]
                if length and len(body) == int(length):
                    return str(body.decode())
        finally:
            await anyio.aclose_forcefully(stream)

    yield get


ASYNCHRONOUS: dict[str, Callable[[Trust], contextlib.AbstractAsyncContextManager[AsyncGet]]] = {
    "httpx": functools.partial(with_async_httpx, httpx),
    "httpx2": functools.partial(with_async_httpx, httpx2),
    "aiohttp": with_aiohttp,
    "asyncio": with_streams,
    "anyio": with_anyio,
}
