"""Plans: scripts that fix the order of polls and webhooks for the tasks of a credential.

A plan decides when the credential's tasks end, and when their webhooks are sent. It replaces the progression
(:mod:`emulator.tasks.progression`) of these tasks.

If a plan puts a webhook between two calls, the second call waits until the endpoint has answered the webhook,
but at most for ``ENDPOINT_TIMEOUT_SECONDS`` after the webhook was sent. Many endpoints poll the task before
they answer. Without the limit, the poll and the webhook would wait for each other.

Plans and the progress of tasks, called runs, are stored. If several processes, called replicas, share the
database, polls arrive at any of them, and the replica that has created the task drives its run: it ends the
task and sends the webhooks. All replicas change the run by compare-and-swap, and are notified of its changes.

If the driver of a run dies, the run is over: the task follows its progression, and webhooks that the plan
held back are sent. So a restart ends all runs, but keeps the plans.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pydantic import BaseModel, ConfigDict

from emulator.backends.records import Change, Put, Record, Records
from emulator.backends.records.kept import RecordCache
from emulator.backends.records.purge import delete_old
from emulator.backends.replicas import OnlyReplica, Replicas
from emulator.backends.stateful import (
    Check,
    EntryCheck,
    Oldest,
    Stateful,
    Stored,
    belongs_to_its_key,
    strictly,
)
from emulator.clock import Count
from emulator.deferral import DeferredAdapter
from emulator.tasks.job import TaskFault
from emulator.tasks.runner import ChangesOf, TaskRunner, nothing_else
from emulator.tasks.task import Task
from emulator.webhooks.outbox import Outbox
from emulator.world.plans.drivers import Drivers
from emulator.world.plans.plan import Plan, Step, When
from emulator.world.plans.run import Gate, Run, check_run
from emulator.world.plans.runs import KIND as RUN
from emulator.world.plans.runs import Runs

KIND = "plan"

ENDPOINT_TIMEOUT_SECONDS = 0.3
"""Longest time, in real seconds, that a call waits for an endpoint to answer an earlier webhook."""

SENDING_SECONDS: Final = 5.0
"""Longest time, in real seconds, that a call waits until an earlier webhook is sent."""


class _Numbered(BaseModel):
    """A plan and its number, which no other plan of its credential has. Runs of other plans are ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Count
    plan: Plan


_NUMBERED = DeferredAdapter(_Numbered)


def _check_entry(entry: Stored) -> None:
    belongs_to_its_key(entry)
    strictly(_NUMBERED, entry.document)


