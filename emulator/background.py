"""Background work: asyncio tasks that can be cancelled by credential."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Background:
    """Work that runs in the background, each on behalf of one credential.

    Parameters
    ----------
    failure : str
        Message to log if an asyncio task raises an exception.
    """

    def __init__(self, failure: str) -> None:
        self._failure = failure
        self._running: dict[asyncio.Task[Any], str] = {}
        # What `run` runs, in asyncio tasks that continue after it.
        self._within: dict[asyncio.Task[Any], _Within] = {}

    def start(self, credential: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start ``work`` for a credential in its own asyncio task, and return this."""
        task = asyncio.create_task(work)
        self._running[task] = credential
        task.add_done_callback(self._end)
        return task

    async def run(self, credential: str, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` for a credential in the current asyncio task. Return early if `cancel` cancels it.

        If ``work`` raises an exception, log it.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("no asyncio task runs")
        within = self._within[task] = _Within(credential)
        try:
            await work
        except asyncio.CancelledError:
            # The asyncio task continues, unless it was cancelled for another reason, too.
            if not within.is_cancelled or task.uncancel():
                raise
        except Exception:
            logger.exception(self._failure)
        finally:
            del self._within[task]
            within.end()

    async def cancel(self, credential: str | None = None) -> None:
        """Cancel the work for ``credential``, or all work if it is None. Wait until this work has ended."""
        cancelled: list[asyncio.Future[Any]] = []
        for task, each in self._running.items():
            if credential in {None, each}:
                task.cancel()
                cancelled.append(task)
        for task, within in self._within.items():
            if credential in {None, within.credential}:
                cancelled.append(within.cancel(task))
        if cancelled:
            await asyncio.wait(cancelled)

    def _end(self, task: asyncio.Task[Any]) -> None:
        del self._running[task]
        if not task.cancelled() and task.exception() is not None:
            logger.error(self._failure, exc_info=task.exception())


class _Within:
    """Work in an asyncio task that continues after it."""

    def __init__(self, credential: str) -> None:
        self.credential = credential
        self._ended: asyncio.Future[None] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._ended is not None

    def cancel(self, task: asyncio.Task[Any]) -> asyncio.Future[None]:
        """Cancel the work, once, and return a future that is done when the work has ended."""
        if self._ended is None:
            task.cancel()
            self._ended = task.get_loop().create_future()
        return self._ended

    def end(self) -> None:
        """Record that the work has ended."""
        if self._ended is not None:
            self._ended.set_result(None)
