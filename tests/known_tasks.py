"""What a test knows of a task, and a queue that waits for the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.backends.queue import Pipeline
from emulator.tasks.progression import Progression
from emulator.tasks.task import TaskState


class Queue:
    """A queue that hands tasks out when the test says so, or somebody waits for one."""

    is_warm = True

    def __init__(self) -> None:
        self.waiting: list[str] = []

    async def start(self, perform: Callable[[str], Awaitable[None]]) -> None:
        """Leave it to the test to perform."""

    async def wait_until_warm(self) -> None:
        """Return."""

    async def enqueue(self, task_id: str) -> None:
        """Take a task down."""
        self.waiting.append(task_id)

    async def run(self, pipeline: Pipeline[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a pipeline here."""
        return pipeline.resolve()(*args, **kwargs)

    async def close(self) -> None:
        """Return."""


@dataclass
class Known:
    """What the test knows of a task.

    Attributes
    ----------
    polls : int
        How often its client has asked for it before it was over.
    kills : int
        How often a server died over it.
    states : list of TaskState
        All that were recorded, one after the other.
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
