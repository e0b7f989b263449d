"""A task, its states and its transitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from emulator.backends.stateful import require
from emulator.clock import Count, Moment
from emulator.deferral import DeferredAdapter
from emulator.tasks.progression import REAL, Progression


class TaskState(StrEnum):
    """State of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    """The work is done, but the task still appears running to the client."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class TaskEvent(StrEnum):
    """An event that changes the state of a task."""

    STARTED = "started"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


TRANSITIONS: Mapping[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.QUEUED, TaskEvent.STARTED): TaskState.RUNNING,
    # If a process dies, its tasks keep the state ``running``. The next process starts them again.
    (TaskState.RUNNING, TaskEvent.STARTED): TaskState.RUNNING,
    (TaskState.RUNNING, TaskEvent.HELD): TaskState.HELD,
    (TaskState.HELD, TaskEvent.SUCCEEDED): TaskState.SUCCEEDED,
    (TaskState.HELD, TaskEvent.FAILED): TaskState.FAILED,
}
"""All legal transitions."""

TERMINAL: frozenset[TaskState] = frozenset(TaskState) - {state for state, _ in TRANSITIONS}
"""States without outgoing transitions."""


class IllegalTransition(Exception):
    """The event is not allowed in the state of the task."""

    def __init__(self, state: TaskState, event: TaskEvent) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event

    def __str__(self) -> str:
        return f"a task that is {self.state} cannot be {self.event}"


@dataclass(frozen=True)
class Outcome:
    """Outcome of the work of a task: either a result or the name of an error."""

    result: Mapping[str, Any] | None = None
    error: str | None = None
    event: TaskEvent = field(init=False)

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an outcome is either a result or an error")
        object.__setattr__(self, "event", TaskEvent.SUCCEEDED if self.error is None else TaskEvent.FAILED)


@dataclass(frozen=True)
class Task:
    """An asynchronous task.

    Attributes
    ----------
    id : str
        The id, in the format of the vendor.
    credential : str
        The credential that created the task.
    kind : str
        Kind of the task, such as ``perfectcorp/face-reshape``. The kind selects the job that does the work.
    request : mapping
        Input of the job, as JSON.
    created_at : float
        When the task was created, in seconds since the Unix epoch, by the credential's clock. All other times
        of the task have the same unit and clock.
    progression : Progression
        When the task appears finished to the client.
    forced_error : str or None
        Name of an error that replaces the outcome of the work; None to keep the outcome.
    announcement_fault : mapping or None
        Fault, as JSON, of the webhooks that announce the end of the task. The job's ``announce`` applies it.
    state : TaskState
        State of the task.
    held : Outcome or None
        Outcome of the work while the task still appears running; otherwise None.
    result : mapping or None
        Result of the job, as JSON, if the task has succeeded.
    error : str or None
        Name of the error in the vendor's catalogue, if the task has failed.
    polls : int
        Number of counted polls. Polls are counted only if the vendor's API or the progression depends on
        them.
    polled_at : float or None
        Time of the last counted poll.
    follows_plan : bool
        Whether a plan decides when the task appears finished, instead of its progression.
    """

    id: str
    credential: str
    kind: str
    request: Mapping[str, Any]
    created_at: Moment
    progression: Progression = REAL
    forced_error: str | None = None
    announcement_fault: Mapping[str, Any] | None = None
    state: TaskState = TaskState.QUEUED
    started_at: Moment | None = None
    finished_at: Moment | None = None
    held: Outcome | None = None
    result: Mapping[str, Any] | None = None
    error: str | None = None
    polls: Count = 0
    polled_at: Moment | None = None
    follows_plan: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the task has succeeded or failed."""
        return self.state in TERMINAL

    @property
    def is_performed(self) -> bool:
        """Whether the work is done. The task may still appear running to the client."""
        return self.is_finished or self.state is TaskState.HELD

    def is_due(self, now: float) -> bool:
        """Return whether the progression lets the task appear finished at ``now``, if its work is done.

        A task that follows a plan is never due.
        """
        return not self.follows_plan and self.progression.is_due(
            polls=self.polls, elapsed_s=now - self.created_at
        )

    def to_document(self) -> dict[str, Any]:
        """Return the task as a JSON object."""
        held = None if self.held is None else {"result": self.held.result, "error": self.held.error}
        # `asdict` would copy the request and the result, which takes longer than writing them.
        return {**vars(self), "progression": self.progression.to_document(), "held": held}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Task:
        """Return the task that ``to_document`` wrote."""
        values = {
            "state": TaskState(document["state"]),
            "progression": Progression.from_document(document["progression"]),
            "held": None if document["held"] is None else Outcome(**document["held"]),
        }
        return cls(**{**document, **values})


