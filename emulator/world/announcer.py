"""Announces to endpoints how tasks ended, in the words of a vendor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from emulator.tasks.task import Task
from emulator.webhooks.delivery import Message
from emulator.webhooks.fault import NO_FAULT, WebhookFault
from emulator.world.faults.rules import Occasion
from emulator.world.operation import WEBHOOK
from emulator.world.world import World


@dataclass(frozen=True)
class Announcer:
    """Announces a vendor's tasks: a job calls ``prepare`` before the end is recorded, ``announce`` after.

    Attributes
    ----------
    world : World
        Whose outbox sends the messages.
    vendor : str
        The vendor's name.
    compose : (Task) -> Message
        Returns what is said of a task that is over.
    is_announced : (Task) -> bool
        Whether tasks of this kind are announced.
    """

    world: World
    vendor: str
    compose: Callable[[Task], Message]
    is_announced: Callable[[Task], bool] = lambda _task: True

    async def prepare(self, task: Task) -> None:
        """Record that the end of a task has to be announced."""
        if self.is_announced(task):
            await self.world.webhooks.prepare(self.vendor, task.credential, task.id)

    async def announce(self, task: Task) -> None:
        """Announce a task whose end is recorded."""
        if not self.is_announced(task):
            return
        webhooks, plans = self.world.webhooks, self.world.plans
        hold = plans.holds(task.id)
        await webhooks.announce(
            self.vendor, task.credential, task.id, self.compose(task), self._decision(task), hold=hold
        )
        if hold and not plans.holds(task.id):  # the plan was forgotten meanwhile
            await webhooks.let_go(task.credential, task.id)

    async def announce_again(self, task_id: str) -> None:
        """Announce a task if it is over: the process may have ended before it came to that."""
        task = await self.world.tasks.find(task_id)
        if task is not None and task.is_finished:
            await self.announce(task)

    def _decision(self, task: Task) -> Callable[[], Awaitable[tuple[WebhookFault, str | None]]]:
        async def decide() -> tuple[WebhookFault, str | None]:
            if task.announcement_fault is not None:
                return WebhookFault.model_validate(task.announcement_fault), "the call that made the task"
            injection = await self.world.faults.decide(Occasion(self.vendor, WEBHOOK, task.credential))
            if injection is None or injection.effect.webhook is None:
                return NO_FAULT, None
            return injection.effect.webhook, injection.source

        return decide