class Plans(Stateful):
    """The plans of all credentials, and the progress of the tasks that follow them.

    Parameters
    ----------
    records
        Storage of the plans and of the progress.
    tasks, webhooks
        The runner of the tasks that plans end, and the outbox of the webhooks that plans send.
    replicas
        The processes that share the database.
    """

    def __init__(
        self, records: Records, tasks: TaskRunner, webhooks: Outbox, replicas: Replicas | None = None
    ) -> None:
        self._records = records
        self._tasks = tasks
        self._webhooks = webhooks
        self._replicas: Replicas = replicas or OnlyReplica()
        self._runs = Runs(records)
        self._drivers = Drivers(records, self._runs, tasks, webhooks, self._replicas, self._is_replaced)
        self._plans: RecordCache[_Numbered] = RecordCache(
            records,
            KIND,
            lambda numbered: numbered.model_dump(mode="json"),
            _Numbered.model_validate,
            self._drivers.leave_replaced,
        )
        self._is_loaded = self._is_closed = False

    @property
    def checks(self) -> Mapping[str, Check]:
        """Validators of stored plans and runs."""
        return {RUN: check_run, **self._plans.checks}

    @property
    def entry_checks(self) -> Mapping[str, EntryCheck]:
        """The key of a plan must be the credential, and its values must have the right types."""
        return {KIND: _check_entry}

    async def load(self) -> None:
        """Read the plans from the database, at startup and after a restore.

        At startup, other replicas may drive runs, so ``sweep`` ends those whose driver is dead. If there is
        no other replica, or all runs come from a snapshot, no process drives them, so end all of them.
        """
        await self._plans.load()
        if self._is_loaded or not self._records.is_shared:
            await self._drivers.end_all()
        self._is_loaded = True
        self._drivers.start_sweeping()

    async def put(self, credential: str, plan: Plan) -> None:
        """Set the plan for new tasks of ``credential``.

        First remove the credential's previous plan, and delete the steps that were recorded for it.
        """
        await self.leave(credential)
        number = await self._records.count_up(KIND, credential)
        await self._plans.put(credential, credential, _Numbered(number=number, plan=plan))

    def get(self, credential: str) -> Plan | None:
        """Return the plan of ``credential``, or None."""
        numbered = self._plans.get(credential)
        return None if numbered is None else numbered.plan

    async def steps(self, credential: str) -> dict[str, list[Step]]:
        """Return the recorded steps of each task of ``credential``, by task id. The oldest task is first."""
        numbered = self._plans.get(credential)
        return {
            record.key: list(run.steps)
            for record, run in await self._runs.all(credential)
            if numbered is not None and run.plan == numbered.number
        }

    async def leave(self, credential: str) -> None:
        """Remove the plan of ``credential``.

        The credential's tasks follow their progression again. Webhooks that the plan held back are sent.
        """
        await self._plans.delete(credential)  # from now on, no process follows the plan
        await self._drivers.stop(credential)
        await self._tasks.leave_plans(credential)
        await self._webhooks.release_held(credential)
        await self._delete_runs(credential)

    async def forget(self, credential: str | None) -> None:
        """Remove the plan of ``credential``, or all plans if it is None. Do not change tasks and webhooks."""
        await self._plans.forget(credential)
        await self._drivers.stop(credential)
        await self._delete_runs(credential)

    async def purge(self, oldest: Oldest) -> None:
        """Delete the progress of tasks that are too old."""

        def is_old(record: Record) -> bool:
            run = Run.from_document(record.document)
            return run.is_over and run.created_at < oldest(record.credential)

        await delete_old(self._records, RUN, is_old)

    async def close(self) -> None:
        """Stop following all plans."""
        self._is_closed = True
        await self._drivers.close()
        self._runs.wake()

    async def holds(self, task: Task) -> bool:
        """Return whether a plan decides when the webhooks of a task are sent."""
        return await self.holder(task) is not None

    async def holder(self, task: Task) -> str | None:
        """Return the replica that decides by a plan when the webhooks of a task are sent, or None."""
        await self._records.catch_up()
        numbered = self._plans.get(task.credential)
        if numbered is None or numbered.plan.is_recording_only:
            return None
        run = await self._find(task.id, task.credential)
        return None if run is None or run.is_over else run.driver

    async def create_task(self, task: Task, fault: TaskFault, changes: ChangesOf = nothing_else) -> None:
        """Create a task. It follows the plan of its credential, if the plan does more than record events.

        ``changes`` returns changes that are written together with the task.
        """
        numbered = self._plans.get(task.credential)
        if numbered is None:
            await self._tasks.create(task, fault, changes)
            return
        follows_plan = not numbered.plan.is_recording_only
        run = Run(numbered.number, self._replicas.me, task.created_at, is_over=not follows_plan)

        async def with_run() -> Sequence[Change]:
            return [*await changes(), Put(RUN, task.id, task.credential, run.to_document())]

        if follows_plan:
            self._drivers.expect(task.id, task.credential, numbered.number)
        try:
            await self._tasks.create(replace(task, follows_plan=follows_plan), fault, with_run)
        except BaseException:
            self._drivers.drop(task.id)
            raise
        await self._records.catch_up()
        if follows_plan and self._is_replaced(task.credential, numbered.number):
            # The plan was removed in the meantime.
            await self._tasks.leave_plans(task.credential, task.id)

    async def note_creation(self, task: Task) -> None:
        """Record the creation of a task, and wait until the plan allows the response to be sent."""
        numbered = self._plans.get(task.credential)
        if numbered is None:
            self._drivers.drop(task.id)
            return
        driven = self._drivers.expected(task.id)
        if driven is not None and numbered.plan.count(When.BEFORE_CREATION):
            await self._drivers.start(task.id, driven, numbered.plan)
            for gate in (Gate.ENDED, Gate.BEFORE_CREATION):
                await self._pass(task.id, task.credential, gate)
            await self._runs.change(task.id, lambda run: run.note(Step.CREATED))
            return
        await self._runs.change(task.id, lambda run: run.note(Step.CREATED))
        if driven is not None:
            await self._drivers.start(task.id, driven, numbered.plan)

    async def before_poll(self, task_id: str, credential: str) -> None:
        """Wait until the plan allows the response to a poll to be sent."""
        plan = self.get(credential)
        if plan is None or plan.is_recording_only:
            return
        run = await self._find(task_id, credential)
        if run is None or run.is_over:
            return
        arrived = await self._runs.change(task_id, lambda current: current.arrive(plan))
        gates = () if arrived is None else arrived.gates(plan)
        if gates:
            try:
                for gate in gates:
                    await self._pass(task_id, credential, gate)
            finally:
                await self._runs.change(task_id, Run.stop_waiting)
            await self._records.catch_up()  # the task may have ended at another replica

    async def note_poll(self, task: Task) -> None:
        """Record a poll that returned ``task``, and whether the task was finished."""
        if self._plans.get(task.credential) is not None and await self._find(task.id, task.credential):
            step = Step.POLL_END if task.is_finished else Step.POLL_RUNNING
            await self._runs.change(task.id, lambda run: run.note(step))

    async def sweep(self) -> None:
        """End the runs that no live replica drives."""
        await self._drivers.sweep()

    def _is_replaced(self, credential: str, number: int) -> bool:
        """Return whether a credential no longer has the plan with this number."""
        numbered = self._plans.get(credential)
        return numbered is None or numbered.number != number

    async def _delete_runs(self, credential: str | None) -> None:
        """Delete the runs of plans that were removed or replaced."""
        for record, run in await self._runs.all(credential):
            if self._is_replaced(record.credential, run.plan):
                await self._runs.delete(record.key)

    async def _find(self, task_id: str, credential: str) -> Run | None:
        """Return the run of a task, or None if it has none for the current plan of the credential."""
        found = await self._runs.get(task_id)
        if found is None:
            return None
        record, run = found
        is_current = record.credential == credential and not self._is_replaced(credential, run.plan)
        return run if is_current else None

    async def _pass(self, task_id: str, credential: str, gate: Gate) -> None:
        """Wait until the run of a task lets calls pass a gate.

        The webhooks of the gate are awaited for at most ``ENDPOINT_TIMEOUT_SECONDS`` after they are sent.
        """
        seconds = None if gate is Gate.ENDED else ENDPOINT_TIMEOUT_SECONDS
        if seconds is not None:
            await self._until(
                task_id, credential, lambda run: run.lets_pass(gate) or run.awaits_answer, SENDING_SECONDS
            )
        await self._until(task_id, credential, lambda run: run.lets_pass(gate), seconds)

    async def _until(
        self, task_id: str, credential: str, condition: Callable[[Run], bool], seconds: float | None
    ) -> None:
        """Wait until ``condition`` is true for the run of a task, but at most ``seconds`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._is_closed:
                    changed = self._runs.next_change(task_id)
                    run = await self._find(task_id, credential)
                    if run is None or condition(run):
                        return
                    await changed.wait()
