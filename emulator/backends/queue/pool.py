"""A pool of worker processes on this machine, which several queues can share.

The workers are processes instead of threads for three reasons. In a thread, the Python code of a pipeline
would hold the interpreter lock and delay polls. Loading MediaPipe would even hold the lock for seconds. A
picture that crashes a worker process, for example because memory runs out, does not crash the server.
benchmarks/workers.py measures the delay of polls.

Each worker has its own process and its own pipes, so the death of a worker affects only the pipeline that it
was running. If a pipeline hangs, its worker is killed. The libraries that were tried have other drawbacks:
with loky and concurrent.futures, one death breaks the whole pool; pebble starts processes that import the
main module again; anyio copies pictures in the event loop, and has one pool per event loop.

In the server, each worker has a thread that sends work to the worker and waits for the reply, a thread that
waits until the process exits, and a thread that kills it when a time limit is exceeded. So no pickle is
written or read in the event loop.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.backends.queue.process import WorkerDied, WorkerProcess
from emulator.backends.queue.protocol import Load, P, Pipeline, R, WorkerLost
from emulator.backends.queue.worker import Order, Reply
from emulator.clock import Stopwatch
from emulator.durations import NO_DURATIONS, Durations

logger = logging.getLogger(__name__)

STOPPED = "the workers are stopped"

WORK_SECONDS = 60.0
"""Default limit of the time for one pipeline, in real seconds. A reshape of the largest picture takes 3 s."""

WARM_UP_SECONDS = 180.0
"""Longest time for the start of a worker, in real seconds. It takes 3 s, and more with a cold disk cache."""

MOST_TRIES = 2
"""Number of attempts to run a pipeline, if its worker dies each time. Then the pipeline fails."""

MOST_FALSE_STARTS = 10
"""Number of workers that may die before they begin a pipeline. Later deaths count for ``MOST_TRIES``."""

RETRY_SECONDS = 1.0
"""Real seconds between two attempts to start a worker that cannot be started."""

NICENESS = 5
"""Added to the niceness of the workers, so that the server answers polls quickly while they are busy.

