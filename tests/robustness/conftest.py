"""Fixtures that run emulators in the process of the test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated import Emulate, Emulated

from emulator.backends.queue.pool import WorkerPool
from emulator.clock import Clock
from emulator.settings import Settings


@pytest.fixture(scope="module")
def emulate(workers: WorkerPool) -> Iterator[Emulate]:
    """Return a function that starts an emulator with the given settings."""
    with contextlib.ExitStack() as stack:

        def start(clock: Clock | None = None, data_dir: Path | None = None, **settings: Any) -> Emulated:
            emulated = Emulated(Settings(data_dir=data_dir, **settings), workers, clock)
            emulated.start()
            stack.callback(emulated.stop)
            return emulated

        yield start


@pytest.fixture(scope="module")
def emulated(emulate: Emulate) -> Emulated:
    """An emulator that the tests of a module share."""
    return emulate()


@pytest.fixture
def free_loop(emulated: Emulated) -> Iterator[None]:
    """Fail the test if a request blocks the event loop of ``emulated`` for more than 100 ms."""
    with emulated.probed():
        yield
