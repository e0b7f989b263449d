"""A listening emulator: in the foreground for the command line, in a thread for everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from emulator.app import create_app
from emulator.settings import Settings
from emulator.web.call import DROPPERS
from emulator.web.endings import ENDINGS


class AddressInUse(Exception):
    """Somebody else listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"{self.host}:{self.port} is taken: stop what listens there, or choose another with --port"


@dataclass(frozen=True)
class Listening:
    """A server that answers: its application and its base URL."""

    app: FastAPI
    base_url: str


async def serve(
    settings: Settings, host: str, port: int, on_listening: Callable[[Listening], Awaitable[None]]
) -> None:
    """Serve until told to stop by a signal; ``on_listening`` runs once requests are answered.

    Raises
    ------
    AddressInUse
        If the port is taken.
    Exception
        What ``on_listening`` raises stops the server, and is raised.
    """
    with _bind(host, port) as bound:
        app = create_app(settings)
        server = _uvicorn_server(app)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        await _until_started(server, serving)
        announcing = asyncio.ensure_future(on_listening(Listening(app, _base_url(bound))))
        await asyncio.wait({serving, announcing}, return_when=asyncio.FIRST_COMPLETED)
        if announcing.done() and not announcing.cancelled() and announcing.exception() is not None:
            server.should_exit = True
        await serving
        announcing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await announcing


@contextlib.contextmanager
def running_server(settings: Settings | None = None) -> Iterator[Listening]:
    """Run an emulator in a thread, on a free port of the loopback interface, as long as the block lasts."""
    with _bind("127.0.0.1", 0) as bound:
        app = create_app(settings)
        server = _uvicorn_server(app)
        started = threading.Event()

        async def run() -> None:
            serving = asyncio.create_task(server.serve(sockets=[bound]))
            try:
                await _until_started(server, serving)
            finally:
                started.set()
            await serving

        thread = threading.Thread(target=asyncio.run, args=(run(),), name="face-emulator")
        thread.start()
        try:
            started.wait()
            yield Listening(app, _base_url(bound))
        finally:
            server.should_exit = True
            thread.join()


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server stopped while it started; its log says why")
        await asyncio.sleep(0.005)


def _uvicorn_server(app: FastAPI) -> uvicorn.Server:
    # Logging is the command line's to configure; a library that is embedded in a test stays quiet.
    # Whoever can reach a test's emulator may say by which scheme: in a container, that is the bridge.
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            log_config=None,
            timeout_graceful_shutdown=5,
            forwarded_allow_ips="*",
        )
    )


class DroppableProtocol(HttpToolsProtocol):
    """HTTP, with connections that the application can close without an answer.

    And with answers that never end by themselves, which hear when the server stops.
    """

    def on_message_begin(self) -> None:
        """Offer that in the request's scope."""
        super().on_message_begin()
        self._endings: set[Callable[[], None]] = set()
        self.scope["extensions"] = {
            DROPPERS: {"close": self.transport.close, "reset": self._reset},
            # Functions, which the types of ASGI do not foresee: uvicorn hands on what it is given.
            ENDINGS: {"add": self._endings.add},
        }

    def shutdown(self) -> None:
        """Tell who waits for it that the server stops, and go on stopping."""
        for end in list(getattr(self, "_endings", ())):
            end()
        super().shutdown()

    def _reset(self) -> None:
        # A connection that does not linger is not closed but reset.
        bound = self.transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise AddressInUse(host, port) from error


def _base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
