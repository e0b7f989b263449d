"""The queue of tasks, and the worker processes, which run pipelines to compute the results."""

from emulator.backends.queue.protocol import Pipeline, WorkerLost, WorkQueue

__all__ = ["Pipeline", "WorkQueue", "WorkerLost"]
