"""Jobs, each of which performs the tasks of one kind, and faults of tasks."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.backends.records import Change
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
    settle : async (Task, Outcome) -> sequence of Change
        Returns the changes that the outcome makes to other records, such as costs. They are written in one
        transaction with the end of the task. If one of the records changes in the meantime, ``settle`` is
        called again.
    announce : async (Task) -> None or None
        Announces the end of the task after the end is recorded.
    discard : async (Task) -> None or None
        Deletes the stored results of a finished task that is too old.
    check : (Task) -> object or None
        Raises ValueError if the request, the result or the error of a task from a snapshot is invalid.
    waits : (Task) -> bool
        Whether the work mostly waits for another server, for example because it downloads the picture.
    """

    perform: Callable[[Task], Awaitable[Outcome]]
    unexpected_error: str
    settle: Callable[[Task, Outcome], Awaitable[Sequence[Change]]]
    announce: Callable[[Task], Awaitable[None]] | None = None
    discard: Callable[[Task], Awaitable[None]] | None = None
    check: Callable[[Task], object] | None = None
    waits: Callable[[Task], bool] = lambda _task: False


class Jobs(UserDict[str, Any]):
    """The jobs, by the kind of task that they perform.

    A value can be a function that returns the jobs of several kinds. It is called when one of these jobs is
    first needed.
    """

    def __getitem__(self, kind: str) -> Job:
        found = self.data[kind]
        if not isinstance(found, Job):
            self.data.update(found())
            found = self.data[kind]
        job: Job = found
        return job


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
