"""Tasks under random sequences of events."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)
from known_tasks import Known, Queue

from emulator.backends.records import Change, Record, Replace
from emulator.backends.records.sqlite import SqliteRecords
from emulator.clock import Clock
from emulator.tasks.job import Job, TaskFault
from emulator.tasks.progression import REAL, Mode, Progression
from emulator.tasks.runner import TaskRunner
from emulator.tasks.store import KIND
from emulator.tasks.task import TERMINAL, TRANSITIONS, Outcome, Task, TaskState

T = TypeVar("T")
CREDENTIALS = ("me", "you")
ENDS = (TaskState.SUCCEEDED, TaskState.FAILED)

progressions = st.one_of(
    st.builds(Progression, mode=st.sampled_from([Mode.REAL, Mode.MANUAL, Mode.IMMEDIATE])),
    st.builds(Progression, mode=st.just(Mode.AFTER_POLLS), polls=st.integers(0, 3)),
    st.builds(Progression, mode=st.just(Mode.AFTER_SECONDS), seconds=st.sampled_from([0.0, 5.0, 60.0])),
)


class Life(RuleBasedStateMachine):
    """Tasks of two credentials in the same records, through any number of server starts."""

    tasks: Bundle[Known] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._clock = Clock(1000.0)
        self._known: dict[str, Known] = {}
        self._settled: dict[str, list[str | None]] = {}
        self._announced: dict[str, int] = {}
        self._interrupted: set[str] = set()
        self._created = 0

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def teardown(self) -> None:
        """Stop the server and remove its folder."""
        self._do(self._stop())
        self._loop.close()
        self._folder.cleanup()

    @initialize()
    def begin(self) -> None:
        """Start the first server."""
        self._do(self._start())

    async def _start(self) -> None:
        self._records = SqliteRecords(Path(self._folder.name) / "records.sqlite3")
        await self._records.open()
        for record in await self._records.find(KIND):
            self._catch_up(Task.from_document(record.document))
        self._store_watched(self._records)
        self._queue = Queue()
        self._runner = TaskRunner(self._records, self._queue, self._clock)
        self._runner.register({"job": Job(self._perform, "unexpected", self._settle, self._announce)})
        await self._runner.load()
        await self._runner.start()
        await self._breathe()

    async def _stop(self) -> None:
        await self._runner.close()
        await self._records.close()

    def _store_watched(self, records: SqliteRecords) -> None:
        """Check every recorded state, including those between two steps of the test."""
        replace_ = records.replace

        async def replace(kind: str, record: Any, document: Any) -> Record | None:
            try:
                stored = await replace_(kind, record, document)
            except asyncio.CancelledError:
                self._interrupted.add(record.key)  # the change may be stored nevertheless
                raise
            if stored and kind == KIND:
                self._see(record.key, TaskState(document["state"]))
            return stored

        write_ = records.write

        async def write(changes: Sequence[Change]) -> bool:
            ends = [change for change in changes if isinstance(change, Replace) and change.kind == KIND]
            try:
                stored = await write_(changes)
            except asyncio.CancelledError:
                self._interrupted.update(end.record.key for end in ends)
                raise
            for end in ends if stored else ():
                self._see(end.record.key, TaskState(end.document["state"]))
            return stored

        records.replace = replace  # type: ignore[method-assign] # to watch it
        records.write = write  # type: ignore[method-assign] # likewise

    def _see(self, task_id: str, state: TaskState) -> None:
        states = self._known[task_id].states
        if states[-1] is TaskState.QUEUED and (state is TaskState.HELD or state in TERMINAL):
            states.append(TaskState.RUNNING)  # not recorded, because the work was short
        if states[-1] is TaskState.RUNNING and state in TERMINAL:
            states.append(TaskState.HELD)  # not recorded, because the task ends at once
        before = states[-1]
        if state is not before:
            assert state in {after for (at, _), after in TRANSITIONS.items() if at is before}, (before, state)
            states.append(state)

    def _catch_up(self, task: Task) -> None:
        """Check what an interrupted step has recorded, before another step overwrites it."""
        if task.id in self._interrupted:
            self._interrupted.remove(task.id)
            self._see(task.id, task.state)
            self._known[task.id].kills += 1

    async def _perform(self, task: Task) -> Outcome:
        if task.request["raises"]:
            raise ZeroDivisionError
        return Outcome(error="failed") if task.request["fails"] else Outcome({"n": 1})

    async def _settle(self, task: Task, outcome: Outcome) -> Sequence[Change]:
        recorded = await self._runner.find(task.id)
        assert recorded is not None
        assert not recorded.is_finished, "the task was finished before it was settled"
        self._settled.setdefault(task.id, []).append(outcome.error)
        return ()

    async def _announce(self, task: Task) -> None:
        recorded = await self._runner.find(task.id)
        assert recorded == task
        assert task.is_finished, "the task was announced before its end was recorded"
        self._announced[task.id] = self._announced.get(task.id, 0) + 1

    async def _breathe(self) -> None:
        """Let the due timers run."""
        for _ in range(40):
            await asyncio.sleep(0)
        # The timers wait for the thread of the records.
        for _ in range(3):
            await self._records.find(KIND)
            await asyncio.sleep(0)

    async def _perform_next(self) -> None:
        if self._queue.waiting:
            await self._runner.perform(self._queue.waiting.pop(0))

    async def _while_performing(self, work: Awaitable[T]) -> T:
        """Perform waiting tasks until ``work`` is done, and return its result."""
        doing = asyncio.ensure_future(work)
        while not doing.done():
            await self._perform_next()
            await asyncio.wait({doing}, timeout=0.002)
        return doing.result()

    @rule(credential=st.sampled_from(CREDENTIALS), progression=progressions)
    def set_progression(self, credential: str, progression: Progression) -> None:
        """Set the progression of a credential's new tasks."""
        self._do(self._runner.progressions.put(credential, credential, progression))

    @rule(
        target=tasks,
        credential=st.sampled_from(CREDENTIALS),
        fault=st.sampled_from([None, TaskFault(is_stuck=True), TaskFault(error="forced")]),
        outcome=st.sampled_from(["succeeds", "fails", "raises"]),
        follows_plan=st.booleans(),
    )
    def create(self, credential: str, fault: TaskFault | None, outcome: str, *, follows_plan: bool) -> Known:
        """Create a task."""
        self._created += 1
        now = self._clock.now(credential)
        request = {"fails": outcome == "fails", "raises": outcome == "raises"}
        task = Task(f"t{self._created}", credential, "job", request, now, follows_plan=follows_plan)
        progression = self._runner.progression(credential)
        if fault is not None and fault.is_stuck:
            progression = Progression(mode=Mode.MANUAL)
        forced = None if fault is None else fault.error
        known = Known(task.id, credential, progression, now, forced, fails=outcome != "succeeds")
        known.follows_plan = follows_plan
        known.states.append(TaskState.QUEUED)
        self._known[task.id] = known
        self._do(self._while_performing(self._runner.create(task, fault)))
        if progression.mode is Mode.IMMEDIATE and not follows_plan:
            created = self._do(self._runner.find(task.id))
            assert created is not None
            assert created.is_performed
            assert self._do(self._while_performing(self._runner.poll(created))).is_finished
        return known

    @rule()
    def perform(self) -> None:
        """Perform the task that has waited longest."""
        self._do(self._perform_next())

    @rule(known=tasks, counts=st.booleans())
    def poll(self, known: Known, *, counts: bool) -> None:
        """Poll a task, as its client does."""
        found = self._do(self._runner.find(known.id))
        if known.id not in self._known:
            assert found is None
            return
        assert found is not None
        known.polls += not found.is_finished
        told = self._do(self._while_performing(self._runner.poll(found, counts=counts)))
        assert told.is_finished == self._is_told(known, told), (known, told)

    def _is_told(self, known: Known, told: Task) -> bool:
        """Return whether a poll must return the task as finished."""
        if known.is_over:
            return True
        if known.follows_plan:
            return False
        progression = REAL if known.is_released else known.progression
        elapsed = self._clock.now(known.credential) - known.created_at
        return {
            # Finished when the work is done; until that is recorded, a poll may return the task as running.
            Mode.REAL: told.is_finished,
            Mode.IMMEDIATE: True,
            Mode.MANUAL: False,
            Mode.AFTER_POLLS: known.polls > (progression.polls or 0),
            Mode.AFTER_SECONDS: elapsed >= (progression.seconds or 0.0),
        }[progression.mode]

    @rule(known=tasks, error=st.none() | st.just("released"))
    def release(self, known: Known, error: str | None) -> None:
        """Finish a task, as a tester does."""
        before = self._do(self._runner.find(known.id))
        after = self._do(self._runner.release(known.id, error))
        assert (after is None) == (before is None) == (known.id not in self._known)
        if before is None or after is None or before.is_finished:
            assert after == before
            return
        known.is_released, known.follows_plan = True, False
        known.error_asked_for = error or known.error_asked_for
        assert after.is_finished == (before.state is TaskState.HELD)
        assert after.progression == REAL

    @rule(credential=st.sampled_from(CREDENTIALS))
    def leave_plans(self, credential: str) -> None:
        """Let a credential's tasks end by their progression."""
        for known in self._known.values():
            if known.credential == credential:
                known.follows_plan = False
        self._do(self._runner.leave_plans(credential))
        self._do(self._breathe())

    @rule(seconds=st.sampled_from([1.0, 5.0, 55.0]), credential=st.sampled_from(["", *CREDENTIALS]))
    def advance(self, seconds: float, credential: str) -> None:
        """Advance a clock, which ends held tasks that become due without a poll."""
        self._clock.advance(seconds, credential)
        self._do(self._breathe())

    @rule(killed_after=st.none() | st.integers(0, 12))
    def restart(self, killed_after: int | None) -> None:
        """Stop the server, or kill it while it performs a task, and start another with the same records."""

        async def restart() -> None:
            if killed_after is not None and self._queue.waiting:
                task_id = self._queue.waiting[0]
                if task_id in self._known:
                    self._known[task_id].kills += 1
                performing = asyncio.create_task(self._runner.perform(task_id))
                for _ in range(killed_after):
                    await asyncio.sleep(0)
                    await self._records.get(KIND, task_id)
                performing.cancel()
                await asyncio.wait({performing})
            await self._stop()
            await self._start()

        # Plans do not survive the process.
        for known in self._known.values():
            known.follows_plan = False
        self._do(restart())
        recorded = {
            record.key: Task.from_document(record.document) for record in self._do(self._records.find(KIND))
        }
        unperformed = [task_id for task_id, task in recorded.items() if not task.is_performed]
        assert self._queue.waiting == unperformed

    @precondition(lambda self: bool(self._known))
    @rule(credential=st.none() | st.sampled_from(CREDENTIALS))
    def reset(self, credential: str | None) -> None:
        """Forget a credential's tasks, or all tasks, in any state."""

        async def reset() -> None:
            async with self._runner.paused(credential):
                await self._records.forget(credential)
                await self._runner.forget(credential)

        self._do(reset())
        for task_id, known in list(self._known.items()):
            if credential in {None, known.credential}:
                del self._known[task_id]
        assert {task.id for task in self._do(self._runner.list())} == set(self._known)

    @rule(known=consumes(tasks))
    def delete(self, known: Known) -> None:
        """Delete a task in any state."""
        found = self._do(self._runner.find(known.id))
        if found is not None:
            self._do(self._runner.delete(found))
            del self._known[known.id]

    @invariant()
    def every_task_is_as_it_must_be(self) -> None:
        """Compare the recorded tasks with the expected ones."""
        if not self._known:
            return
        for task in self._do(self._runner.list()):
            known = self._known[task.id]
            self._catch_up(task)
            assert sum(state in ENDS for state in known.states) == task.is_finished
            assert known.states[-1] is task.state
            assert not known.is_over or task.is_finished
            assert task.follows_plan == (known.follows_plan and not task.is_finished), (known, task)
            assert task.state is not TaskState.HELD or task.progression != REAL or task.follows_plan
            if task.is_finished:
                known.is_over = True
                self._check_end(known, task)
            else:
                assert task.id not in self._settled or task.state is TaskState.HELD
                assert task.id not in self._announced

    def _check_end(self, known: Known, task: Task) -> None:
        errors = {known.forced, known.error_asked_for} - {None}
        if errors:
            assert task.error in errors
        else:
            assert (task.error is not None) == known.fails
        assert (task.state is TaskState.FAILED) == (task.error is not None)
        # A task is settled once, with its recorded error, and announced once. A kill in between can settle it
        # again or lose the announcement.
        settled, announced = self._settled[task.id], self._announced.get(task.id, 0)
        assert set(settled) == {task.error}
        assert len(settled) <= 1 + known.kills
        assert announced == 1 or (known.kills and announced == 0)


Life.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class TestLife(Life.TestCase):  # type: ignore[misc,valid-type] # a class that Hypothesis makes
    """Every sequence of events leaves the tasks in legal states."""
