"""A run: the progress of one task whose credential has a plan, and what changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from emulator.backends.stateful import require, strictly
from emulator.clock import Count, Moment
from emulator.deferral import DeferredAdapter
from emulator.world.plans.plan import Plan, Step


class Gate(StrEnum):
    """A point in a run that calls wait for."""

    ENDED = "ended"
    """The end of the task is recorded, and its webhooks are held back."""
    BEFORE_CREATION = "before_creation"
    """The webhooks of ``When.BEFORE_CREATION`` are sent."""
    BEFORE_END = "before_end"
    """The webhooks of ``When.BEFORE_END`` are sent."""
    AFTER_END = "after_end"
    """The webhooks of ``When.AFTER_END`` are sent."""


@dataclass(frozen=True)
class Run:
    """The progress of one task whose credential has a plan.

    Attributes
    ----------
    plan : int
        Number of the plan.
    driver : str
        Id of the replica that ends the task and sends its webhooks.
    created_at : float
        When the task was created.
    steps : tuple of Step
        The recorded events.
    arrivals : int
        Number of polls that have arrived.
    waiting : int
        Number of polls that wait for a gate.
    passed : frozenset of Gate
        The gates that are open, so that no call waits for them.
    is_over : bool
        Whether the plan has ended for the task. Then no call waits.
    """

    plan: int
    driver: str
    created_at: float
    steps: tuple[Step, ...] = ()
    arrivals: int = 0
    waiting: int = 0
    passed: frozenset[Gate] = frozenset()
    is_over: bool = False

    @property
    def running_polls(self) -> int:
        """Number of polls that have returned a running task."""
        return self.steps.count(Step.POLL_RUNNING)

    @property
    def polls(self) -> int:
        """Number of polls that have been answered."""
        return self.running_polls + self.steps.count(Step.POLL_END)

    @property
    def is_end_reported(self) -> bool:
        """Whether a poll has returned the finished task."""
        return Step.POLL_END in self.steps

    @property
    def awaits_answer(self) -> bool:
        """Whether an endpoint has not answered a webhook yet."""
        return Step.WEBHOOK_SENT in self.steps

    def lets_pass(self, gate: Gate) -> bool:
        """Return whether calls can pass a gate without waiting."""
        return self.is_over or gate in self.passed

    def gates(self, plan: Plan) -> tuple[Gate, ...]:
        """Return the gates that the next poll waits for, in this order."""
        if self.is_over or plan.is_recording_only:
            return ()
        if self.is_end_reported:
            return (Gate.AFTER_END,)
        if self.running_polls >= (plan.polls or 0):
            return (Gate.ENDED, Gate.BEFORE_END)
        return ()

    def arrive(self, plan: Plan) -> Run:
        """Return the run after the arrival of a poll, which waits if ``gates`` returns any."""
        return replace(self, arrivals=self.arrivals + 1, waiting=self.waiting + bool(self.gates(plan)))

    def stop_waiting(self) -> Run:
        """Return the run after a poll has passed its gates."""
        return replace(self, waiting=max(self.waiting - 1, 0))

    def note(self, step: Step) -> Run:
        """Return the run with one more step."""
        return replace(self, steps=(*self.steps, step))

    def renote(self, place: int, step: Step) -> Run:
        """Return the run with the step at ``place`` replaced by ``step``."""
        return replace(self, steps=(*self.steps[:place], step, *self.steps[place + 1 :]))

    def open(self, gate: Gate) -> Run:
        """Return the run with a gate opened."""
        return replace(self, passed=self.passed | {gate})

    def end(self) -> Run:
        """Return the run as ended."""
        return replace(self, is_over=True)

    def to_document(self) -> dict[str, Any]:
        """Return the run as a JSON object.

        Its member ``over`` is null until the run is over, so that the database can find unfinished runs.
        """
        return {
            "plan": self.plan,
            "driver": self.driver,
            "created_at": self.created_at,
            "steps": list(self.steps),
            "arrivals": self.arrivals,
            "waiting": self.waiting,
            "passed": sorted(self.passed),
            "over": True if self.is_over else None,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Run:
        """Return the run that ``to_document`` wrote."""
        return cls(
            plan=document["plan"],
            driver=document["driver"],
            created_at=document["created_at"],
            steps=tuple(map(Step, document["steps"])),
            arrivals=document["arrivals"],
            waiting=document["waiting"],
            passed=frozenset(map(Gate, document["passed"])),
            is_over=document["over"] is not None,
        )


@dataclass(frozen=True)
class _Stored:
    plan: Count
    driver: str
    created_at: Moment
    steps: tuple[Step, ...]
    arrivals: Count
    waiting: Count
    passed: frozenset[Gate]
    over: Literal[True] | None


_STORED = DeferredAdapter(_Stored)


def check_run(document: Mapping[str, Any]) -> None:
    """Raise ValueError if a stored run is invalid."""
    strictly(_STORED, document)
    require(document.keys() == Run(0, "", 0.0).to_document().keys(), "a member is unknown")
