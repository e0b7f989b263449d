"""Jobs, each of which performs the tasks of one kind, and faults of tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.tasks.task import Outcome, Task


@dataclass(frozen=True)
class Job:
    """The functions that perform tasks of one kind.

    Attributes
    ----------
    perform : async (Task) -> Outcome
        Does the work. An expected error is returned as an outcome, not raised.
    unexpected_error : str
        Name of the error in the vendor's catalogue that a task fails with if ``perform`` raises an exception.
    settle : async (Task, Outcome) -> None
        Applies the side effects of the outcome, such as costs, before the end of the task is recorded. Must
        be idempotent, because ``settle`` runs again if the process dies before the end is recorded.
    announce : async (Task) -> None or None
        Announces the end of the task after the end is recorded.
    discard : async (Task) -> None or None
        Deletes the stored results of a finished task that is too old.
    check : (Task) -> object or None
        Raises ValueError if the request, the result or the error of a task from a snapshot is invalid.
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str
    settle: Callable[[Task, Outcome], Awaitable[None]]
    announce: Callable[[Task], Awaitable[None]] | None = None
    discard: Callable[[Task], Awaitable[None]] | None = None
    check: Callable[[Task], object] | None = None


@dataclass(frozen=True)
class TaskFault:
    """A fault that a call passes to the task that it creates.

    Attributes
    ----------
    is_stuck : bool
        Whether the task runs until a call of the control API ends it.
    error : str or None
        Name of the error that the task fails with.
    announcement : mapping or None
        Fault, as JSON, of the webhooks that announce the end of the task. The job's ``announce`` applies it.
    """

    is_stuck: bool = False
    error: str | None = None
    announcement: Mapping[str, Any] | None = None
