"""Routes for asynchronous tasks, and for the progression, which decides when tasks appear finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from emulator.control.dependencies import CredentialDep, FilterDep
from emulator.tasks.progression import Progression
from emulator.tasks.task import Task, TaskState
from emulator.web.vendor import Vendor
from emulator.world.text import Text
from emulator.world.world import World

TaskId = Annotated[str, Path(description="Id of the task, in the vendor's form.")]


class ListedTask(BaseModel):
    """A task with its real state, which can differ from the state that the client sees."""

    id: str = Field(description="Id of the task, in the vendor's form.")
    kind: str = Field(description="Kind of the task, such as `perfectcorp/face-reshape`.")
    credential: str = Field(description="Credential that created the task.")
    state: TaskState = Field(
        description="Real state. `queued`: the work has not started, or it started less than 0.25 s "
        "ago. `running`: the work started at least 0.25 s ago. `held`: the work is done, but the client "
        "still sees the task as running. `succeeded` and `failed`: the task has ended."
    )
    progression: Progression = Field(description="When the task appears finished.")
    polls: int = Field(
        description="Number of polls. Polls are counted only if the progression or the vendor's API depends "
        "on them; otherwise 0."
    )
    created_at: float = Field(
        description="When the task was created, by the credential's clock, in seconds since the Unix epoch."
    )
    started_at: float | None = Field(
        description="When the work started, by the same clock; null if it has not started."
    )
    finished_at: float | None = Field(
        description="When the task ended, by the same clock; null if it has not ended."
    )
    error: str | None = Field(
        description="Name of the error, as in `GET /_emulator/errors`; null if the task has not failed."
    )
    result: dict[str, Any] | None = Field(
        description="Result of the work; null if the task has not succeeded."
    )

    @classmethod
    def of(cls, task: Task) -> ListedTask:
        """Return the description of a task for the response."""
        return cls(
            id=task.id,
            kind=task.kind,
            credential=task.credential,
            state=task.state,
            progression=task.progression,
            polls=task.polls,
            created_at=task.created_at,
            started_at=task.started_at,
            finished_at=task.finished_at,
            error=task.error,
            result=None if task.result is None else dict(task.result),
        )


class Ending(BaseModel):
    """How a task ends."""

    model_config = ConfigDict(extra="forbid")

    error: Text | None = Field(
        default=None,
        description="Name of an error that the task ends with; omit it to keep the task's own result.",
    )


def tasks_router(world: World, vendors: Sequence[Vendor]) -> APIRouter:
    """Return the routes for tasks and their progression."""
    router = APIRouter(tags=["tasks"])
    tasks = world.tasks
    errors = [entry.name for vendor in vendors for entry in vendor.errors.values() if entry.of_task]

    @router.get("/progression")
    async def read_progression(credential: CredentialDep) -> Progression:
        """Return the progression of new tasks.

        The progression decides when the client sees a task as finished.
        """
        return tasks.progression(credential)

    @router.put("/progression")
    async def set_progression(credential: CredentialDep, progression: Progression) -> Progression:
        """Set the progression of new tasks.

        The progression decides when the client sees a task as finished. The progression of existing tasks
        does not change.
        """
        await tasks.progressions.put(credential, credential, progression)
        return progression

    @router.delete("/progression")
    async def reset_progression(credential: CredentialDep) -> Progression:
        """Reset the progression of new tasks.

        With `credential`, that credential follows the default progression again. Without it, the default
        progression follows the settings again.
        """
        await tasks.progressions.delete(credential)
        return tasks.progression(credential)

    @router.get("/tasks")
    async def list_tasks(credential: FilterDep) -> list[ListedTask]:
        """List the tasks, oldest first."""
        return [ListedTask.of(task) for task in await tasks.list(credential)]

    @router.get("/tasks/{task_id}")
    async def read_task(task_id: TaskId) -> ListedTask:
        """Return a task.

        This does not count as a poll.
        """
        return ListedTask.of(_found(await tasks.find(task_id), task_id))

    @router.post("/tasks/{task_id}/finish")
    async def finish_task(task_id: TaskId, body: Ending | None = None) -> ListedTask:
        """Finish a task.

        If the work of the task is done, the task ends immediately. Otherwise, the response contains the
        unfinished task, and the task ends when its work is done. The progression no longer applies.
        """
        error = None if body is None else body.error
        if error is not None and error not in errors:
            raise HTTPException(422, f"no task ends with {error}; choose one of {', '.join(errors)}")
        task = _found(await tasks.find(task_id), task_id)
        if task.is_finished:
            raise HTTPException(
                409, f"task {task_id} has already {task.state}; only an unfinished task can be finished"
            )
        return ListedTask.of(_found(await tasks.release(task_id, error), task_id))

    return router


def _found(task: Task | None, task_id: str) -> Task:
    if task is None:
        raise HTTPException(404, f"there is no task {task_id}; GET /_emulator/tasks lists them")
    return task
