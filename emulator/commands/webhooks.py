"""``face-emulator webhooks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emulator.commands.connection import (
    BASE_URL,
    CredentialFilter,
    CredentialMatch,
    Url,
    connected,
)
from emulator.commands.failure import CallFailed
from emulator.commands.output import AsJson, print_json, print_list, print_one

if TYPE_CHECKING:
    from emulator.control.webhooks import DeliveryDescription, EndpointDescription

group = typer.Typer(no_args_is_help=True, help="Manage webhook endpoints, deliveries and plans.")


@group.command("add")
def add_endpoint(
    endpoint: Annotated[str, typer.Argument(help="URL that receives the webhooks.")],
    secret: Annotated[
        str | None, typer.Option(help="Signing secret, such as `whsec_...`; omit it to generate one.")
    ] = None,
    timestamps: Annotated[
        Literal["machine", "clock"],
        typer.Option(help="Source of the timestamps: the machine's time, or the emulator's clock."),
    ] = "machine",
    vendor: Annotated[
        str | None, typer.Option(help="Vendor that sends the webhooks; omit it for all vendors.")
    ] = None,
    credential: CredentialMatch = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Add an endpoint, and print its id and its secret.

    Without --credential, the endpoint receives the webhooks for the tasks of all credentials.
    """
    with connected(url, credential) as client:
        added = client.add_endpoint(endpoint, secret, timestamps, vendor)
        print_one(added, lambda found: f"{found.id}  {found.secret}", as_json=as_json)


@group.command("list")
def list_endpoints(
    credential: CredentialFilter = None, url: Url = BASE_URL, *, as_json: AsJson = False
) -> None:
    """List the endpoints."""
    with connected(url, credential) as client:
        print_list(client.endpoints(), _endpoint_line, as_json=as_json)


@group.command("remove")
def remove_endpoint(
    endpoint_id: Annotated[str, typer.Argument(help="Id of the endpoint, from `webhooks list`.")],
    url: Url = BASE_URL,
) -> None:
    """Remove an endpoint."""
    with connected(url) as client:
        client.remove_endpoint(endpoint_id)


@group.command("deliveries")
def list_deliveries(
    credential: CredentialFilter = None, url: Url = BASE_URL, *, as_json: AsJson = False
) -> None:
    """List the deliveries with all attempts."""
    with connected(url, credential) as client:
        print_list(client.deliveries(), _delivery_lines, as_json=as_json)


@group.command("plan")
def plan_webhooks(
    polls: Annotated[
        int | None, typer.Argument(help="Number of polls that return `running` before the task ends.")
    ] = None,
    webhooks: Annotated[
        list[str] | None,
        typer.Argument(
            help="When each webhook is sent: before_creation, before_end or after_end; omit it to send none."
        ),
    ] = None,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the plan.")] = False,
    credential: Annotated[
        str | None,
        typer.Option("--credential", "-c", help="Credential that the plan is for; required."),
    ] = None,
    as_json: AsJson = False,
    url: Url = BASE_URL,
) -> None:
    """Set the order of polls and webhooks for a credential.

    before_creation: before the response to the call that creates the task. before_end and after_end: before
    and after the poll that reports the end of the task. Without a number of polls, the command shows the plan
    and the recorded steps. --credential is required.
    """
    with connected(url, credential) as client:
        if credential is None:
            raise CallFailed("a plan applies to one credential; --credential is required")
        if forget:
            client.forget_plan()
        elif polls is not None:
            client.plan(polls, webhooks or ())
        else:
            found = client.planned()
            if as_json:
                print_json(found.model_dump(mode="json", exclude_none=True))
                return
            typer.echo(found.plan.model_dump_json(exclude_none=True))
            for task in found.tasks:
                typer.echo(f"{task.task}  {', '.join(task.steps)}")


@group.command("replay")
def replay(
    delivery_id: Annotated[str, typer.Argument(help="Id of the delivery, from `webhooks deliveries`.")],
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Send a delivery again, at once."""
    with connected(url) as client:
        print_one(client.replay(delivery_id), lambda found: found.state, as_json=as_json)


def _endpoint_line(found: EndpointDescription) -> str:
    state = "" if found.disabled is None else f"  ({found.disabled})"
    return f"{found.id}  {found.url}{state}"


def _delivery_lines(found: DeliveryDescription) -> str:
    lines = [f"{found.id}  {found.state}  {found.url}  {found.task}"]
    lines += [
        f"  {attempt.number}: {attempt.status or attempt.error}  {attempt.ms} ms"
        for attempt in found.attempts
    ]
    return "\n".join(lines)
