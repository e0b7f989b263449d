"""Worker processes that run pipelines, and the queue of tasks."""

from emulator.backends.queue.protocol import Pipeline, WorkerLost, WorkQueue

__all__ = ["Pipeline", "WorkQueue", "WorkerLost"]