On two processors, two busy workers make the 99th percentile of the poll time 1.3 to 3 times as long as on
an idle server. Without the niceness, it is 6 to 14 times as long. With a larger niceness, other programs
would slow down the workers more.
"""

JOIN_SECONDS = 10.0


class Result(Protocol):
    """A future of ``concurrent.futures`` or of asyncio."""

    def cancel(self) -> bool:
        """Cancel the future, and return whether this was possible."""

    def cancelled(self) -> bool:
        """Return whether the future was cancelled."""


class WorkerPool:
    """A thread-safe pool of worker processes, each of which loads the code and the models for faces.

    The workers start with the first call of ``warm_up`` or ``submit``.

    Parameters
    ----------
    count : int
        Number of worker processes.
    warm_up : Pipeline
        A pipeline that loads the code and the models. It runs in every worker before any other work.
    variables : mapping of str to str, optional
        Additional environment variables for the workers.
    work_seconds : float
        Longest time for one pipeline, in real seconds. A worker that takes longer is killed and replaced.
    """

    def __init__(
        self,
        count: int,
        warm_up: Pipeline[[], None],
        variables: Mapping[str, str] | None = None,
        work_seconds: float = WORK_SECONDS,
    ) -> None:
        self._count = count
        self._warm_up = warm_up
        self._variables = dict(variables or {})
        self._work_seconds = work_seconds
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        # The same lock, for the threads of idle workers, so that new work wakes only one of them.
        self._work_added = threading.Condition(self._lock)
        # Use the following attributes only while ``_lock`` is locked.
        self._slots: list[_Slot] = []
        self._waiting: deque[_Work] = deque()
        self._running: set[_Work] = set()
        self._waits: Durations[None] = Durations()
        self._works: Durations[str] = Durations()
        self._is_closed = False

    def submit(self, pipeline: Pipeline[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit a pipeline, and return the future of its result.

        If the future is cancelled before the pipeline has begun, the pipeline is not run.

        Raises
        ------
        WorkerLost
            If the workers are stopped.
        """
        future: Future[R] = Future()

        def settle(reply: Reply) -> None:
            if not future.set_running_or_notify_cancel():
                return
            if reply.error is None:
                future.set_result(reply.result)
            else:
                future.set_exception(reply.error)

        self.add(pipeline, Order(pipeline.name, args, kwargs), future, settle)
        return future

    def add(
        self, pipeline: Pipeline[..., Any], order: Order, future: Result, settle: Callable[[Reply], None]
    ) -> None:
        """Submit a pipeline whose reply is passed to ``settle``, in another thread.

        If ``future`` is cancelled before the pipeline has begun, the pipeline is not run.

        Raises
        ------
        WorkerLost
            If the workers are stopped.
        """
        with self._lock:
            self._start()
            self._waiting.append(_Work(pipeline, order, future, settle))
            self._work_added.notify()

    def withdraw(self, future: Result) -> bool:
        """Cancel a future if its pipeline waits for a worker. Return whether the pipeline waited."""
        with self._lock:
            waited = next((work for work in self._waiting if work.future is future), None)
            if waited is None:
                return False
            self._waiting.remove(waited)
            self._work_added.notify_all()
        return future.cancel()

    def warm_up(self) -> None:
        """Start all workers, and wait until each of them has run the warm-up pipeline.

        Raises
        ------
        WorkerLost
            If the warm-up pipeline fails, or the workers are stopped.
        """
        with self._lock:
            self._start()
            self._changed.wait_for(
                lambda: self._is_closed or all(slot.worker or slot.is_broken for slot in self._slots)
            )
            if self._is_closed:
                raise WorkerLost(STOPPED)
            broken = next((slot for slot in self._slots if slot.is_broken), None)
            if broken is not None:
                raise WorkerLost(f"a worker process could not load the face core: {broken.trouble}")

    @property
    def missing(self) -> int:
        """Number of workers that have not yet started, or have died and are not yet replaced."""
        with self._lock:
            return self._count - sum(
                slot.worker is not None and not slot.worker.has_exited for slot in self._slots
            )

    @property
    def waiting(self) -> int:
        """Number of work items that wait for a worker."""
        return len(self._waiting)

    @property
    def count(self) -> int:
        """Number of worker processes."""
        return self._count

    def load(self) -> Load:
        """Return how busy the workers are."""
        with self._lock:
            return Load(
                workers=self._count,
                alive=self._count - self.missing,
                # A cancelled future stays in the queue until its turn comes. Then it is skipped.
                waiting=sum(not work.future.cancelled() for work in self._waiting),
                waits=self._waits.histograms().get(None, NO_DURATIONS),
                works=self._works.histograms(),
            )

    def kill(self) -> None:
        """Kill all worker processes. Work that is running or waiting fails with WorkerLost."""
        with self._lock:
            self._is_closed = True
            lost = [*self._waiting, *self._running]
            self._waiting.clear()
            self._running.clear()
            for slot in self._slots:
                if slot.process is not None:
                    slot.process.kill()
            self._notify()
        for work in lost:
            work.settle(Reply(error=WorkerLost(STOPPED)))

    def close(self) -> None:
        """Kill all worker processes, and wait until they have ended."""
        self.kill()
        for slot in self._slots:
            slot.thread.join(JOIN_SECONDS)

    def _start(self) -> None:
        """Start the threads of the workers, if they have not been started. ``_lock`` is locked."""
        if self._is_closed:
            raise WorkerLost(STOPPED)
        if self._slots:
            return
        # Copy both, because other threads may change the originals before a worker is replaced.
        environment, search_path = {**os.environ, **self._variables}, [str(entry) for entry in sys.path]
        for _ in range(self._count):
            thread = threading.Thread(name="worker", daemon=True, target=self._keep, args=(len(self._slots),))
            self._slots.append(_Slot(thread, environment, search_path))
        # When the interpreter exits, the daemon threads must not hold a lock of a pipe.
        weakref.finalize(self, _end, self._slots)
        for slot in self._slots:
            slot.thread.start()

    def _keep(self, number: int) -> None:
        """Keep one worker alive, and let it perform work, until the pool is closed."""
        slot = self._slots[number]
        is_first = True
        while not self._is_closed:
            try:
                self._run_worker(slot, is_first=is_first)
                is_first = False
            except Exception as error:  # noqa: BLE001 - no error may end this thread, and all are logged
                self._note_failure(slot, error)
            finally:
                with self._lock:
                    process, slot.process, slot.worker = slot.process, None, None
                    self._notify()
                if process is not None:
                    process.close()

    def _run_worker(self, slot: _Slot, *, is_first: bool) -> None:
        """Start a worker, and let it perform work until it dies or the pool is closed."""
        worker = WorkerProcess(slot.environment, slot.search_path, self._notify)
        with self._lock:
            slot.process = worker
            if self._is_closed:
                return
        # The first workers need no niceness during the warm-up: the server is not ready before they are.
        worker.start(self._warm_up.name, NICENESS, WARM_UP_SECONDS, is_nice_from_start=not is_first)
        with self._lock:
            slot.worker, slot.failures, slot.trouble = worker, 0, ""
            self._changed.notify_all()
        while self._perform_next(worker):
            pass

    def _perform_next(self, worker: WorkerProcess) -> bool:
        """Wait for work, and perform it. Return whether the worker can perform more work.

        This is a separate function, so that no variable keeps a picture while the worker is idle.
        """
        work = self._take(worker)
        if work is None:
            if not self._is_closed:
                logger.warning("a worker process %s while it was idle; it is replaced", worker.death().reason)
            return False
        try:
            self._finish(work, worker.perform(work.order, self._work_seconds))
        except WorkerDied as death:
            self._note_death(work, death)
            return False
        except Exception as error:  # noqa: BLE001 - the caller of the work raises it
            # The arguments or the result cannot be pickled.
            self._finish(work, Reply(error=error))
        return True

    def _notify(self) -> None:
        """Wake all threads."""
        with self._lock:
            self._changed.notify_all()
            self._work_added.notify_all()

    def _take(self, worker: WorkerProcess) -> _Work | None:
        """Wait for work for ``worker``. Return None if the worker has died or the pool is closed."""
        with self._lock:
            while not (self._is_closed or worker.has_exited):
                work = self._next()
                if work is not None:
                    self._running.add(work)
                    self._waits.note(None, work.stopwatch.elapsed_s())
                    work.stopwatch = Stopwatch()
                    # The idle workers leave their processors to this one.
                    is_alone = self._count > 1 and len(self._running) == 1 and not self._waiting
                    work.order = work.order._replace(is_alone=is_alone)
                    return work
                self._work_added.wait()
            # Another worker can take the work that this thread was woken for.
            self._work_added.notify()
            return None

    def _next(self) -> _Work | None:
        """Remove and return the next work that may begin now, or return None."""
        while self._waiting and self._waiting[0].future.cancelled():
            self._waiting.popleft()
        if not self._waiting or any(work.is_suspect for work in self._running):
            return None
        if self._waiting[0].is_suspect and self._running:
            return None
        return self._waiting.popleft()

    def _finish(self, work: _Work, reply: Reply) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._leave(work)
            if self._waiting:  # for this one to end, perhaps
                self._work_added.notify_all()
        work.settle(reply)

    def _leave(self, work: _Work) -> None:
        """Record that no worker runs a work item now, and restart its stopwatch. ``_lock`` is locked."""
        self._running.discard(work)
        self._works.note(work.order.name, work.stopwatch.elapsed_s())
        work.stopwatch = Stopwatch()

    def _note_death(self, work: _Work, death: WorkerDied) -> None:
        """Run the work item of a dead worker again, or let it fail if it has lost too many workers."""
        with self._lock:
            self._leave(work)
            if self._is_closed:
                return
            when = "during" if death.had_begun else "before"
            logger.warning("a worker process %s %s %s; it is replaced", death.reason, when, work.order.name)
            if not death.had_begun and work.false_starts < MOST_FALSE_STARTS:
                work.false_starts += 1
                self._waiting.appendleft(work)
                self._notify()
                return
            work.deaths += 1
            # The worker may have run out of memory because other workers used too much, so the next worker
            # runs the work item while all others are idle.
            work.is_suspect = not death.took_too_long
            if work.deaths < MOST_TRIES and not work.future.cancelled():
                self._waiting.append(work)
            self._notify()
        if work.deaths < MOST_TRIES:
            return
        work.settle(
            Reply(error=work.pipeline.failure(f"{MOST_TRIES} workers failed; the last one {death.reason}"))
        )

    def _note_failure(self, slot: _Slot, error: Exception) -> None:
        """Record that a worker could not be started. If none can be started, let the waiting work fail."""
        with self._lock:
            if self._is_closed:
                return
            logger.warning("a worker process could not be started: %s", error, exc_info=error)
            slot.failures += 1
            slot.trouble = str(error)
            lost: list[_Work] = []
            if all(each.is_broken for each in self._slots):
                lost, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
            if slot.is_broken:
                self._changed.wait_for(lambda: self._is_closed, RETRY_SECONDS)
        for work in lost:
            work.settle(Reply(error=WorkerLost(f"no worker process can be started: {error}")))


@dataclass(eq=False)
class _Work:
    """A work item: a pipeline with its arguments, its future, and the function that gets the reply.

    ``stopwatch`` measures how long the work item waits for a worker, and then how long the worker takes.
    """

    pipeline: Pipeline[..., Any]
    order: Order
    future: Result
    settle: Callable[[Reply], None]
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    deaths: int = 0
    false_starts: int = 0
    is_suspect: bool = False


@dataclass(eq=False)
class _Slot:
    """The slot of one worker. When the process in the slot dies, a new process replaces it.

    Attributes
    ----------
    process : WorkerProcess or None
        The current process.
    worker : WorkerProcess or None
        The current process, after its warm-up.
    failures : int
        Number of failed starts since the last successful start.
    trouble : str
        Why the last start failed.
    """

    thread: threading.Thread
    environment: Mapping[str, str]
    search_path: list[str]
    process: WorkerProcess | None = None
    worker: WorkerProcess | None = None
    failures: int = 0
    trouble: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether several processes in a row could not be started."""
        return self.failures >= MOST_TRIES


def _end(slots: Iterable[_Slot]) -> None:
    for slot in slots:
        if slot.process is not None:
            slot.process.kill()
