"""``face-emulator webhooks``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from emulator.commands.connection import (
    connected,
    credential_filter_option,
    credential_match_option,
    url_option,
)
from emulator.commands.failure import CallFailed
from emulator.commands.group import CommandGroup
from emulator.commands.output import json_option, print_compact, print_json, print_list, print_one

if TYPE_CHECKING:
    from face_api_emulator.client.models import DeliveryDescription, EndpointDescription

group = CommandGroup(help="Manage webhook endpoints, deliveries and plans.")


@group.command("add")
@click.argument("endpoint", help="URL that receives the webhooks.")
@click.option("--secret", help="Signing secret, such as `whsec_...`; omit it to generate one.")
@click.option(
    "--timestamps",
    type=click.Choice(["machine", "clock"]),
    default="machine",
    help="Source of the timestamps: the machine's time, or the emulator's clock.",
)
@click.option("--vendor", help="Vendor that sends the webhooks; omit it for all vendors.")
@credential_match_option
@url_option
@json_option
def add_endpoint(
    *,
    endpoint: str,
    secret: str | None,
    timestamps: Literal["machine", "clock"],
    vendor: str | None,
    credential: str | None,
    url: str,
    as_json: bool,
) -> None:
    """Add an endpoint, and print its id and its secret.

    Without --credential, the endpoint receives the webhooks for the tasks of all credentials.
    """
    with connected(url, credential) as client:
        added = client.add_endpoint(endpoint, secret, timestamps, vendor)
        print_one(added, lambda found: f"{found.id}  {found.secret}", as_json=as_json)


@group.command("list")
@credential_filter_option
@url_option
@json_option
def list_endpoints(*, credential: str | None, url: str, as_json: bool) -> None:
    """List the endpoints."""
    with connected(url, credential) as client:
        print_list(client.endpoints(), _endpoint_line, as_json=as_json)


@group.command("remove")
@click.argument("endpoint_id", help="Id of the endpoint, from `webhooks list`.")
@url_option
def remove_endpoint(*, endpoint_id: str, url: str) -> None:
    """Remove an endpoint."""
    with connected(url) as client:
        client.remove_endpoint(endpoint_id)


@group.command("deliveries")
@credential_filter_option
@url_option
@json_option
def list_deliveries(*, credential: str | None, url: str, as_json: bool) -> None:
    """List the deliveries with all attempts."""
    with connected(url, credential) as client:
        print_list(client.deliveries(), _delivery_lines, as_json=as_json)


@group.command("plan")
@click.argument(
    "polls", type=int, required=False, help="Number of polls that return `running` before the task ends."
)
@click.argument(
    "webhooks",
    nargs=-1,
    help="Point at which each webhook is sent: before_creation, before_end or after_end. Without one, no "
    "webhook is sent.",
)
@click.option("--forget", is_flag=True, help="Remove the plan.")
@click.option("--credential", "-c", help="Credential that follows the plan; required.")
@url_option
@json_option
def plan_webhooks(
    *,
    polls: int | None,
    webhooks: tuple[str, ...],
    forget: bool,
    credential: str | None,
    url: str,
    as_json: bool,
) -> None:
    """Set or show the plan of a credential: the order of polls and webhooks.

    With before_creation, a webhook is sent before the response to the call that creates the task. With
    before_end or after_end, it is sent before or after the poll that reports the end of the task. Without
    POLLS, the command shows the plan, and the polls and webhooks of each task so far.
    """
    with connected(url, credential) as client:
        if credential is None:
            raise CallFailed("a plan applies to one credential; --credential is required")
        if forget:
            client.forget_plan()
        elif polls is not None:
            client.plan(polls, webhooks)
        else:
            found = client.planned()
            if as_json:
                print_json(asdict(found))
                return
            print_compact(found.plan)
            for task in found.tasks:
                click.echo(f"{task.task}  {', '.join(task.steps)}")


@group.command("replay")
@click.argument("delivery_id", help="Id of the delivery, from `webhooks deliveries`.")
@url_option
@json_option
def replay(*, delivery_id: str, url: str, as_json: bool) -> None:
    """Send a delivery again immediately."""
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
