"""Plans: scripts that fix the order of polls and webhooks for the tasks of a credential.

A plan decides when the credential's tasks end, and when their webhooks are sent. It replaces the progression
(:mod:`emulator.tasks.progression`) of these tasks.

If a plan puts a webhook between two calls, the second call waits until the endpoint has answered the webhook,
but not longer than ``ENDPOINT_TIMEOUT_SECONDS``. Many endpoints poll the task before they answer. Without the
limit, the poll and the webhook would wait for each other.

Plans and recorded steps are lost on a restart. Tasks then follow their progression. Webhooks that a plan held
back are sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulator.backends.stateful import Stateful
from emulator.background import Background
from emulator.tasks.job import TaskFault
from emulator.tasks.runner import ChangesOf, TaskRunner, nothing_else
from emulator.tasks.task import Task
from emulator.webhooks.delivery import DeliveryState
from emulator.webhooks.outbox import Outbox, ReplayRefused

ENDPOINT_TIMEOUT_SECONDS = 0.3
"""Longest time, in real seconds, that a call waits for an endpoint to answer an earlier webhook."""


class When(StrEnum):
    """The point at which a plan sends a webhook, relative to the client's calls."""

    BEFORE_CREATION = "before_creation"
    """Before the response to the call that creates the task. The client does not know the task's id yet."""
    BEFORE_END = "before_end"
    """After the last poll that reports a running task, before the first poll that reports a finished task."""
    AFTER_END = "after_end"
    """After the first poll that reports a finished task."""


