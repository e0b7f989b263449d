"""Starting and stopping the server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TextIO

import uvicorn
from fastapi import FastAPI

from emulator.backends.queue.pool import WorkerPool
from emulator.control.gate import is_loopback
from emulator.control.init import Scripts, run_init_hooks
from emulator.server.access_log import AccessLog
from emulator.server.http import make_server
from emulator.server.plan import Listening, Plan
from emulator.settings import Settings

__all__ = ["Listening", "running_server", "serve"]

FINISH_AFTER_SECONDS = 0.5
"""Real seconds until a thread does the rest of the startup. The delay keeps the first responses fast."""

COLLECT_AFTER = 20_000, 4, 250
"""Number of new objects after which the garbage collector visits them, number of such collections after which
it also visits the objects that they have left, and number of those after which it can visit all objects.

While thousands of tasks wait, the second number decides how long a collection takes: 45 ms with 4, and 97 ms
with 20. All calls wait for a collection.
"""


async def serve(
    settings: Settings,
    hosts: Sequence[str],
    port: int,
    on_listening: Callable[[Listening], Awaitable[None]],
    *,
    tls_port: int | None = None,
    log: TextIO | None = None,
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
    log : text file or None
        Receives a line for each response.

    Raises
    ------
    AddressInUse, AddressUnusable
        If the emulator cannot listen on an address.
    AuthorityUnusable
        If the stored certificate authority cannot be used.
    StoreUnreadable
        If the content of the data folder cannot be used.
    StoreUnavailable
        If another store cannot be used.
    DriverMissing
        If a setting needs a package that is not installed.
    Exception
        Any exception that ``on_listening`` raises, after the server has stopped.
    """
    if settings.control == "auto" and settings.control_port is None and not all(map(is_loopback, hosts)):
        settings = settings.model_copy(update={"control": "off"})
    with contextlib.ExitStack() as stack:
        plan = Plan.bind(settings, hosts, port, tls_port, stack)
        app = plan.application()
        if settings.control_token is None and not plan.control and not all(map(is_loopback, hosts)):
            # Other machines can reach the console, so it requires a token. Other clients of the control API
            # do not.
            app.state.gate.console_token = secrets.token_urlsafe(16)
        access_log = None if log is None else AccessLog(log)
        server = make_server(app, plan, access_log)
        server.on_second_signal = app.state.world.queue.kill
        serving = asyncio.create_task(server.serve(sockets=[*plan.plain, *plan.control]))
        await _until_started(server, serving)
        listening = plan.listening(app)
        finishing = asyncio.create_task(_finish_start(app))
        announcing = asyncio.create_task(_begin(listening, plan.settings, server.scripts, on_listening))
        server.beginning = announcing
        await asyncio.wait({serving, announcing}, return_when=asyncio.FIRST_COMPLETED)
        if announcing.done() and not announcing.cancelled() and announcing.exception() is not None:
            server.should_exit = True
        await serving
        if access_log is not None:
            access_log.flush()
        for task in (finishing, announcing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


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
        plan = Plan.bind(settings or Settings(), ["127.0.0.1"], port, tls_port, stack)
        app = plan.application(workers)
        server = make_server(app, plan)
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
        world = listening.app.state.world
        async with world.starts.once("init") as is_mine:
            if is_mine:
                url = listening.control_url or listening.base_url
                await run_init_hooks(settings.init_dir, world, url, scripts)
        listening.app.state.progress.hooks_run = True
    if on_listening is not None:
        await on_listening(listening)


async def _finish_start(app: FastAPI) -> None:
    """Do the rest of the startup, at a time when the first requests have probably been answered."""
    await asyncio.sleep(FINISH_AFTER_SECONDS)
    await asyncio.to_thread(_add_routes, app)


def _add_routes(app: FastAPI) -> None:
    """Add all routes that no request has needed yet, and start the garbage collector.

    The collector ignores the objects that the startup has created, and runs less often. These objects, such
    as modules and models, are never freed. To visit them in every full collection took a seventh of the time
    of a poll.
    """
    for routes in app.state.routes_later:
        routes.run()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECT_AFTER)


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise RuntimeError("the server stopped during its startup; see its log")
        await asyncio.sleep(0.005)
