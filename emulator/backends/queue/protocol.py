"""The port for work: what a pool of workers has to do for the emulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class WorkQueue(Protocol):
    """Workers that hold a warm face core.

    A pipeline is a module-level function with picklable arguments and result, so that it can run
    in this process, in another one or on another machine.
    """

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Begin to warm the workers up, and to hand every enqueued task's id to ``perform``."""

    @property
    def is_warm(self) -> bool:
        """Whether a worker has the face core loaded."""

    async def wait_until_warm(self) -> None:
        """Return when a worker has the face core loaded.

        Raises
        ------
        WorkerLost
            If the face core cannot be loaded.
        """

    async def enqueue(self, task_id: str) -> None:
        """Have the task performed, soon and at least once."""

    async def run(self, pipeline: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker and return what it returns.

        Raises
        ------
        WorkerLost
            If the worker died (out of memory, killed) twice over the same work.
        Exception
            Whatever the pipeline raises.
        """

    async def close(self) -> None:
        """Stop the workers."""


class WorkerLost(Exception):
    """A worker process died under the work."""
