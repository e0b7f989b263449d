"""Starting and stopping the server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.clock import machine_time
from emulator.control.gate import is_loopback
from emulator.control.init import Scripts, run_init_hooks
from emulator.control.world import Tls
from emulator.server.listeners import base_url, bind, reachable
from emulator.server.protocol import Protocol
from emulator.server.relay import Relay
from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors

HANDSHAKE_SECONDS = 20.0
"""Real seconds in which a TLS handshake must end."""

KEEP_ALIVE_SECONDS = 75
"""Seconds until an idle connection is closed. Common web servers use the same value. With a shorter time, the
server would more often close a connection while a client with a connection pool sends a request on it."""


@dataclass(frozen=True)
class Listening:
    """A running server.

    Attributes
    ----------
    app : FastAPI
        Its application.
    base_url : str
        Its base URL.
    control_url : str or None
        Base URL of the control API; None if it is off.
    tls_url : str or None
        Base URL over TLS; None if TLS is off.
    ca_file : Path or None
        Certificate of the authority that clients must trust; None if TLS is off.
    """

    app: FastAPI
    base_url: str
    control_url: str | None
    tls_url: str | None = None
    ca_file: Path | None = None


async def serve(
    settings: Settings,
    hosts: Sequence[str],
    port: int,
    on_listening: Callable[[Listening], Awaitable[None]],
    *,
    tls_port: int | None = None,
) -> None:
    """Serve until a signal stops the server. Call ``on_listening`` when the server accepts requests.

    Parameters
    ----------
    settings : Settings
        Settings of the emulator.
    hosts : sequence of str
        Addresses or names to listen on.
    port : int
        Port to listen on; 0 for a free port.
    on_listening : async callable
        Called with the running server.
    tls_port : int or None
        Port for TLS; 0 for a free port, None for no TLS.

    Raises
    ------
    AddressInUse, AddressUnusable
        If the emulator cannot listen on an address.
    AuthorityUnusable
        If the stored certificate authority cannot be used.
    StoreUnreadable
        If the content of the data folder cannot be used.
    Exception
        Any exception that ``on_listening`` raises, after the server has stopped.
    """
    if settings.control == "auto" and settings.control_port is None and not all(map(is_loopback, hosts)):
        settings = settings.model_copy(update={"control": "off"})
    with contextlib.ExitStack() as stack:
        plan = _Plan.bind(settings, hosts, port, tls_port, stack)
        app = plan.application()
        server = _server(app, plan)
        serving = asyncio.create_task(server.serve(sockets=[*plan.plain, *plan.control]))
        await _until_started(server, serving)
        listening = plan.listening(app)
        announcing = asyncio.create_task(_begin(listening, plan.settings, server.scripts, on_listening))
        server.beginning = announcing
        await asyncio.wait({serving, announcing}, return_when=asyncio.FIRST_COMPLETED)
        if announcing.done() and not announcing.cancelled() and announcing.exception() is not None:
            server.should_exit = True
        await serving
        announcing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await announcing


@contextlib.contextmanager
def running_server(
    settings: Settings | None = None,
    *,
    workers: WorkerPool | None = None,
    port: int = 0,
    tls_port: int | None = None,
) -> Iterator[Listening]:
    """Run an emulator in a thread, on the loopback interface, for the duration of the block.

    If ``workers`` is given, the emulator uses that pool and does not close it. ``port`` and ``tls_port`` are
    as for ``serve``, which also lists the errors.
    """
    with contextlib.ExitStack() as stack:
        plan = _Plan.bind(settings or Settings(), ["127.0.0.1"], port, tls_port, stack)
        app = plan.application(workers)
        server = _server(app, plan)
        started: Future[None] = Future()

        async def run() -> None:
            serving = asyncio.create_task(server.serve(sockets=[*plan.plain, *plan.control]))
            try:
                await _until_started(server, serving)
                await _begin(plan.listening(app), plan.settings, server.scripts, None)
            except BaseException as error:
                server.should_exit = True
                await asyncio.wait({serving})
                started.set_exception(error)
                raise
            started.set_result(None)
            await serving

        thread = threading.Thread(target=_run, args=(run, started), name="face-emulator")
        thread.start()
        try:
            started.result()
            yield plan.listening(app)
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True)
class _Trust:
    """What the TLS listener needs: the served names, the context, and the file that clients must trust."""

    names: frozenset[str]
    context: ssl.SSLContext
    ca_file: Path

    @classmethod
    def open(cls, settings: Settings, vendors: Sequence[Vendor]) -> _Trust:
        """Open the certificate authority, or make it at the first start, and write the trust files."""
        # Loading cryptography takes longer than the rest of the server.
        from emulator.tls.authority import open_authority  # noqa: PLC0415 - on demand, see above
        from emulator.tls.context import server_context  # noqa: PLC0415 - on demand, see above
        from emulator.tls.trust import write_trust_files  # noqa: PLC0415 - on demand, see above

        names = frozenset(name for vendor in vendors for name in (*vendor.hosts, *vendor.stores))
        authority = open_authority(tls_folder(settings), names, machine_time())
        files = write_trust_files(authority)
        return cls(names, server_context(authority, names, machine_time), files.ca)


@dataclass(frozen=True)
class _Plan:
    """The settings, and the sockets that listen already."""

    settings: Settings
    plain: list[socket]
    control: list[socket]
    tls: list[socket]
    trust: _Trust | None

    @classmethod
    def bind(
        cls,
        settings: Settings,
        hosts: Sequence[str],
        port: int,
        tls_port: int | None,
        stack: contextlib.ExitStack,
    ) -> _Plan:
        """Listen on all addresses. ``stack`` closes the sockets."""
        vendors = discover_vendors(settings.vendor_packages)
        trust = None if tls_port is None else _Trust.open(settings, vendors)
        plain = _bind(hosts, port, stack)
        tls = [] if tls_port is None else _bind(hosts, tls_port, stack)
        control: list[socket] = []
        if settings.control_port is not None and settings.control != "off":
            control = _bind(["127.0.0.1"], settings.control_port, stack)
            settings = settings.model_copy(update={"control_port": control[0].getsockname()[1]})
        return cls(settings, plain, control, tls, trust)

    def application(self, workers: WorkerPool | None = None) -> FastAPI:
        """Return the application, whose health check describes TLS."""
        app = create_app(self.settings, workers=workers)
        if self.trust is not None:
            app.state.progress.tls = Tls(
                url=base_url(self.tls[0], "https"),
                folder=str(self.trust.ca_file.parent),
                names=sorted(self.trust.names),
            )
        return app

    def listening(self, app: FastAPI) -> Listening:
        """Return the description of the running server."""
        plain = base_url(self.plain[0])
        control = None if self.settings.control == "off" else base_url((self.control or self.plain)[0])
        if self.trust is None:
            return Listening(app, plain, control)
        return Listening(app, plain, control, base_url(self.tls[0], "https"), self.trust.ca_file)

    @property
    def relay(self) -> Relay:
        """The tunnels of the proxy, which end at the first TLS listener."""
        host, port = self.tls[0].getsockname()[:2] if self.tls else ("", 0)
        return Relay(
            () if self.trust is None else self.trust.names,
            (reachable(host), port) if self.tls else None,
            is_open=self.settings.proxy_others,
        )


def _run(run: Callable[[], Coroutine[Any, Any, None]], started: Future[None]) -> None:
    """Run the server in its thread."""
    try:
        asyncio.run(run())
    except BaseException:
        # The thread that waits for ``started`` already raises the errors of the startup.
        if not started.done() or started.exception() is None:
            raise


async def _begin(
    listening: Listening,
    settings: Settings,
    scripts: Scripts,
    on_listening: Callable[[Listening], Awaitable[None]] | None,
) -> None:
    """Run the init hooks, then ``on_listening``."""
    if settings.init_dir is not None:
        url = listening.control_url or listening.base_url
        await run_init_hooks(settings.init_dir, listening.app.state.world, url, scripts)
        listening.app.state.progress.hooks_run = True
    if on_listening is not None:
        await on_listening(listening)


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server stopped during its startup; see its log")
        await asyncio.sleep(0.005)


def tls_folder(settings: Settings) -> Path:
    """Return the folder of the certificate authority: in the data folder, or else one per user."""
    if settings.data_dir is not None:
        return settings.data_dir / "tls"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "face-api-emulator", "tls")


def _bind(hosts: Sequence[str], port: int, stack: contextlib.ExitStack) -> list[socket]:
    return [stack.enter_context(bound) for bound in bind(hosts, port)]


def _server(app: FastAPI, plan: _Plan) -> _Server:
    # The command line configures logging; an emulator inside a test must not print.
    config = uvicorn.Config(
        _Opening(_ForwardedHeaders(app)),
        http=type("RelayingProtocol", (Protocol,), {"relay": plan.relay}),
        ws="none",
        log_config=None,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    return _Server(config, plan.tls, None if plan.trust is None else plan.trust.context)


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

    Requests from all addresses are trusted, because in a container they come from the bridge's address. With
    several proxies in a row, ``X-Forwarded-Proto`` is a list. Its first member is the client's scheme.
    """

    def __init__(self, app: ASGIApp) -> None:
        # uvicorn describes ASGI by other types than Starlette.
        self._app: Any = ProxyHeadersMiddleware(cast("Any", app), trusted_hosts="*")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application."""
        if scope["type"] == "http":
            scope["headers"] = [
                (name, value.partition(b",")[0]) if name == b"x-forwarded-proto" else (name, value)
                for name, value in scope["headers"]
            ]
        await self._app(scope, receive, send)


class _Server(uvicorn.Server):
    """A uvicorn server that raises the error of a failed startup instead of exiting the process.

    Its shutdown also cancels the init hooks and ends their scripts, because after a signal, the process exits
    as soon as the server has stopped.
    """

    def __init__(self, config: uvicorn.Config, tls: Sequence[socket], context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._context = context
        self.beginning: asyncio.Task[None] | None = None
        self.scripts = Scripts()

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
        for bound in self._tls:
            self.servers.append(
                await loop.create_server(
                    functools.partial(
                        cast("type[Protocol]", self.config.http_protocol_class),
                        config=self.config,
                        server_state=self.server_state,
                        app_state=self.lifespan.state,
                    ),
                    sock=bound,
                    ssl=self._context,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                )
            )

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Cancel the init hooks, stop the server, and end the processes that scripts have left running."""
        if self.beginning is not None:
            self.beginning.cancel()
            await asyncio.wait({self.beginning})
        await super().shutdown(sockets)
        self.scripts.end()
