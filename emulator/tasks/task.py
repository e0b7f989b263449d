"""A piece of asynchronous work, and the steps that its life may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from emulator.tasks.progression import REAL, Progression

MOMENTS = TypeAdapter(list[Annotated[float, Field(strict=True)] | None])


class TaskState(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    """The work is done, and the client is not told yet."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class TaskEvent(StrEnum):
    """What can happen to a task."""

    STARTED = "started"
    HELD = "held"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


TRANSITIONS: Mapping[tuple[TaskState, TaskEvent], TaskState] = {
    (TaskState.QUEUED, TaskEvent.STARTED): TaskState.RUNNING,
    # A worker that died leaves its task running, and another one starts it again.
    (TaskState.RUNNING, TaskEvent.STARTED): TaskState.RUNNING,
    (TaskState.RUNNING, TaskEvent.HELD): TaskState.HELD,
    (TaskState.HELD, TaskEvent.SUCCEEDED): TaskState.SUCCEEDED,
    (TaskState.HELD, TaskEvent.FAILED): TaskState.FAILED,
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
class Outcome:
    """What came of a job: a result, or the name of an error."""

    result: Mapping[str, Any] | None = None
    error: str | None = None
    event: TaskEvent = field(init=False)

    def __post_init__(self) -> None:
        if (self.result is None) == (self.error is None):
            raise ValueError("an outcome is either a result or an error")
        object.__setattr__(self, "event", TaskEvent.SUCCEEDED if self.error is None else TaskEvent.FAILED)


@dataclass(frozen=True)
class Task:
    """A piece of asynchronous work.

    Attributes
    ----------
    id : str
        As the vendor spells it.
    credential : str
        The credential that created it.
    kind : str
        Which job performs it, such as ``perfectcorp/face-reshape``.
    request : mapping
        What the job needs, as JSON.
    created_at : float
        Seconds since the epoch, by the credential's clock; so are ``started_at`` and ``finished_at``.
    progression : Progression
        When the client is told that it is over.
    forced_error : str or None
        The error that it ends with, whatever the work would come to.
    announcement_fault : mapping or None
        What goes wrong with its announcement, as JSON that who announces understands.
    state : TaskState
        Where it stands.
    held : Outcome or None
        What the work came to, while the client is not told.
    result : mapping or None
        What the job made, as JSON, once it has succeeded.
    error : str or None
        The name of the error in the vendor's catalogue, once it has failed.
    polls : int
        How often somebody asked for it, where that matters.
    polled_at : float or None
        When somebody last asked for it, where that matters.
    follows_plan : bool
        Whether a plan says when the client is told that it is over, whatever its progression is.
    """

    id: str
    credential: str
    kind: str
    request: Mapping[str, Any]
    created_at: float
    progression: Progression = REAL
    forced_error: str | None = None
    announcement_fault: Mapping[str, Any] | None = None
    state: TaskState = TaskState.QUEUED
    started_at: float | None = None
    finished_at: float | None = None
    held: Outcome | None = None
    result: Mapping[str, Any] | None = None
    error: str | None = None
    polls: int = 0
    polled_at: float | None = None
    follows_plan: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.state in TERMINAL

    @property
    def is_performed(self) -> bool:
        """Whether the work is done, told or not."""
        return self.is_finished or self.state is TaskState.HELD

    def check_moments(self) -> None:
        """Raise ``ValueError`` unless every moment is a number, as a snapshot's need not be."""
        MOMENTS.validate_python([self.created_at, self.started_at, self.finished_at, self.polled_at])

    def is_due(self, now: float) -> bool:
        """Return whether the client may be told by ``now`` that it is over, as soon as the work is done."""
        return not self.follows_plan and self.progression.is_due(
            polls=self.polls, elapsed_s=now - self.created_at
        )

    def to_document(self) -> dict[str, Any]:
        """Return the task as a JSON object."""
        held = None if self.held is None else {"result": self.held.result, "error": self.held.error}
        plain = asdict(replace(self, progression=REAL, held=None))
        return {**plain, "progression": self.progression.to_document(), "held": held}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Task:
        """Return the task that ``to_document`` wrote."""
        values = {
            "state": TaskState(document["state"]),
            "progression": Progression.from_document(document["progression"]),
            "held": None if document["held"] is None else Outcome(**document["held"]),
        }
        return cls(**{**document, **values})


def start(task: Task, now: float) -> Task:
    """Return ``task`` as begun at ``now``.

    Raises
    ------
    IllegalTransition
        If it is held or finished.
    """
    return replace(task, state=step(task.state, TaskEvent.STARTED), started_at=now)


def hold(task: Task, outcome: Outcome) -> Task:
    """Return ``task`` with the work done, and ``outcome`` still kept from the client.

    Raises
    ------
    IllegalTransition
        If it is not running.
    """
    return replace(task, state=step(task.state, TaskEvent.HELD), held=outcome)


def hold_once(task: Task, outcome: Outcome) -> Task:
    """Return ``task`` with the work done, unless it is; what was forced meanwhile goes before ``outcome``."""
    if task.is_performed:
        return task
    return hold(task, outcome if task.forced_error is None else Outcome(error=task.forced_error))


def let_go(task: Task, error: str | None = None) -> Task:
    """Return ``task`` to end as soon as its work is done, with ``error`` if given; a finished one stays."""
    if task.is_finished:
        return task
    task = replace(task, progression=REAL, follows_plan=False)
    if error is None:
        return task
    return replace(task, forced_error=error, held=None if task.held is None else Outcome(error=error))


def finish(task: Task, outcome: Outcome, now: float) -> Task:
    """Return ``task`` as ended at ``now`` with ``outcome``.

    Raises
    ------
    IllegalTransition
        If it is not held.
    """
    return replace(
        task,
        state=step(task.state, outcome.event),
        finished_at=now,
        held=None,
        result=outcome.result,
        error=outcome.error,
    )


def note_poll(task: Task, now: float) -> Task:
    """Return ``task`` as asked for once more, at ``now``."""
    return replace(task, polls=task.polls + 1, polled_at=now)


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