class Step(StrEnum):
    """A recorded event of a task: its creation, a poll, or a webhook."""

    CREATED = "created"
    POLL_RUNNING = "poll_running"
    POLL_END = "poll_end"
    WEBHOOK_SENT = "webhook_sent"
    """A webhook was sent, and the endpoint has not answered yet."""
    WEBHOOK_TAKEN = "webhook_taken"
    """A webhook was sent, and the endpoint accepted it."""
    WEBHOOK_REFUSED = "webhook_refused"
    """A webhook was sent, and the endpoint did not accept it."""


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class Plan(BaseModel):
    """An order of polls and webhooks for the tasks of a credential.

    A plan without `polls` and `webhooks` changes nothing. It only records the events.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    polls: int | None = Field(
        default=None,
        ge=0,
        description="Number of polls that report a running task. The next poll reports the end. "
        "Null: the plan does not change polls, and only records them.",
    )
    webhooks: tuple[When, ...] | None = Field(
        default=None,
        max_length=10,
        description="Points at which webhooks for the end of a task are sent. Each item is one webhook to "
        "every endpoint. An empty list sends none. Null: the plan does not change webhooks, and only "
        "records them.",
    )
    pause_s: Seconds = Field(
        default=0.2,
        description="Real seconds that the plan waits after the response to a creation or a poll, before it "
        "sends a webhook or ends the task. The next poll ends the wait early.",
    )
    patience_s: Seconds = Field(
        default=3.0,
        description="Real seconds that the plan waits for a poll. After that, it continues without the poll.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.polls is None) != (self.webhooks is None):
            raise ValueError("`polls` and `webhooks` must be given together")
        if When.BEFORE_CREATION in (self.webhooks or ()) and self.polls:
            raise ValueError("with `before_creation`, `polls` must be 0: the task ends before the first poll")
        return self

    @property
    def is_recording_only(self) -> bool:
        """Whether the plan only records events."""
        return self.webhooks is None

    def count(self, when: When) -> int:
        """Return the number of webhooks that each endpoint gets at the point ``when``."""
        return (self.webhooks or ()).count(when)


@dataclass
class _Run:
    """The progress of one task whose credential has a plan."""

    task_id: str
    credential: str
    plan: Plan
    steps: list[Step] = field(default_factory=list)
    running_polls: int = 0
    is_end_reported: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a poll has arrived and is not answered yet."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the end of the task is recorded and its webhooks are held back."""
    before_creation: asyncio.Event = field(default_factory=asyncio.Event)
    before_end: asyncio.Event = field(default_factory=asyncio.Event)
    after_end: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the webhooks of ``When.AFTER_END`` are sent. The two events above are set likewise."""

    def release(self) -> None:
        """Wake every call that waits for this run."""
        for event in (self.ended, self.before_creation, self.before_end, self.after_end):
            event.set()


class Plans(Stateful):
    """The plans of all credentials, and the progress of the tasks that follow them.

    Parameters
    ----------
    tasks, webhooks
        The runner of the tasks that plans end, and the outbox of the webhooks that plans send.
    """

    def __init__(self, tasks: TaskRunner, webhooks: Outbox) -> None:
        self._tasks = tasks
        self._webhooks = webhooks
        self._plans: dict[str, Plan] = {}
        self._runs: dict[str, _Run] = {}
        self._background = Background("a task could not follow its plan")

    async def put(self, credential: str, plan: Plan) -> None:
        """Set the plan for new tasks of ``credential``.

        First remove the credential's previous plan, and delete the steps that were recorded for it.
        """
        await self.leave(credential)
        self._plans[credential] = plan

    def get(self, credential: str) -> Plan | None:
        """Return the plan of ``credential``, or None."""
        return self._plans.get(credential)

    def steps(self, credential: str) -> dict[str, list[Step]]:
        """Return the recorded steps of each task of ``credential``, by task id. The oldest task is first."""
        return {run.task_id: list(run.steps) for run in self._runs.values() if run.credential == credential}

    async def leave(self, credential: str) -> None:
        """Remove the plan of ``credential``.

        The credential's tasks follow their progression again. Webhooks that the plan held back are sent.
        """
        await self.forget(credential)
        await self._tasks.leave_plans(credential)
        await self._webhooks.release_held(credential)

    async def forget(self, credential: str | None) -> None:
        """Remove the plan of ``credential``, or all plans if it is None. Do not change tasks and webhooks."""
        for name in [name for name in self._plans if credential in {None, name}]:
            del self._plans[name]
        await self._background.cancel(credential)
        for run in [run for run in self._runs.values() if credential in {None, run.credential}]:
            run.release()  # ``_follow`` does not do this if it is cancelled before it starts
            del self._runs[run.task_id]

    async def close(self) -> None:
        """Stop following all plans."""
        await self._background.cancel()

    def holds(self, task_id: str) -> bool:
        """Return whether a plan decides when the webhooks of a task are sent."""
        run = self._runs.get(task_id)
        return run is not None and not run.plan.is_recording_only

    async def create_task(self, task: Task, fault: TaskFault, changes: ChangesOf = nothing_else) -> None:
        """Create a task. It follows the plan of its credential, if the plan does more than record events.

        ``changes`` returns changes that are written together with the task.
        """
        plan = self._plans.get(task.credential)
        follows_plan = plan is not None and not plan.is_recording_only
        await self._tasks.create(replace(task, follows_plan=follows_plan), fault, changes)
        if follows_plan and self._plans.get(task.credential) is not plan:
            # The plan was removed in the meantime.
            await self._tasks.leave_plans(task.credential, task.id)

    async def note_creation(self, task: Task) -> None:
        """Record the creation of a task, and wait until the plan allows the response to be sent."""
        plan = self._plans.get(task.credential)
        if plan is None:
            return
        run = self._runs[task.id] = _Run(task.id, task.credential, plan)
        if plan.is_recording_only:
            run.steps.append(Step.CREATED)
            return
        self._background.start(task.credential, self._follow(run))
        if plan.count(When.BEFORE_CREATION):
            await run.ended.wait()
            await _bounded(run.before_creation)
        run.steps.append(Step.CREATED)

    async def before_poll(self, task_id: str, credential: str) -> None:
        """Wait until the plan allows the response to a poll to be sent."""
        run = self._runs.get(task_id)
        if run is None or run.credential != credential or run.plan.is_recording_only:
            return
        run.arrived.set()
        if run.is_end_reported:
            await _bounded(run.after_end)
        elif run.running_polls >= (run.plan.polls or 0):
            await run.ended.wait()
            await _bounded(run.before_end)
        run.arrived.clear()

    async def note_poll(self, task: Task) -> None:
        """Record a poll that returned ``task``, and whether the task was finished."""
        run = self._runs.get(task.id)
        if run is None:
            return
        async with run.changed:
            run.steps.append(Step.POLL_END if task.is_finished else Step.POLL_RUNNING)
            run.running_polls += not task.is_finished
            run.is_end_reported = run.is_end_reported or task.is_finished
            run.changed.notify_all()

    async def _follow(self, run: _Run) -> None:
        """End the task of a run, and send its webhooks, at the points that the plan defines."""
        plan = run.plan
        try:
            if not plan.count(When.BEFORE_CREATION):
                await _until(run, lambda: run.running_polls >= (plan.polls or 0))
                await self._pause(run)
            await self._tasks.release(run.task_id)
            await self._tasks.until_announced(run.task_id)
            run.ended.set()
            if not plan.webhooks:
                await self._webhooks.lose(run.credential, run.task_id)
            if plan.count(When.BEFORE_CREATION):
                await self._send(run, plan.count(When.BEFORE_CREATION))
                run.before_creation.set()
                if plan.count(When.BEFORE_END):
                    await self._pause(run)
            await self._send(run, plan.count(When.BEFORE_END))
            run.before_end.set()
            await _until(run, lambda: run.is_end_reported)
            if run.is_end_reported:
                await self._pause(run)
            await self._send(run, plan.count(When.AFTER_END))
        finally:
            run.release()

    async def _send(self, run: _Run, times: int) -> None:
        for _ in range(times):
            for delivery in await self._webhooks.deliveries(run.credential):
                if delivery.task_id == run.task_id and delivery.state is not DeliveryState.LOST:
                    place = len(run.steps)
                    run.steps.append(Step.WEBHOOK_SENT)
                    run.steps[place] = await self._send_one(delivery.id)

    async def _send_one(self, delivery_id: str) -> Step:
        try:
            sent = await self._webhooks.send(delivery_id)
        except ReplayRefused:  # its endpoint was removed in the meantime
            return Step.WEBHOOK_REFUSED
        is_taken = sent is not None and bool(sent.attempts) and sent.attempts[-1].is_accepted
        return Step.WEBHOOK_TAKEN if is_taken else Step.WEBHOOK_REFUSED

    async def _pause(self, run: _Run) -> None:
        """Wait ``pause_s`` seconds or until a poll arrives, so that the last response reaches the client."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run.plan.pause_s):
                await run.arrived.wait()


async def _until(run: _Run, condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` returns true, or until no poll has arrived for ``patience_s`` seconds."""
    with contextlib.suppress(TimeoutError):
        async with run.changed:
            while not condition():
                async with asyncio.timeout(run.plan.patience_s):
                    await run.changed.wait()


async def _bounded(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ENDPOINT_TIMEOUT_SECONDS):
            await event.wait()
