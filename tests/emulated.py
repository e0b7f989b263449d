"""An emulator in the process of the test, and a probe that finds out how long its event loop is blocked."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from emulator.app import create_app
from emulator.backends.queue.pool import WorkerPool
from emulator.clock import Clock
from emulator.settings import Settings

T = TypeVar("T")

LONGEST_BLOCK_MS = 100
"""Longest time for which the event loop may work on one thing, in milliseconds of CPU."""

LONGEST_HOLD_MS = 250
"""Longest time for which other threads may keep the event loop from running, in milliseconds of CPU.

It is longer than the other time, because some operations on long texts do not release the interpreter's lock.
"""

BEAT_SECONDS = 0.005


class Emulated:
    """An emulator on an event loop in a thread. Requests do not pass through sockets."""

    def __init__(self, settings: Settings, workers: WorkerPool, clock: Clock | None = None) -> None:
        self.app: FastAPI = create_app(settings, clock=clock, workers=workers)
        self.world = self.app.state.world
        self._longest_ms = self._longest_hold_ms = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._lifespan = self.app.router.lifespan_context(self.app)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1:3468",
            timeout=100,
        )

    def start(self) -> None:
        """Run the lifespan, and make the first request, which initializes many things."""
        self._thread.start()
        self.run(self._lifespan.__aenter__())
        self._beating = asyncio.run_coroutine_threadsafe(self._beat(), self._loop)
        for path in ("/_emulator/calls", "/_emulator/ready", "/s2s/v2.0/task/face-reshape/none", "/facepp"):
            self.send("GET", path)

    def stop(self) -> None:
        """Close the emulator."""
        self._beating.cancel()
        self.run(self._lifespan.__aexit__(None, None, None))
        self.abandon()

    def abandon(self) -> None:
        """Stop the event loop of an emulator that could not start."""
        self.run(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the emulator's event loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(100)

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request, and return the response."""
        return self.run(self._client.send(self._client.build_request(method, path, **request)))

    @contextlib.contextmanager
    def probed(self) -> Iterator[None]:
        """Fail if the event loop is blocked for more than ``LONGEST_BLOCK_MS`` in the context.

        A pulse on the event loop measures the CPU time of the loop's thread and of the process between two
        beats. So work in a thread counts if it keeps the interpreter's lock, and other processes of the
        machine do not count. What threads do while the system lets the loop's thread wait for a processor
        does not count, either.
        """
        gc.collect()
        gc.disable()  # do not measure the collection of objects of the whole test run
        time.sleep(4 * BEAT_SECONDS)  # the collection itself has delayed a beat
        self._longest_ms = self._longest_hold_ms = 0.0
        try:
            yield
            time.sleep(4 * BEAT_SECONDS)
        finally:
            gc.enable()
        block_ms, hold_ms = self._longest_ms, self._longest_hold_ms
        assert block_ms <= LONGEST_BLOCK_MS, f"the event loop was blocked for {block_ms:.0f} ms"
        assert hold_ms <= LONGEST_HOLD_MS, f"threads kept the event loop from running for {hold_ms:.0f} ms"

    async def _beat(self) -> None:
        while True:
            begun, all_begun = time.thread_time(), time.process_time() - _waited_s()
            await asyncio.sleep(BEAT_SECONDS)
            held = time.process_time() - _waited_s() - all_begun
            self._longest_ms = max(self._longest_ms, 1000 * (time.thread_time() - begun))
            self._longest_hold_ms = max(self._longest_hold_ms, 1000 * held)


class Client:
    """The methods of an HTTP client that send requests to an emulator in this process."""

    def __init__(self, emulated: Emulated) -> None:
        self._emulated = emulated

    def request(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send a request, and return the response."""
        return self._emulated.send(method, url, **request)

    def __getattr__(self, method: str) -> Callable[..., httpx.Response]:
        return partial(self.request, method.upper())


class World:
    """What the calls in ``vendor_data`` need."""

    def __init__(self, emulated: Emulated, key: str) -> None:
        self.client = Client(emulated)
        self.key = key


Emulate = Callable[..., Emulated]


def _waited_s() -> float:
    """Return how long this thread has been ready to run, but had no processor. 0 if this is not known."""
    try:
        # See Documentation/scheduler/sched-stats.rst of Linux.
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
