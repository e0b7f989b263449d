"""How tasks of one kind are performed, and what a tester wants to go wrong with one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.tasks.task import Outcome, Task


@dataclass(frozen=True)
class Job:
    """How tasks of one kind are performed.

    Attributes
    ----------
    perform : async (Task) -> Outcome
        Does the work, and answers for every error that it knows.
    unexpected_error : str
        The name of the error, in the vendor's catalogue, for what ``perform`` raised all the same.
    settle : async (Task, Outcome) -> None
        Does what the outcome entails, before it is recorded and the client is told. May run twice
        for a task, if the process dies in between: it must then do nothing the second time.
    announce : async (Task) -> None or None
        Tells others that the task is finished, once that is recorded.
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str
    settle: Callable[[Task, Outcome], Awaitable[None]]
    announce: Callable[[Task], Awaitable[None]] | None = None


@dataclass(frozen=True)
class TaskFault:
    """What a tester wants to go wrong with a task.

    Attributes
    ----------
    is_stuck : bool
        Whether it runs until a call of the control API ends it.
    error : str or None
        The name of the error that it ends with.
    announcement : mapping or None
        What goes wrong with its announcement, as JSON that who announces understands.
    """

    is_stuck: bool = False
    error: str | None = None
    announcement: Mapping[str, Any] | None = None
