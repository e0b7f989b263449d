"""A pool of worker processes on this machine, which several queues can share.

The workers are processes instead of threads for three reasons. In a thread, the Python code of a pipeline
would hold the interpreter lock and delay polls. Loading MediaPipe would even hold the lock for seconds. A
picture that crashes a worker process, for example because memory runs out, does not crash the server.
benchmarks/workers.py measures the delay of polls.

The pool uses loky, because worker processes of the standard library import the main module again. With loky,
the emulator can start in a notebook, from standard input, or in a script without a main guard.
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

PARENT_CHECK_SECONDS = 0.5
"""Seconds between two checks in which a worker tests whether its server is still running."""

STOPPED = "the workers are stopped"

# A pipeline without effect, which makes the executor start its workers.
_NOTHING: Pipeline[[], int] = Pipeline("os.getpid")


class WorkerPool:
    """A thread-safe pool of worker processes, each of which loads the code and the models for faces.

    Parameters
    ----------
    count : int
        Number of worker processes.
    warm_up : Pipeline
        A pipeline that loads the code and the models. It runs in every worker before any other work.
    variables : mapping of str to str, optional
        Additional environment variables for the workers.
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
        """Submit a pipeline. Return the executor that runs it, and the future of its result.

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
                # A worker died while it was idle, or during the work of another queue.
                self.replace(executor, error)

    def replace(self, broken: ProcessPoolExecutor, error: BrokenProcessPool) -> None:
        """Replace an executor that broke because one of its workers died.

        Do nothing if another call has already replaced the executor.

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
        """Start all workers, and wait until each of them has run the warm-up pipeline.

        Raises
        ------
        WorkerLost
            If the warm-up pipeline fails, or the workers are stopped.
        """
        for _ in range(2):
            # Submit as much work as there are workers, so that the executor starts all of them.
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
        raise WorkerLost("a worker process died while loading the face core") from cause

    def close(self, *, kill: bool = False) -> None:
        """Stop the workers: kill them if ``kill`` is true, or else let them finish their current work."""
        with self._lock:
            self._is_closed = True
        self._executor.shutdown(wait=True, kill_workers=kill)

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._count,
            initializer=_begin_worker,
            initargs=(self._warm_up, os.getpid(), PARENT_CHECK_SECONDS),
            env=self._variables,
        )


def _begin_worker(warm_up: Pipeline[[], None], server: int, every_s: float) -> None:
    # Start this thread first, because the server may be killed during the warm-up, which takes seconds.
    threading.Thread(target=_exit_with_server, args=(server, every_s), daemon=True).start()
    # Ctrl-C is sent to the whole process group, but only the server may stop the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up.resolve()()


def _exit_with_server(server: int, every_s: float) -> None:
    """Exit this process when the server is gone.

    When the server dies, the id of this process's parent changes. A pipe to the server would not show that
    the server has died: every worker holds both ends of the pipe, so the pipe would stay open.
    """
    while os.getppid() == server:
        time.sleep(every_s)
    os._exit(1)


def _perform(pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a pipeline in the current process, which is a worker."""
    return pipeline.resolve()(*args, **kwargs)