STORED = DeferredAdapter(Task)
"""Validates the types of a stored task."""


def check_state(task: Task) -> None:
    """Check that a stored task has what its state requires, and nothing else. Raise ValueError otherwise."""
    is_finished = task.is_finished
    succeeded, failed = task.state is TaskState.SUCCEEDED, task.state is TaskState.FAILED
    queued, held = task.state is TaskState.QUEUED, task.state is TaskState.HELD
    require((task.started_at is None) is queued, "started_at does not fit the state")
    require((task.finished_at is not None) is is_finished, "finished_at does not fit the state")
    require((task.held is not None) is held, "held does not fit the state")
    require((task.result is not None) is succeeded, "result does not fit the state")
    require((task.error is not None) is failed, "error does not fit the state")


def changed(task: Task, **values: Any) -> Task:
    """Return ``task`` with other values. `dataclasses.replace` takes six times as long."""
    other = object.__new__(Task)
    vars(other).update(vars(task), **values)
    return other


def start(task: Task, now: float) -> Task:
    """Return ``task`` as running, started at ``now``.

    Raises
    ------
    IllegalTransition
        If the work of the task is already done.
    """
    return changed(task, state=step(task.state, TaskEvent.STARTED), started_at=now)


def hold(task: Task, outcome: Outcome) -> Task:
    """Return ``task`` as held: its work is done with ``outcome``, but the task still appears running.

    Raises
    ------
    IllegalTransition
        If the task is not running.
    """
    return changed(task, state=step(task.state, TaskEvent.HELD), held=outcome)


def hold_once(task: Task, outcome: Outcome, started_at: float) -> Task:
    """Return ``task`` as held with its forced error or, if it has none, with ``outcome``.

    The work began at ``started_at``. A task whose work is already done is returned unchanged.
    """
    if task.is_performed:
        return task
    return hold(
        start(task, started_at), outcome if task.forced_error is None else Outcome(error=task.forced_error)
    )


def released(task: Task, error: str | None = None) -> Task:
    """Return ``task`` without its progression and plan, so that it ends when its work is done.

    If ``error`` is given, this error replaces the outcome of the work. A finished task is returned unchanged.
    """
    if task.is_finished:
        return task
    task = changed(task, progression=REAL, follows_plan=False)
    if error is None:
        return task
    return changed(task, forced_error=error, held=None if task.held is None else Outcome(error=error))


def finish(task: Task, outcome: Outcome, now: float) -> Task:
    """Return ``task`` as finished at ``now`` with ``outcome``.

    Raises
    ------
    IllegalTransition
        If the task is not held.
    """
    return changed(
        task,
        state=step(task.state, outcome.event),
        finished_at=now,
        held=None,
        result=outcome.result,
        error=outcome.error,
    )


def note_poll(task: Task, now: float) -> Task:
    """Return ``task`` with one more counted poll, at ``now``."""
    return changed(task, polls=task.polls + 1, polled_at=now)


def step(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state after ``event``.

    Raises
    ------
    IllegalTransition
        If the event is not allowed in ``state``.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
