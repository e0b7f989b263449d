"""``face-emulator tasks``."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, CredentialFilter, Url, connected
from emulator.commands.output import AlwaysJson, AsJson, print_list, print_one

group = typer.Typer(no_args_is_help=True, help="List and finish asynchronous tasks.")

TaskId = Annotated[str, typer.Argument(help="Id of the task, as returned when it was created.")]


@group.command("list")
def list_tasks(credential: CredentialFilter = None, url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List the tasks with their real states, which clients may not see yet."""
    with connected(url, credential) as client:
        print_list(
            client.tasks(),
            lambda task: f"{task.id}  {task.kind}  {task.state}  {task.error or ''}",
            as_json=as_json,
        )


@group.command("show")
def show_task(task_id: TaskId, url: Url = BASE_URL, *, as_json: AlwaysJson = False) -> None:  # noqa: ARG001 - see its help
    """Show a task with its real state, as JSON. This does not count as a poll."""
    with connected(url) as client:
        typer.echo(client.task(task_id).model_dump_json(indent=1))


@group.command("finish")
def finish_task(
    task_id: TaskId,
    error: Annotated[
        str | None,
        typer.Option(help="Name of an error to end the task with; omit it to keep the task's own result."),
    ] = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a task appear finished as soon as its work is done, regardless of the progression."""
    with connected(url) as client:
        print_one(client.finish_task(task_id, error), lambda task: task.state, as_json=as_json)


@group.command("progression")
def set_progression(
    mode: Annotated[
        str | None,
        typer.Argument(
            help="real, immediate, after_polls, after_seconds, manual or reset; omit it to show the mode."
        ),
    ] = None,
    number: Annotated[
        float | None, typer.Argument(help="Polls for after_polls, seconds for after_seconds.")
    ] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
    *,
    as_json: AlwaysJson = False,  # noqa: ARG001 - see its help
) -> None:
    """Set or show the progression: when new tasks appear finished to the client.

    real: when the work is done. immediate: when the task is created. after_polls: after a number of polls.
    after_seconds: after some seconds by the emulator's clock. manual: after `tasks finish`. reset: use the
    default again.
    """
    with connected(url, credential) as client:
        if mode is None:
            found = client.progression()
        elif mode == "reset":
            found = client.reset_progression()
        else:
            name = {"after_polls": "polls", "after_seconds": "seconds"}.get(mode)
            details = {} if name is None or number is None else {name: number}
            found = client.set_progression(mode, **details)
        typer.echo(found.model_dump_json(exclude_none=True))
