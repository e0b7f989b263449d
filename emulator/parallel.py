"""Computation in a second thread, for a worker process that has a processor to spare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TypeVar

R = TypeVar("R")

_begun: Final[ContextVar[list[Future[Any]] | None]] = ContextVar("begun", default=None)


def later(function: Callable[[], R]) -> Callable[[], R]:
    """Return a function that returns the result of ``function``, or raises its exception.

    In the context of `second_thread`, ``function`` runs in the second thread, after the functions of earlier
    calls, and the returned function waits for it. Elsewhere, the returned function is ``function``. The
    result is the same. ``function`` must not use objects that the calling thread changes or uses for a
    computation in the meantime. The returned function is called at most once.
    """
    begun = _begun.get()
    if begun is None:
        return function
    future = _thread().submit(function)
    begun.append(future)
    return future.result


def has_second_thread() -> bool:
    """Return whether `later` uses a second thread in this context."""
    return _begun.get() is not None


@contextmanager
def second_thread() -> Iterator[None]:
    """Let `later` use a second thread in this context. At its end, wait until that thread is idle.

    Only one thread of a process can use this at a time.
    """
    begun: list[Future[Any]] = []
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)
        # After an error, some results are not needed.
        wait([future for future in begun if not future.cancel()])


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "second")
