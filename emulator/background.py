"""Background work: asyncio tasks that can be cancelled by credential."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Background:
    """Asyncio tasks that run in the background, each on behalf of one credential.

    Parameters
    ----------
    failure : str
        Message to log if an asyncio task raises an exception.
    """

    def __init__(self, failure: str) -> None:
        self._failure = failure
        self._running: dict[asyncio.Task[Any], str] = {}

    def start(self, credential: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start ``work`` for a credential, and return its asyncio task."""
        task = asyncio.create_task(work)
        self._running[task] = credential
        task.add_done_callback(self._end)
        return task

    async def cancel(self, credential: str | None = None) -> None:
        """Cancel the work for ``credential``, or all work if it is None. Wait until this work has ended."""
        cancelled = [task for task, each in self._running.items() if credential in {None, each}]
        for task in cancelled:
            task.cancel()
        if cancelled:
            await asyncio.wait(cancelled)

    def _end(self, task: asyncio.Task[Any]) -> None:
        del self._running[task]
        if not task.cancelled() and task.exception() is not None:
            logger.error(self._failure, exc_info=task.exception())
