"""``face-emulator tasks``."""

from __future__ import annotations

from dataclasses import asdict

import click

from emulator.commands.connection import (
    connected,
    credential_filter_option,
    credential_option,
    url_option,
)
from emulator.commands.group import CommandGroup
from emulator.commands.output import (
    always_json_option,
    json_option,
    print_compact,
    print_json,
    print_list,
    print_one,
)

group = CommandGroup(help="List and finish asynchronous tasks.")


@group.command("list")
@credential_filter_option
@url_option
@json_option
def list_tasks(*, credential: str | None, url: str, as_json: bool) -> None:
    """List the tasks with their real states, which clients may not see yet."""
    with connected(url, credential) as client:
        print_list(
            client.tasks(),
            lambda task: f"{task.id}  {task.kind}  {task.state}  {task.error or ''}",
            as_json=as_json,
        )


@group.command("show")
@click.argument("task_id", help="Id of the task, as returned when it was created.")
@url_option
@always_json_option
def show_task(*, task_id: str, url: str) -> None:
    """Show a task with its real state, as JSON. This does not count as a poll."""
    with connected(url) as client:
        print_json(asdict(client.task(task_id)))


@group.command("finish")
@click.argument("task_id", help="Id of the task, as returned when it was created.")
@click.option("--error", help="Name of an error to end the task with; omit it to keep the task's own result.")
@url_option
@json_option
def finish_task(*, task_id: str, error: str | None, url: str, as_json: bool) -> None:
    """Finish a task as soon as its work is done, regardless of the progression."""
    with connected(url) as client:
        print_one(client.finish_task(task_id, error), lambda task: task.state, as_json=as_json)


@group.command("progression")
@click.argument(
    "mode",
    required=False,
    help="real, immediate, after_polls, after_seconds, manual or reset; omit it to show the mode.",
)
@click.argument(
    "number",
    type=float,
    required=False,
    help="Number of polls for after_polls, or of seconds for after_seconds.",
)
@credential_option
@url_option
@always_json_option
def set_progression(*, mode: str | None, number: float | None, credential: str | None, url: str) -> None:
    """Set or show the progression, which decides when new tasks appear finished.

    The modes are: real (when the work is done), immediate (before the response to the call that creates the
    task), after_polls (after NUMBER polls), after_seconds (after NUMBER seconds by the emulator's clock) and
    manual (after `tasks finish`). With reset, the credential or the emulator uses its default again.
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
        print_compact(found)
