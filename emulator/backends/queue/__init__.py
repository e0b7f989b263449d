"""Work that takes a processor: pipelines that somebody waits for, and tasks that nobody does."""

from emulator.backends.queue.protocol import Pipeline, WorkerLost, WorkQueue

__all__ = ["Pipeline", "WorkQueue", "WorkerLost"]
