"""A piece of asynchronous work, and the steps that its life may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class TaskState(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class TaskEvent(StrEnum):
    """What can happen to a task."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


TRANSITIONS: Mapping[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.QUEUED, TaskEvent.STARTED): TaskState.RUNNING,
    # A worker that died leaves its task running, and another one starts it again.
    (TaskState.RUNNING, TaskEvent.STARTED): TaskState.RUNNING,
    (TaskState.RUNNING, TaskEvent.SUCCEEDED): TaskState.SUCCEEDED,
    (TaskState.RUNNING, TaskEvent.FAILED): TaskState.FAILED,
}
"""Every step that a task may take. What is not here is illegal."""

TERMINAL: frozenset[TaskState] = frozenset(TaskState) - {state for state, _ in TRANSITIONS}
"""The states that nothing leads out of."""


class IllegalTransition(Exception):
    """The event cannot happen in the task's state."""

    def __init__(self, state: TaskState, event: TaskEvent) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"a task that is {self.state} cannot be {self.event}"


@dataclass(frozen=True)
class Task:
    """A piece of asynchronous work.

    Attributes
    ----------
    id : str
        As the vendor spells it.
    owner : str
        The credential that created it.
    kind : str
        Which job performs it, such as ``perfectcorp/face-reshape``.
    request : mapping
        What the job needs, as JSON.
    created_at : float
        Seconds since the epoch, by the Clock; so are ``started_at`` and ``finished_at``.
    state : TaskState
        Where it stands.
    result : mapping or None
        What the job made, as JSON, once it has succeeded.
    error : str or None
        The name of the error in the vendor's catalogue, once it has failed.
    polled_at : float or None
        When somebody last asked for it, where the vendor counts that.
    """

    id: str
    owner: str
    kind: str
    request: Mapping[str, Any]
    created_at: float
    state: TaskState = TaskState.QUEUED
    started_at: float | None = None
    finished_at: float | None = None
    result: Mapping[str, Any] | None = None
    error: str | None = None
    polled_at: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in TERMINAL

    def to_document(self) -> dict[str, Any]:
        """Return the task as a JSON object."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Task:
        """Return the task that ``to_document`` wrote."""
        return cls(**{**document, "state": TaskState(document["state"])})


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a result, or the name of an error."""

    result: Mapping[str, Any] | None = None
    error: str | None = None
    event: TaskEvent = field(init=False)

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an outcome is either a result or an error")
        object.__setattr__(self, "event", TaskEvent.SUCCEEDED if self.error is None else TaskEvent.FAILED)


def start(task: Task, now: float) -> Task:
    """Return ``task`` as begun at ``now``.

    Raises
    ------
    IllegalTransition
        If it is finished.
    """
    return replace(task, state=step(task.state, TaskEvent.STARTED), started_at=now)


def finish(task: Task, outcome: Outcome, now: float) -> Task:
    """Return ``task`` as ended at ``now`` with ``outcome``.

    Raises
    ------
    IllegalTransition
        If it is not running.
    """
    return replace(
        task,
        state=step(task.state, outcome.event),
        finished_at=now,
        result=outcome.result,
        error=outcome.error,
    )


def step(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state after ``event``.

    Raises
    ------
    IllegalTransition
        If the event cannot happen in that state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
