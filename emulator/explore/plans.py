"""The orders of polls and webhooks to try, and the results of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from emulator.world.plans.plan import Step, When

PATTERNS: tuple[tuple[When, ...], ...] = (
    (When.BEFORE_END,),
    (When.AFTER_END,),
    (),
    (When.BEFORE_CREATION,),
    (When.BEFORE_END, When.AFTER_END),
    (When.BEFORE_END, When.BEFORE_END),
    (When.AFTER_END, When.AFTER_END),
    (When.BEFORE_CREATION, When.BEFORE_END),
    (When.BEFORE_CREATION, When.AFTER_END),
    (When.BEFORE_CREATION, When.BEFORE_CREATION),
)
"""All combinations of points at which up to two webhooks are sent, with the most common cases first."""

WORDS: Mapping[Step, str] = {
    Step.CREATED: "created",
    Step.POLL_RUNNING: "poll: running",
    Step.POLL_END: "poll: finished",
    Step.WEBHOOK_SENT: "webhook (not answered)",
    Step.WEBHOOK_TAKEN: "webhook",
    Step.WEBHOOK_REFUSED: "webhook (refused)",
}


@dataclass(frozen=True)
class Plan:
    """An order of polls and webhooks. It applies to every task of a run."""

    running_polls: int
    webhooks: tuple[When, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of a task that are recorded if the client polls until the task has ended."""
        return (
            *(Step.WEBHOOK_TAKEN,) * self.webhooks.count(When.BEFORE_CREATION),
            Step.CREATED,
            *(Step.POLL_RUNNING,) * self.running_polls,
            *(Step.WEBHOOK_TAKEN,) * self.webhooks.count(When.BEFORE_END),
            Step.POLL_END,
            *(Step.WEBHOOK_TAKEN,) * self.webhooks.count(When.AFTER_END),
        )

    def __str__(self) -> str:
        return spell(self.steps) + ("" if self.webhooks else ", no webhook")


@dataclass(frozen=True)
class Result:
    """Result of one run of the client.

    Attributes
    ----------
    plan : Plan or None
        Plan of the run. None for the run without a plan.
    tasks : tuple of tuple of Step
        Recorded steps of each task.
    failure : str or None
        How the client failed, such as its exit status. None if the client succeeded.
    elapsed_s : float
        Duration in seconds.
    deliveries : int
        Number of webhook deliveries.
    output : tuple of str
        The client's last lines of output.
    """

    plan: Plan | None
    tasks: tuple[tuple[Step, ...], ...]
    failure: str | None
    elapsed_s: float
    deliveries: int = 0
    output: tuple[str, ...] = field(default=(), repr=False)

    @property
    def running_polls(self) -> int:
        """Number of polls that returned a running task, for the task with the most such polls."""
        return max((steps.count(Step.POLL_RUNNING) for steps in self.tasks), default=0)

    def happened(self) -> str:
        """Return the recorded steps of all tasks as text. Tasks with the same steps are shown once."""
        distinct = dict.fromkeys(self.tasks)
        return "; ".join(spell(steps) for steps in distinct) or "no task"


def plans(most_polls: int) -> list[Plan]:
    """Return all orders with at most ``most_polls`` polls that return a running task, shortest first."""
    found = [
        Plan(polls, webhooks)
        for polls in range(most_polls + 1)
        for webhooks in PATTERNS
        if polls == 0 or When.BEFORE_CREATION not in webhooks
    ]
    # The sort is stable: among orders of equal length, the most common cases stay first.
    return sorted(found, key=lambda plan: len(plan.steps))


def spell(steps: Sequence[Step]) -> str:
    """Return the steps as text, such as ``created, 2 x poll: running``."""
    counted = [(WORDS[step], sum(1 for _ in same)) for step, same in groupby(steps)]
    return ", ".join(word if count == 1 else f"{count} x {word}" for word, count in counted)


def documents(results: Sequence[Result]) -> list[dict[str, object]]:
    """Return the runs as JSON objects. For the run without a plan, ``order`` is null."""
    return [
        {
            "order": None if result.plan is None else [step.value for step in result.plan.steps],
            "ok": result.failure is None,
            "failure": result.failure,
            "tasks": [[step.value for step in steps] for steps in result.tasks],
            "deliveries": result.deliveries,
            "seconds": round(result.elapsed_s, 3),
            "output": list(result.output),
        }
        for result in results
    ]
