"""Work that takes a processor: pipelines that somebody waits for, and tasks that nobody does."""

from emulator.backends.queue.protocol import WorkerLost, WorkQueue

__all__ = ["WorkQueue", "WorkerLost"]
