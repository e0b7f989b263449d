"""Webhooks that announce the end of a vendor's tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from emulator.backends.records import Change
from emulator.tasks.task import Task
from emulator.webhooks.delivery import Message
from emulator.webhooks.fault import NO_FAULT, WebhookFault
from emulator.world.faults.rules import FaultTarget
from emulator.world.operation import WEBHOOK
from emulator.world.world import World


@dataclass(frozen=True)
class Announcer:
    """Sender of the webhooks that announce the end of a vendor's tasks.

    The changes of ``prepared`` are written together with the end of a task. Then ``announce`` is called.

    Attributes
    ----------
    world : World
        The shared services and state, including the outbox for webhooks.
    vendor : str
        Name of the vendor.
    compose : (Task) -> Message
        Returns the webhook message about a finished task.
    is_announced : (Task) -> bool
        Whether webhooks are sent for this task.
    """

    world: World
    vendor: str
    compose: Callable[[Task], Message]
    is_announced: Callable[[Task], bool] = lambda _task: True

    async def prepared(self, task: Task) -> Sequence[Change]:
        """Return the changes that record that the end of a task must be announced by webhooks."""
        if not self.is_announced(task):
            return ()
        return await self.world.webhooks.prepared(self.vendor, task.credential, task.id)

    async def announce(self, task: Task) -> None:
        """Send the webhooks that announce the end of a finished task."""
        if not self.is_announced(task):
            return
        webhooks, plans = self.world.webhooks, self.world.plans
        holder = await plans.holder(task)
        if not webhooks.endpoints.listening(self.vendor, task.credential):
            return
        await webhooks.announce(
            self.vendor, task.credential, task.id, self.compose(task), self._decision(task), holder=holder
        )
        if holder is not None and not await plans.holds(task):  # the plan was removed in the meantime
            await webhooks.release_held(task.credential, task.id)

    async def announce_again(self, task_id: str) -> None:
        """Announce the end of a finished task again, because a killed process may not have announced it."""
        task = await self.world.tasks.find(task_id)
        if task is not None and task.is_finished:
            await self.announce(task)

    def _decision(self, task: Task) -> Callable[[], Awaitable[tuple[WebhookFault, str | None]]]:
        async def decide() -> tuple[WebhookFault, str | None]:
            if task.announcement_fault is not None:
                return WebhookFault.model_validate(task.announcement_fault), "the call that created the task"
            injection = await self.world.faults.decide(FaultTarget(self.vendor, WEBHOOK, task.credential))
            if injection is None or injection.effect.webhook is None:
                return NO_FAULT, None
            return injection.effect.webhook, injection.source

        return decide
