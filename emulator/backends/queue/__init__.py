"""The queue of tasks, and the worker processes that run pipelines, which compute the results."""

from emulator.backends.queue.protocol import Pipeline, WorkerLost, WorkQueue

__all__ = ["Pipeline", "WorkQueue", "WorkerLost"]
