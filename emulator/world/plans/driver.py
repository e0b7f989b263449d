"""``Driver``, which ends a task and sends its webhooks at the points that a plan defines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from emulator.backends.unavailable import until_stored
from emulator.tasks.runner import TaskRunner
from emulator.webhooks.delivery import Delivery, DeliveryState
from emulator.webhooks.outbox import Outbox, ReplayRefused
from emulator.world.plans.plan import Plan, Step, When
from emulator.world.plans.run import Gate, Run
from emulator.world.plans.runs import Runs

ANNOUNCEMENT_SECONDS: Final = 15.0
"""Longest time to wait for the replica that announces the end of a task.

If that replica dies, another replica takes over before this time has passed.
"""

RECHECK_SECONDS: Final = 0.02


class RunLost(Exception):
    """The run was deleted, or another replica has ended it, or the plan was removed or replaced."""


@dataclass(frozen=True)
class Driver:
    """Ends one task and sends its webhooks, as the plan of its credential defines.

    Attributes
    ----------
    runs, tasks, webhooks
        The runs of all tasks, the tasks, and their webhooks.
    task_id, credential, plan
        The task, its credential, and its plan.
    serial : int
        Number of the record of the run.
    is_replaced : () -> bool
        Returns whether the plan was removed or replaced.
    """

    runs: Runs
    tasks: TaskRunner
    webhooks: Outbox
    task_id: str
    credential: str
    plan: Plan
    serial: int
    is_replaced: Callable[[], bool]

    async def drive(self) -> None:
        """End the task, and send its webhooks.

        Raises
        ------
        RunLost
            If the plan no longer applies to the task.
        """
        plan = self.plan
        if not plan.count(When.BEFORE_CREATION):
            run = await self._until(lambda run: run.running_polls >= (plan.polls or 0))
            await self._pause(run)
        await until_stored(lambda: self.tasks.release(self.task_id))
        await until_stored(lambda: self.tasks.until_announced(self.task_id))
        await self._until_held()
        await self._change(lambda run: run.open(Gate.ENDED))
        if not plan.webhooks:
            await until_stored(lambda: self.webhooks.lose(self.credential, self.task_id))
        if plan.count(When.BEFORE_CREATION):
            await self._send(When.BEFORE_CREATION)
            run = await self._change(lambda run: run.open(Gate.BEFORE_CREATION))
            if plan.count(When.BEFORE_END):
                await self._pause(run)
        await self._send(When.BEFORE_END)
        await self._change(lambda run: run.open(Gate.BEFORE_END))
        run = await self._until(lambda run: run.is_end_reported)
        if run.is_end_reported:
            await self._pause(run)
        await self._send(When.AFTER_END)
        await self._change(Run.end)

    async def _until_held(self) -> None:
        """Wait for a limited time until another replica has announced the end of the task."""
        prepared = [each.id for each in await self._deliveries() if each.state is DeliveryState.PREPARED]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCEMENT_SECONDS):
                for delivery_id in prepared:
                    while await self._is_prepared(delivery_id):  # noqa: ASYNC110 - the outbox sends no event
                        await asyncio.sleep(RECHECK_SECONDS)

    async def _is_prepared(self, delivery_id: str) -> bool:
        # This is cheap: until the delivery changes, it is read from the cache.
        delivery = await until_stored(lambda: self.webhooks.find(delivery_id))
        return delivery is not None and delivery.state is DeliveryState.PREPARED

    async def _deliveries(self) -> list[Delivery]:
        """Return the deliveries of the task."""
        found = await until_stored(lambda: self.webhooks.deliveries(self.credential))
        return [delivery for delivery in found if delivery.task_id == self.task_id]

    async def _send(self, when: When) -> None:
        for _ in range(self.plan.count(when)):
            for delivery in await self._deliveries():
                if delivery.state is not DeliveryState.LOST:
                    await self._send_one(delivery.id)

    async def _send_one(self, delivery_id: str) -> None:
        run = await self._change(lambda run: run.note(Step.WEBHOOK_SENT))
        place = len(run.steps) - 1
        try:
            sent = await until_stored(lambda: self.webhooks.send(delivery_id))
        except ReplayRefused:  # its endpoint was removed in the meantime
            sent = None
        is_taken = sent is not None and bool(sent.attempts) and sent.attempts[-1].is_accepted
        answer = Step.WEBHOOK_TAKEN if is_taken else Step.WEBHOOK_REFUSED
        await self._change(lambda run: run.renote(place, answer))

    async def _until(self, condition: Callable[[Run], bool]) -> Run:
        """Wait until ``condition`` returns true, or until no poll was answered for ``patience_s`` seconds."""
        before: Run | None = None
        run = await self._read()
        while not condition(run) and (before is None or run.polls > before.polls):
            before = run
            run = await self._wait(self.plan.patience_s, partial(_is_answered, before))
        return run

    async def _pause(self, since: Run) -> None:
        """Wait ``pause_s`` seconds, so that the last response reaches the client.

        A poll that waits, or arrives after the state ``since``, ends the wait early.
        """
        await self._wait(self.plan.pause_s, lambda run: run.waiting > 0 or run.arrivals > since.arrivals)

    async def _wait(self, seconds: float, condition: Callable[[Run], bool]) -> Run:
        """Wait until ``condition`` returns true, or for ``seconds`` seconds, and return the run."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    changed = self.runs.next_change(self.task_id)
                    if condition(await self._read()):
                        break
                    await changed.wait()
        return await self._read()

    async def _read(self) -> Run:
        found = await until_stored(lambda: self.runs.get(self.task_id))
        if found is None or found[0].serial != self.serial or found[1].is_over or self.is_replaced():
            raise RunLost
        return found[1]

    async def _change(self, change: Callable[[Run], Run]) -> Run:
        await self._read()
        changed = await until_stored(lambda: self.runs.change(self.task_id, change, self.serial))
        if changed is None:
            raise RunLost
        return changed


def _is_answered(before: Run, run: Run) -> bool:
    """Return whether a poll was answered between the states ``before`` and ``run``."""
    return run.polls > before.polls
