"""The HTTP server: uvicorn with TLS listeners, forwarded headers, and startup errors as exceptions."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import ssl
from collections.abc import Callable, Sequence
from socket import socket
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from emulator.control.init import Scripts
from emulator.server.access_log import AccessLog
from emulator.server.crowd import Crowd, Greeting
from emulator.server.listeners import BACKLOG
from emulator.server.plan import Plan
from emulator.server.protocol import Protocol

ACCEPTED_AT_ONCE = 32
"""Largest number of connections that asyncio accepts at once, before the limit of connections is checked."""

KEEP_ALIVE_SECONDS = 75
"""Seconds until an idle connection is closed. Common web servers use the same value. With a shorter time, the
server would more often close a connection while a client with a connection pool sends a request on it."""


def make_server(app: FastAPI, plan: Plan, log: AccessLog | None = None) -> Server:
    """Return a server for an application, without starting it. The server notes responses in ``log``."""
    planned = {
        "relay": plan.relay,
        "log": log,
        "crowd": Crowd(plan.settings.connections),
        "head_seconds": plan.settings.head_seconds,
    }
    # The command line configures logging. An emulator that runs in a test must not print.
    config = uvicorn.Config(
        _Opening(_ForwardedHeaders(app)),
        http=type("PlannedProtocol", (Protocol,), planned),
        ws="none",
        log_config=None,
        access_log=False,  # `AccessLog` replaces it
        proxy_headers=False,
        backlog=ACCEPTED_AT_ONCE,
        # uvicorn accepts fractions, too.
        timeout_graceful_shutdown=cast("int", plan.settings.stop_seconds),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    return Server(config, plan.tls, None if plan.trust is None else plan.trust.context)


class _Opening:
    """ASGI middleware that stores the error of a failed startup instead of letting uvicorn log it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def without_traceback(message: Message) -> None:
            is_failed = message["type"] == "lifespan.startup.failed"
            await send({"type": message["type"]} if is_failed else message)

        try:
            await self._app(scope, receive, without_traceback)
        except Exception as error:
            self.failure = error
            raise


class _ForwardedHeaders:
    """ASGI middleware that applies the headers that proxies add.

    The headers are trusted from all addresses, because in a container, the requests of a proxy come from the
    address of the network bridge. If a request passes several proxies, ``X-Forwarded-Proto`` is a list. The
    first member of the list is the client's scheme.
    """

    def __init__(self, app: ASGIApp) -> None:
        # uvicorn and Starlette have different types for ASGI.
        self._app = app
        self._with_headers: Any = ProxyHeadersMiddleware(cast("Any", app), trusted_hosts="*")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application."""
        if scope["type"] == "http":
            headers, is_forwarded = scope["headers"], False
            for index, (name, value) in enumerate(headers):
                if name == b"x-forwarded-proto":
                    headers[index] = name, value.partition(b",")[0]
                    is_forwarded = True
                elif name == b"x-forwarded-for":
                    is_forwarded = True
            if not is_forwarded:
                await self._app(scope, receive, send)
                return
        await self._with_headers(scope, receive, send)


class Server(uvicorn.Server):
    """A uvicorn server that raises the error of a failed startup instead of exiting the process.

    Its shutdown also cancels the init hooks and ends their scripts. After a signal, the process exits as soon
    as the server has stopped, so the scripts cannot be ended later.

    A second signal ends the process at once. uvicorn would still wait for the calls in progress if the second
    signal is SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, tls: Sequence[socket], context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._context = context
        self.beginning: asyncio.Task[None] | None = None
        self.scripts = Scripts()
        self.on_second_signal: Callable[[], None] = lambda: None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, or end the process if it is already stopping."""
        if not self.should_exit:
            super().handle_exit(sig, frame)
            return
        self.scripts.end()
        self.on_second_signal()
        signal.signal(sig, signal.SIG_DFL)
        signal.raise_signal(sig)
        # In a container, the kernel does not let the signal end the first process.
        os._exit(128 + sig)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the application and listen."""
        try:
            await super().startup(sockets)
        except SystemExit:
            opening = self.config.app
            if isinstance(opening, _Opening) and opening.failure is not None:
                raise opening.failure from None
            raise
        loop = asyncio.get_running_loop()
        protocol = cast("type[Protocol]", self.config.http_protocol_class)
        make = functools.partial(
            protocol, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        if self._context is not None:
            greet = functools.partial(
                Greeting, make, self._context, protocol.crowd, self.server_state.connections
            )
            for bound in self._tls:
                self.servers.append(await loop.create_server(greet, sock=bound, backlog=ACCEPTED_AT_ONCE))
        for bound in (*(sockets or ()), *self._tls):
            # asyncio uses ``backlog`` for two limits. This call sets one of them alone: the number of
            # connections that can wait in the kernel.
            bound.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Cancel the init hooks, stop the server, and end processes of scripts that still run."""
        if self.beginning is not None:
            self.beginning.cancel()
            await asyncio.wait({self.beginning})
        await super().shutdown(sockets)
        self.scripts.end()
