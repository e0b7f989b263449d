"""In which order the clients of a credential hear of polls and webhooks: prescribed, and taken down.

A task of a credential with a plan runs until the plan ends it, whatever its progression is, and its
webhooks go out where the plan says, seen from the calls of the client. What a plan puts between two
calls has happened when the second one is answered, and the endpoint has answered it too, if it does so
within ``BOUND_SECONDS``: many look up the task before they answer, and would wait for themselves. A
plan, and what was taken down, live as long as the process; after it, tasks end by their progression, and
webhooks that were held go out.
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
from emulator.tasks.runner import TaskRunner
from emulator.tasks.task import Task
from emulator.webhooks.delivery import DeliveryState
from emulator.webhooks.outbox import NothingToReplay, Outbox

BOUND_SECONDS = 0.3
"""How long a call is held up until an endpoint has answered what comes before, in real time."""


class When(StrEnum):
    """When a webhook is sent, seen from the client's calls."""

    BEFORE_CREATION = "before_creation"
    """Before the creation of the task is answered: nobody knows its id yet."""
    BEFORE_END = "before_end"
    """Before a poll tells the end, after all those that tell that it runs."""
    AFTER_END = "after_end"
    """After a poll has told the end."""


class Step(StrEnum):
    """What happened, in the order in which it did."""

    CREATED = "created"
    POLL_RUNNING = "poll_running"
    POLL_END = "poll_end"
    WEBHOOK_SENT = "webhook_sent"
    """And not answered yet."""
    WEBHOOK_TAKEN = "webhook_taken"
    WEBHOOK_REFUSED = "webhook_refused"


Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]


class Plan(BaseModel):
    """An order for every task of a credential; without `polls` and `webhooks`, one that only watches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    polls: int | None = Field(default=None, ge=0, description="How many polls are told that the task runs.")
    webhooks: tuple[When, ...] | None = Field(
        default=None, max_length=10, description="When each endpoint hears of its end; never, if empty."
    )
    pause_s: Seconds = Field(
        default=0.2, description="How long after an answer a webhook follows, if no call comes before."
    )
    patience_s: Seconds = Field(
        default=3.0, description="How long a poll is waited for before things go on without it."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.polls is None) != (self.webhooks is None):
            raise ValueError("`polls` goes with `webhooks`")
        if When.BEFORE_CREATION in (self.webhooks or ()) and self.polls:
            raise ValueError("a task that ends before its creation is answered tells no poll that it runs")
        return self

    @property
    def is_watching(self) -> bool:
        """Whether it only takes down what happens."""
        return self.webhooks is None

    def count(self, when: When) -> int:
        """Return how many webhooks are sent then."""
        return (self.webhooks or ()).count(when)


@dataclass
class _Run:
    """A task that follows a plan."""

    task_id: str
    credential: str
    plan: Plan
    steps: list[Step] = field(default_factory=list)
    running_polls: int = 0
    is_told: bool = False
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody polls, and waits for the answer."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The end of the task is recorded, and its webhooks are held."""
    before_creation: asyncio.Event = field(default_factory=asyncio.Event)
    before_end: asyncio.Event = field(default_factory=asyncio.Event)
    after_end: asyncio.Event = field(default_factory=asyncio.Event)
    """All has happened that comes then."""

    def let_go(self) -> None:
        """Hold up nobody any more."""
        for event in (self.ended, self.before_creation, self.before_end, self.after_end):
            event.set()


