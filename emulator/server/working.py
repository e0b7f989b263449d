"""Starting and stopping a worker, a process that only performs tasks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from emulator.emulation import create_emulation
from emulator.settings import Settings


async def work(settings: Settings, on_ready: Callable[[], None]) -> None:
    """Perform the tasks of servers that use the same database, until a signal stops this process.

    After the signal, wait at most ``stop_seconds`` for the tasks that have begun. Other servers and workers
    perform the rest. A second signal ends the process at once.

    Parameters
    ----------
    settings : Settings
        Settings of the emulator, with a database.
    on_ready : callable
        Called when the worker processes have loaded the face core.

    Raises
    ------
    WorkerLost
        If the worker processes cannot load the face core.
    StoreUnreadable
        If the content of the database cannot be used.
    """
    emulation = create_emulation(settings, role="worker")
    queue = emulation.world.queue
    stop = asyncio.Event()
    is_ready = False

    async def live() -> None:
        nonlocal is_ready
        async with emulation.running():
            await queue.wait_until_warm()
            is_ready = True
            on_ready()
            await stop.wait()
            await queue.drain(settings.stop_seconds)

    def end(number: signal.Signals) -> None:
        if not stop.is_set():
            stop.set()
            return
        queue.kill()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        # In a container, the kernel does not let the signal end the first process.
        os._exit(128 + number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Event loops on Windows do not support signal handlers. There, Ctrl+C ends the process at once.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, end, number)
    living, stopping = asyncio.create_task(live()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not is_ready:
            living.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await living
