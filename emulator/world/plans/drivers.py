"""``Drivers``, which drive the runs of this process, and end those of processes that are dead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.backends.records import Record, Records
from emulator.backends.replicas import Replicas
from emulator.backends.sweeper import Sweeper
from emulator.backends.unavailable import until_stored
from emulator.background import Background
from emulator.tasks.runner import TaskRunner
from emulator.webhooks.outbox import Outbox
from emulator.world.plans.driver import Driver, RunLost
from emulator.world.plans.plan import Plan
from emulator.world.plans.run import Run
from emulator.world.plans.runs import Runs

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 2.0
"""Real seconds between two searches for runs whose driver is dead."""


@dataclass
class Driven:
    """A run that this process drives. ``serial`` is the number of its record, once the run is stored."""

    credential: str
    number: int
    serial: int | None = None
    work: asyncio.Task[None] | None = None


class Drivers:
    """The drivers of runs in this process.

    Parameters
    ----------
    records, runs
        The database, and the runs in it.
    tasks, webhooks
        The runner of the tasks that plans end, and the outbox of the webhooks that plans send.
    replicas
        The processes that share the database.
    is_replaced : (credential: str, number: int) -> bool
        Returns whether a credential no longer has the plan with this number.
    """

    def __init__(
        self,
        records: Records,
        runs: Runs,
        tasks: TaskRunner,
        webhooks: Outbox,
        replicas: Replicas,
        is_replaced: Callable[[str, int], bool],
    ) -> None:
        self._records = records
        self._runs = runs
        self._tasks = tasks
        self._webhooks = webhooks
        self._replicas = replicas
        self._is_replaced = is_replaced
        self._driven: dict[str, Driven] = {}
        self._background = Background("a task could not follow its plan")
        self._sweeper = Sweeper(
            records, self.sweep, SWEEP_SECONDS, "runs of dead replicas could not be ended"
        )

    def expect(self, task_id: str, credential: str, number: int) -> None:
        """Record that this process is going to drive the run of a task that is being created."""
        self._driven[task_id] = Driven(credential, number)

    def expected(self, task_id: str) -> Driven | None:
        """Return the run of a task if this process drives it, or is going to."""
        return self._driven.get(task_id)

    def drop(self, task_id: str) -> None:
        """Record that this process is not going to drive the run of a task."""
        self._driven.pop(task_id, None)

    async def end_all(self) -> None:
        """Stop all drivers, and end all runs, because no process drives them now."""
        await self._background.cancel()
        for record, _ in await self._runs.unfinished():
            await self._runs.change(record.key, Run.end)

    def start_sweeping(self) -> None:
        """Start sweeping regularly, if other replicas can share the database."""
        self._sweeper.start()

    async def close(self) -> None:
        """Stop all drivers."""
        await self._sweeper.close()
        await self._background.cancel()

    async def sweep(self) -> None:
        """End the runs that no live replica drives."""
        found = await self._runs.unfinished()
        if not found:
            return
        await self._records.catch_up()
        living = await self._replicas.living()
        for record, run in found:
            is_mine = run.driver == self._replicas.me
            is_driven = self._drives(record) if is_mine else run.driver in living
            if not is_driven or self._is_replaced(record.credential, run.plan):
                await self._abandon(record.key, record.credential)

    async def _abandon(self, task_id: str, credential: str) -> None:
        """End a run that no process drives: let the task follow its progression, and send its webhooks."""
        await self._tasks.leave_plans(credential, task_id)
        await self._runs.change(task_id, Run.end)
        await self._webhooks.release_held(credential, task_id)

    async def start(self, task_id: str, driven: Driven, plan: Plan) -> None:
        """Start driving the run of a task, unless it was stopped in the meantime."""
        found = await self._runs.get(task_id)
        if found is None or self._driven.get(task_id) is not driven:
            return
        driven.serial = found[0].serial
        driver = Driver(
            self._runs,
            self._tasks,
            self._webhooks,
            task_id,
            driven.credential,
            plan,
            driven.serial,
            lambda: self._is_replaced(driven.credential, driven.number),
        )
        driven.work = self._background.start(driven.credential, self._drive(driver))

        def end(_done: asyncio.Task[None]) -> None:
            if self._driven.get(task_id) is driven:
                del self._driven[task_id]

        driven.work.add_done_callback(end)

    async def _drive(self, driver: Driver) -> None:
        """Drive a run. After an unexpected exception, end the run, because no other process ends it."""
        try:
            await driver.drive()
        except RunLost:
            pass
        except Exception:
            await until_stored(lambda: self._abandon(driver.task_id, driver.credential))
            raise

    def _drives(self, record: Record) -> bool:
        """Return whether this process drives a run, or is going to."""
        driven = self._driven.get(record.key)
        return driven is not None and driven.serial in {None, record.serial}

    async def stop(self, credential: str | None) -> None:
        """Stop driving the runs of ``credential``, or all runs, and wake the calls that wait for them."""
        for task_id in [key for key, each in self._driven.items() if credential in {None, each.credential}]:
            del self._driven[task_id]
        self._runs.wake()
        await self._background.cancel(credential)

    def leave_replaced(self) -> None:
        """Stop driving the runs whose plan another replica has removed or replaced."""
        for driven in self._driven.values():
            if driven.work is not None and self._is_replaced(driven.credential, driven.number):
                driven.work.cancel()
        self._runs.wake()
