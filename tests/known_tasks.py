"""A queue whose tasks the test performs, and the state that the test expects of a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.backends.queue import Backlog, Load, Pipeline
from emulator.durations import NO_DURATIONS
from emulator.tasks.progression import Progression
from emulator.tasks.task import TaskState


class Queue:
    """A queue whose tasks wait until the test performs them."""

    is_in_database = False
    why_not_warm = None

    def __init__(self) -> None:
        self.waiting: list[str] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Do nothing, because the test performs the tasks."""

    def load(self) -> Load:
        """Return that there are no workers."""
        return Load(0, 0, 0, NO_DURATIONS, {})

    async def wait_until_warm(self) -> None:
        """Do nothing."""

    async def enqueue(self, task_id: str, *, waits: bool = False) -> None:  # noqa: ARG002 - none begins
        """Append a task to ``waiting``."""
        self.waiting.append(task_id)

    async def backlog(self) -> Backlog:
        """Return the number of tasks in ``waiting``."""
        return Backlog(waiting=len(self.waiting), running=0, processes=1)

    async def drain(self, seconds: float) -> None:
        """Do nothing."""

    async def run(self, pipeline: Pipeline[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a pipeline in this process."""
        return pipeline.resolve()(*args, **kwargs)

    async def close(self) -> None:
        """Do nothing."""

    def kill(self) -> None:
        """Do nothing."""


@dataclass
class Known:
    """The state that the test expects of a task.

    Attributes
    ----------
    polls : int
        Number of polls before the task was finished.
    kills : int
        Number of times that the server was killed during a step of the task.
    states : list of TaskState
        Recorded states, in order.
    """

    id: str
    credential: str
    progression: Progression
    created_at: float
    forced: str | None
    fails: bool
    polls: int = 0
    is_released: bool = False
    follows_plan: bool = False
    error_asked_for: str | None = None
    is_over: bool = False
    kills: int = 0
    states: list[TaskState] = field(default_factory=list)
