"""The protocol of the work queue and its workers."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Pipeline(Generic[P, R]):
    """The name of a module-level function that a worker runs. Arguments and result must be picklable.

    The function is imported only in the worker, which may be another process or machine. If the server
    imported the code for faces (``emulator.face``), the server would take three times as long to start.

    Attributes
    ----------
    name : str
        Dotted path of the function, such as ``emulator.pipelines.reshape.reshape_picture``.
    """

    name: str

    def resolve(self) -> Callable[P, R]:
        """Import and return the function. Only workers call this."""
        module, _, function = self.name.rpartition(".")
        found: Callable[P, R] = getattr(importlib.import_module(module), function)
        return found


class WorkQueue(Protocol):
    """A queue of tasks, and workers that run pipelines."""

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers and the queue.

        The workers load the face core. ``perform`` is called with the id of each enqueued task.
        """

    @property
    def is_warm(self) -> bool:
        """Whether all workers have loaded the face core, which is the code and the models for faces."""

    async def wait_until_warm(self) -> None:
        """Wait until all workers have loaded the face core, which is the code and the models for faces.

        Raises
        ------
        WorkerLost
            If a worker cannot load the face core.
        """

    async def enqueue(self, task_id: str) -> None:
        """Enqueue a task. The task is performed at least once."""

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker, and return its result.

        Raises
        ------
        WorkerLost
            If a worker died twice during the same work, for example because memory ran out, or if the workers
            are stopped.
        Exception
            Any exception that the pipeline raises.
        """

    async def close(self) -> None:
        """Stop the workers."""


class WorkerLost(Exception):
    """A worker process died, or the workers are stopped."""
