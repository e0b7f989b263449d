"""Worker processes on this machine, that several queues can share.

Processes and not threads, for three reasons. The parts of the work that are Python hold the
interpreter lock, and polls would wait for them. Loading MediaPipe takes seconds of that lock, and
here another process spends them. And a picture that takes a worker down with it (out of memory)
leaves the server standing. benchmarks/workers.py measures both.

The pool is loky's and not the standard library's: its workers do not import the main module again,
so an emulator can be started from a notebook, from standard input and from a script without a guard.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

from loky import ProcessPoolExecutor
from loky.process_executor import ShutdownExecutorError

from emulator.backends.queue.protocol import P, Pipeline, R, WorkerLost

logger = logging.getLogger(__name__)

ORPHANED_SECONDS = 0.5
"""How often a worker looks whether its server is still there."""

STOPPED = "the workers are stopped"

# Work of no consequence.
_NOTHING: Pipeline[[], int] = Pipeline("os.getpid")


class WorkerPool:
    """Spawned worker processes, each with a face core of its own; any thread may use it.

    Parameters
    ----------
    count : int
        Worker processes.
    warm_up : Pipeline
        Runs first in every worker.
    variables : mapping of str to str, optional
        Environment variables that the workers have beside those of this process.
    """

    def __init__(
        self, count: int, warm_up: Pipeline[[], None], variables: Mapping[str, str] | None = None
    ) -> None:
        self._count = count
        self._warm_up = warm_up
        self._variables = dict(variables or {})
        self._lock = threading.Lock()
        self._is_closed = False
        self._executor = self._new_executor()

    def submit(
        self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[ProcessPoolExecutor, Future[R]]:
        """Return the executor that runs a pipeline, and what it will return.

        Raises
        ------
        WorkerLost
            If the workers are stopped.
        """
        while True:
            executor = self._executor
            try:
                return executor, executor.submit(_perform, pipeline, *args, **kwargs)
            except ShutdownExecutorError as error:
                raise WorkerLost(STOPPED) from error
            except BrokenProcessPool as error:
                # A worker died while it had nothing to do, or over the work of another queue.
                self.replace(executor, error)

    def replace(self, broken: ProcessPoolExecutor, error: BrokenProcessPool) -> None:
        """Replace an executor, since one dead worker breaks all of it; the first to notice does.

        Raises
        ------
        WorkerLost
            If the workers are stopped.
        """
        with self._lock:
            if self._is_closed:
                raise WorkerLost(STOPPED) from error
            if self._executor is broken:
                logger.warning("a worker process died: %s", error.__cause__ or error)
                self._executor = self._new_executor()
                broken.shutdown(wait=False)

    def warm_up(self) -> None:
        """Start all workers, and return when they have the face core loaded.

        Raises
        ------
        WorkerLost
            If it cannot be loaded, or the workers are stopped.
        """
        for _ in range(2):
            # One piece of work for each worker makes the executor start them all.
            begun = [self.submit(_NOTHING) for _ in range(self._count)]
            for executor, future in begun:
                try:
                    future.result()
                except BrokenProcessPool as error:
                    cause = error
                    self.replace(executor, error)
                    break
            else:
                return
        raise WorkerLost("a worker process died while it loaded the face core") from cause

    def close(self, *, kill: bool = False) -> None:
        """Stop the workers; work that has begun is finished first, unless they are killed."""
        with self._lock:
            self._is_closed = True
        self._executor.shutdown(wait=True, kill_workers=kill)

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._count,
            initializer=_begin_worker,
            initargs=(self._warm_up, os.getpid(), ORPHANED_SECONDS),
            env=self._variables,
        )


def _begin_worker(warm_up: Pipeline[[], None], server: int, every_s: float) -> None:
    # First, since a server may be killed while its workers load the face core.
    threading.Thread(target=_end_with, args=(server, every_s), daemon=True).start()
    # Ctrl-C reaches the whole process group; the server alone decides when its workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up.resolve()()


def _end_with(server: int, every_s: float) -> None:
    """End this process once the server is gone.

    A worker waits at a pipe of which it holds both ends, as its neighbours do: that the server was
    killed does not close it. But the system hands orphans on to another parent.
    """
    while os.getppid() == server:
        time.sleep(every_s)
    os._exit(1)


def _perform(pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a pipeline, in a worker."""
    return pipeline.resolve()(*args, **kwargs)
