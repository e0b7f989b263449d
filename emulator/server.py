"""The server: ``serve`` blocks, for the command line; ``running_server`` runs in a thread, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.control.gate import is_loopback
from emulator.control.init import Scripts, run_init_hooks
from emulator.settings import Settings
from emulator.web.endings import ENDINGS
from emulator.web.exchange import DROPPERS

KEEP_ALIVE_SECONDS = 75
"""Seconds until an idle connection is closed, as in common web servers. With a shorter time, a connection is
more often closed while a client with a connection pool sends the next request on it."""


class AddressInUse(Exception):
    """Another process listens on the address."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is in use: stop the other server, or choose another port with --port"


@dataclass(frozen=True)
class Listening:
    """A running server: its application, its base URL, and that of the control API if it is served."""

    app: FastAPI
    base_url: str
    control_url: str | None


async def serve(
    settings: Settings, host: str, port: int, on_listening: Callable[[Listening], Awaitable[None]]
) -> None:
    """Serve until a signal stops the server, and call ``on_listening`` once it accepts requests.

    Raises
    ------
    AddressInUse
        If the port is in use.
    StoreUnreadable
        If the content of the data folder cannot be used.
    Exception
        If ``on_listening`` raises it. The server is stopped first.
    """
    if settings.control == "auto" and settings.control_port is None and not is_loopback(host):
        settings = settings.model_copy(update={"control": "off"})
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(_bind(host, port))
        settings, sockets = _bind_control(settings, stack)
        app = create_app(settings)
        server = _uvicorn_server(app)
        serving = asyncio.create_task(server.serve(sockets=[bound, *sockets]))
        await _until_started(server, serving)
        listening = _listening(app, bound, sockets, settings)
        announcing = asyncio.create_task(_begin(listening, settings, server.scripts, on_listening))
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
    settings: Settings | None = None, *, workers: WorkerPool | None = None
) -> Iterator[Listening]:
    """Run an emulator in a thread, on a free port of the loopback interface, for the duration of the block.

    If ``workers`` is given, the emulator uses that pool and does not close it.
    """
    settings = settings or Settings()
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(_bind("127.0.0.1", 0))
        settings, sockets = _bind_control(settings, stack)
        app = create_app(settings, workers=workers)
        server = _uvicorn_server(app)
        listening = _listening(app, bound, sockets, settings)
        started: Future[None] = Future()

        async def run() -> None:
            serving = asyncio.create_task(server.serve(sockets=[bound, *sockets]))
            try:
                await _until_started(server, serving)
                await _begin(listening, settings, server.scripts, None)
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
            yield listening
        finally:
            server.should_exit = True
            thread.join()


def _run(run: Callable[[], Coroutine[Any, Any, None]], started: Future[None]) -> None:
    """Run the server in its thread."""
    try:
        asyncio.run(run())
    except BaseException:
        # ``started`` already raises an error of the startup in the thread that waits for it.
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


def _listening(
    app: FastAPI, bound: socket.socket, control: list[socket.socket], settings: Settings
) -> Listening:
    control_url = None if settings.control == "off" else _base_url(control[0] if control else bound)
    return Listening(app, _base_url(bound), control_url)


def _bind_control(settings: Settings, stack: contextlib.ExitStack) -> tuple[Settings, list[socket.socket]]:
    """Bind the separate port of the control API, if any. Return the settings with it, and its socket."""
    if settings.control_port is None or settings.control == "off":
        return settings, []
    bound = stack.enter_context(_bind("127.0.0.1", settings.control_port))
    return settings.model_copy(update={"control_port": bound.getsockname()[1]}), [bound]


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server stopped during its startup; see its log")
        await asyncio.sleep(0.005)


def _uvicorn_server(app: FastAPI) -> _Server:
    # The command line configures logging; an emulator inside a test must not print.
    # Trust the forwarded headers of all addresses: in a container, requests come from the bridge's address.
    return _Server(
        uvicorn.Config(
            _Opening(app),
            http=DroppableProtocol,
            log_config=None,
            timeout_graceful_shutdown=5,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            forwarded_allow_ips="*",
        )
    )


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


class _Server(uvicorn.Server):
    """A server that raises the error of a failed startup, where uvicorn's own exits the process.

    Its shutdown also cancels the init hooks and ends their scripts, because after a signal the process exits
    as soon as the server has stopped.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.beginning: asyncio.Task[None] | None = None
        self.scripts = Scripts()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen."""
        try:
            await super().startup(sockets)
        except SystemExit:
            opening = self.config.app
            if isinstance(opening, _Opening) and opening.failure is not None:
                raise opening.failure from None
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cancel the init hooks, stop the server, and end the processes that scripts have left running."""
        if self.beginning is not None:
            self.beginning.cancel()
            await asyncio.wait({self.beginning})
        await super().shutdown(sockets)
        self.scripts.end()


class DroppableProtocol(HttpToolsProtocol):
    """HTTP with two ASGI extensions.

    ``DROPPERS`` closes a connection without a response. ``ENDINGS`` registers callbacks that run when the
    server stops, for responses that never end by themselves.
    """

    def on_message_begin(self) -> None:
        """Add the extensions to the request's scope."""
        super().on_message_begin()
        self._endings: set[Callable[[], None]] = set()
        self.scope["extensions"] = {
            DROPPERS: {"close": self.transport.close, "reset": self._reset},
            # The ASGI types do not allow functions here, but uvicorn passes them on unchanged.
            ENDINGS: {"add": self._endings.add},
        }

    def shutdown(self) -> None:
        """Call the callbacks, then shut down."""
        for end in list(getattr(self, "_endings", ())):
            end()
        super().shutdown()

    def _reset(self) -> None:
        # With a linger time of 0, closing sends a reset.
        bound = self.transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _bind(host: str, port: int) -> socket.socket:
    try:
        bound = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
        # Connections inherit this option. A response's head and body are two writes. Without the option, the
        # second waits for the client's delayed acknowledgement of the first: 40 ms per call.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise AddressInUse(host, port) from error
    return bound


def _base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