class Plans(Stateful):
    """The plans of all credentials, and the tasks that follow them.

    Parameters
    ----------
    tasks, webhooks
        What they move.
    """

    def __init__(self, tasks: TaskRunner, webhooks: Outbox) -> None:
        self._tasks = tasks
        self._webhooks = webhooks
        self._plans: dict[str, Plan] = {}
        self._runs: dict[str, _Run] = {}
        self._background = Background("a task could not follow its plan")

    async def put(self, credential: str, plan: Plan) -> None:
        """Let the tasks that ``credential`` creates from now on follow ``plan``; forget what happened."""
        await self.leave(credential)
        self._plans[credential] = plan

    def get(self, credential: str) -> Plan | None:
        """Return the plan of ``credential``, or None."""
        return self._plans.get(credential)

    def steps(self, credential: str) -> dict[str, list[Step]]:
        """Return what happened to the tasks of ``credential``, by task, in the order of their creation."""
        return {run.task_id: list(run.steps) for run in self._runs.values() if run.credential == credential}

    async def leave(self, credential: str) -> None:
        """Forget the plan of ``credential``: its tasks end by their progression, and its webhooks go out."""
        await self.forget(credential)
        await self._tasks.leave_plans(credential)
        await self._webhooks.let_go(credential)

    async def forget(self, credential: str | None) -> None:
        """Forget the plan of ``credential``, or all; the tasks and webhooks go with their records."""
        for name in [name for name in self._plans if credential in {None, name}]:
            del self._plans[name]
        await self._background.cancel(credential)
        for run in [run for run in self._runs.values() if credential in {None, run.credential}]:
            run.let_go()  # what is cancelled before it has begun does not
            del self._runs[run.task_id]

    async def close(self) -> None:
        """Stop where everything is."""
        await self._background.cancel()

    def holds(self, task_id: str) -> bool:
        """Return whether the webhooks of a task go out when its plan says so."""
        run = self._runs.get(task_id)
        return run is not None and not run.plan.is_watching

    async def create_task(self, task: Task, fault: TaskFault) -> None:
        """Create a task, which follows the plan of its credential if there is one that says when it ends."""
        plan = self._plans.get(task.credential)
        follows_plan = plan is not None and not plan.is_watching
        await self._tasks.create(replace(task, follows_plan=follows_plan), fault)
        if follows_plan and self._plans.get(task.credential) is not plan:
            await self._tasks.leave_plans(task.credential, task.id)  # it was forgotten meanwhile

    async def note_creation(self, task: Task) -> None:
        """Take down that a task was created, and return when that may be answered."""
        plan = self._plans.get(task.credential)
        if plan is None:
            return
        run = self._runs[task.id] = _Run(task.id, task.credential, plan)
        if plan.is_watching:
            run.steps.append(Step.CREATED)
            return
        self._background.start(task.credential, self._follow(run))
        if plan.count(When.BEFORE_CREATION):
            await run.ended.wait()
            await _bounded(run.before_creation)
        run.steps.append(Step.CREATED)

    async def before_poll(self, task_id: str, credential: str) -> None:
        """Return when a poll may be answered."""
        run = self._runs.get(task_id)
        if run is None or run.credential != credential or run.plan.is_watching:
            return
        run.arrived.set()
        if run.is_told:
            await _bounded(run.after_end)
        elif run.running_polls >= (run.plan.polls or 0):
            await run.ended.wait()
            await _bounded(run.before_end)
        run.arrived.clear()

    async def note_poll(self, task: Task) -> None:
        """Take down what a poll is told."""
        run = self._runs.get(task.id)
        if run is None:
            return
        async with run.changed:
            run.steps.append(Step.POLL_END if task.is_finished else Step.POLL_RUNNING)
            run.running_polls += not task.is_finished
            run.is_told = run.is_told or task.is_finished
            run.changed.notify_all()

    async def _follow(self, run: _Run) -> None:
        """Let the task of a run end, and its webhooks go out, where the plan says."""
        plan = run.plan
        try:
            if not plan.count(When.BEFORE_CREATION):
                await _until(run, lambda: run.running_polls >= (plan.polls or 0))
                await self._pause(run)
            await self._tasks.release(run.task_id)
            await self._tasks.until_told(run.task_id)
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
            await _until(run, lambda: run.is_told)
            if run.is_told:
                await self._pause(run)
            await self._send(run, plan.count(When.AFTER_END))
        finally:
            run.let_go()

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
        except NothingToReplay:  # its endpoint was removed meanwhile
            return Step.WEBHOOK_REFUSED
        is_taken = sent is not None and bool(sent.attempts) and sent.attempts[-1].is_accepted
        return Step.WEBHOOK_TAKEN if is_taken else Step.WEBHOOK_REFUSED

    async def _pause(self, run: _Run) -> None:
        """Let an answer reach the client; the next call shows that it has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run.plan.pause_s):
                await run.arrived.wait()


async def _until(run: _Run, look: Callable[[], bool]) -> None:
    """Return when polls have made something so, or when none has come for as long as patience lasts."""
    with contextlib.suppress(TimeoutError):
        async with run.changed:
            while not look():
                async with asyncio.timeout(run.plan.patience_s):
                    await run.changed.wait()


async def _bounded(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BOUND_SECONDS):
            await event.wait()
