"""The queue of tasks, and the worker processes, which run pipelines to compute the results."""

from emulator.backends.queue.protocol import (
    CLIENT_LEAVING,
    Backlog,
    ClientLeft,
    Load,
    Pipeline,
    WorkerLost,
    WorkQueue,
)

__all__ = ["CLIENT_LEAVING", "Backlog", "ClientLeft", "Load", "Pipeline", "WorkQueue", "WorkerLost"]
