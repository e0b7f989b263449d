"""The port for work: what a pool of workers has to do for the emulator."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Pipeline(Generic[P, R]):
    """The name of a module-level function with picklable arguments and result.

    A name, so that the function can run in another process or on another machine, and is imported
    only there: a server that imported the face core would start three times as slowly.

    Attributes
    ----------
    name : str
        The function's dotted path, as in ``emulator.pipelines.reshape.reshape_picture``.
    """

    name: str

    def resolve(self) -> Callable[P, R]:
        """Import the function and return it: a worker's part."""
        module, _, function = self.name.rpartition(".")
        found: Callable[P, R] = getattr(importlib.import_module(module), function)
        return found


class WorkQueue(Protocol):
    """Workers that hold a warm face core."""

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

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
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
