"""The protocol of the work queue and its workers."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

from emulator.durations import Histogram

P = ParamSpec("P")
R = TypeVar("R")


class WorkerLost(Exception):
    """Worker processes died during the work, or the workers are stopped."""


CLIENT_LEAVING: ContextVar[Callable[[], Coroutine[Any, Any, None]] | None] = ContextVar(
    "CLIENT_LEAVING", default=None
)
"""Function that waits until the client of the current request disconnects. None if there is no request."""


class ClientLeft(Exception):
    """The client has closed its connection before its pipeline began, so the pipeline was not run."""


@dataclass(frozen=True)
class Pipeline(Generic[P, R]):
    """The name of a module-level function that a worker runs. Arguments and result must be picklable.

    The function is imported only in the worker, which may be another process or machine. If the server
    imported the code for faces (``emulator.face``), the server would take three times as long to start.

    Attributes
    ----------
    name : str
        Dotted path of the function, such as ``emulator.pipelines.reshape.reshape_picture``.
    failure : callable
        Returns the exception to raise if two workers died, or took too long, while they ran the pipeline. The
        argument is the reason. The most likely cause is the input, so the exception can say that the input is
        invalid.
    """

    name: str
    failure: Callable[[str], Exception] = WorkerLost

    def resolve(self) -> Callable[P, R]:
        """Import and return the function. Only workers call this."""
        module, _, function = self.name.rpartition(".")
        found: Callable[P, R] = getattr(importlib.import_module(module), function)
        return found


@dataclass(frozen=True)
class Load:
    """How busy the workers of this process are, and have been since the start of the process.

    Attributes
    ----------
    workers : int
        Number of workers.
    alive : int
        Number of workers that are alive and have loaded the face core.
    waiting : int
        Number of work items that wait for a worker.
    waits : Histogram
        How long each work item waited for a worker. A work item that is tried again because its worker died
        counts again.
    works : mapping of str to Histogram
        How long workers took for each work item, until they replied or died, by name of the pipeline.
    """

    workers: int
    alive: int
    waiting: int
    waits: Histogram
    works: Mapping[str, Histogram]


@dataclass(frozen=True)
class Backlog:
    """The tasks in a queue, and the processes that perform them.

    Attributes
    ----------
    waiting : int
        Number of tasks that no process has begun.
    running : int
        Number of tasks that processes perform now.
    processes : int
        Number of running processes that take tasks from the queue: servers and ``face-emulator worker``.
    """

    waiting: int
    running: int
    processes: int


class WorkQueue(Protocol):
    """A queue of tasks, and workers that run pipelines.

    Several processes can share a queue. Then one of them performs each task, and each process runs its
    pipelines in its own workers.
    """

    @property
    def is_in_database(self) -> bool:
        """Whether writing an `emulator.backends.records.Enqueue` to the database adds a task to the queue."""

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Start the workers and the queue.

        The workers load the face core. ``perform`` is called with the id of each enqueued task.
        """

    @property
    def why_not_warm(self) -> str | None:
        """Why the workers are not warm, as a sentence, or None if they are warm."""

    def load(self) -> Load:
        """Return how busy the workers of this process are."""

    async def wait_until_warm(self) -> None:
        """Wait until all workers have loaded the face core, which is the code and the models for faces.

        Raises
        ------
        WorkerLost
            If a worker cannot load the face core.
        """

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:
        """Enqueue a task. The task is performed at least once.

        ``waits`` is true if the task mostly waits for other servers, such as for a download.
        """

    async def backlog(self) -> Backlog:
        """Return how many tasks the queue has, and how many processes perform them.

        Raises
        ------
        StoreUnavailable
            If the queue is in a database that cannot be used now.
        """

    async def run(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a pipeline in a worker, and return its result.

        Raises
        ------
        WorkerLost
            If the workers are stopped, or no worker can be started.
        ClientLeft
            If the client of the request disconnected before the work began.
        Exception
            Any exception that the pipeline raises. If two workers died or took too long, the exception that
            ``pipeline.failure`` returns.
        """

    async def drain(self, seconds: float) -> None:
        """Begin no more tasks, and wait at most ``seconds`` for those that have begun."""

    async def close(self) -> None:
        """Stop the workers. Tasks that have begun are cancelled, and performed again later."""

    def kill(self) -> None:
        """Kill the workers at once, without waiting for anything."""
