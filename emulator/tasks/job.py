"""Jobs, which perform tasks of one kind, and faults of tasks."""

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
        Does the work. Returns expected errors as outcomes.
    unexpected_error : str
        Name of the error in the vendor's catalogue for exceptions that ``perform`` raises.
    settle : async (Task, Outcome) -> None
        Applies side effects of the outcome before the end is recorded. Must be idempotent: it runs again if
        the process dies before the end is recorded.
    announce : async (Task) -> None or None
        Announces the end of the task after it is recorded.
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str
    settle: Callable[[Task, Outcome], Awaitable[None]]
    announce: Callable[[Task], Awaitable[None]] | None = None


@dataclass(frozen=True)
class TaskFault:
    """A fault of a task.

    Attributes
    ----------
    is_stuck : bool
        Whether the task runs until a call of the control API ends it.
    error : str or None
        Name of the error that the task fails with.
    announcement : mapping or None
        Fault of the webhooks that announce its end, as JSON. The job's ``announce`` interprets it.
    """

    is_stuck: bool = False
    error: str | None = None
    announcement: Mapping[str, Any] | None = None
