"""``face-emulator calls``."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.commands.connection import BASE_URL, CredentialFilter, Url, connected
from emulator.commands.failure import CallFailed
from emulator.commands.output import AlwaysJson, AsJson, print_json, print_one, working

if TYPE_CHECKING:
    from emulator.world.journal.entry import RecordedCall

group = typer.Typer(no_args_is_help=True, help="List, verify and export recorded calls.")


@group.command("list")
def list_calls(
    *,
    vendor: Annotated[str | None, typer.Option(help="Only calls of this vendor's API.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only calls of this operation.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only calls with this status: 404, 4xx, or `none` for a dropped connection."),
    ] = None,
    since: Annotated[
        float | None,
        typer.Option(help="Only calls at or after this time of the emulator's clock, in Unix seconds."),
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(help="Only calls before this time of the emulator's clock, in Unix seconds."),
    ] = None,
    fault: Annotated[
        bool | None, typer.Option(help="Only calls with a fault, or only those without.")
    ] = None,
    warned: Annotated[
        bool | None, typer.Option(help="Only calls with warnings, or only those without.")
    ] = None,
    warning: Annotated[
        str | None, typer.Option(help="Only calls with this warning; `calls warnings` lists them.")
    ] = None,
    last: Annotated[
        int | None, typer.Option(help="Number of newest calls to list; omit it to list all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep printing new calls.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per call and line.")] = False,
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """List recorded calls, with warnings about the client's mistakes."""
    match = {
        "vendor": vendor,
        "operation": operation,
        "status": status,
        "since": since,
        "until": until,
        "fault": fault,
        "warned": warned,
        "warning": warning,
    }
    given = {name: value for name, value in match.items() if value is not None}
    with connected(url, credential) as client:
        newest = 0
        for call in client.calls(**given, **({} if last is None else {"last": last})):
            newest = call.number
            _print_call(call, as_json=as_json)
        for call in client.follow(**given, after=newest) if follow else ():
            _print_call(call, as_json=as_json)


def listen(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, with the whole call.")
    ] = False,
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """Print calls as they come, until Ctrl+C. `calls list --follow` can filter them."""
    with connected(url, credential) as client, contextlib.suppress(KeyboardInterrupt):
        typer.echo(f"listening at {url}; stop with Ctrl+C", err=True)
        for call in client.follow():
            _print_call(call, as_json=as_json)


@group.command("show")
def show_call(
    number: Annotated[int, typer.Argument(help="Number of the call, from `calls list`.")],
    url: Url = BASE_URL,
    *,
    as_json: AlwaysJson = False,  # noqa: ARG001 - see its help
) -> None:
    """Show one call with its response, as JSON."""
    with connected(url) as client:
        typer.echo(client.call(number).model_dump_json(indent=1))


@group.command("verify")
def verify_calls(
    match: Annotated[
        str, typer.Argument(help='Filter as JSON, such as {"operation": "create_reshape", "status": 200}.')
    ] = "{}",
    *,
    count: Annotated[
        int | None,
        typer.Option(
            help="Exact number of calls. Without --count, --at-least and --at-most, at least 1 must match."
        ),
    ] = None,
    at_least: Annotated[int, typer.Option(help="Smallest number of calls.")] = 0,
    at_most: Annotated[int | None, typer.Option(help="Largest number of calls.")] = None,
    as_json: AsJson = False,
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """Check the number of calls that match a filter.

    If the number is wrong, the command prints the closest call, and the exit code is 1.
    """
    with connected(url, credential) as client:
        wanted = json.loads(match)
        if not isinstance(wanted, dict):
            raise CallFailed(f'{match} is not a JSON object; write a filter such as {{"status": 200}}')
        verdict = client.verify(count=count, at_least=at_least, at_most=at_most, **wanted)
    print_one(verdict, lambda found: found.message, as_json=as_json)
    if not verdict.ok:
        raise typer.Exit(1)


@group.command("warnings")
def list_warnings(url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List all kinds of warnings, with advice."""
    with connected(url) as client:
        found = client.warnings()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        typer.echo(f"{each.code:<28} {each.when} {each.advice}")


@group.command("har")
def export_har(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """Export recorded calls as an HTTP archive (HAR), which browsers can open."""
    with connected(url, credential) as client, working("exporting the calls"):
        file.write_text(json.dumps(client.har(), indent=1))


@group.command("forget")
def forget_calls(credential: CredentialFilter = None, url: Url = BASE_URL) -> None:
    """Delete the recorded calls of a credential, or all recorded calls."""
    with connected(url, credential) as client:
        client.forget_calls()


def _print_call(call: RecordedCall, *, as_json: bool) -> None:
    if as_json:
        typer.echo(call.model_dump_json())
        return
    answered = "dropped" if call.status is None else str(call.status)
    fault = "" if call.fault is None else f"  [{call.fault['source']}]"
    took = f"{call.duration_ms:8.1f} ms"
    typer.echo(f"{call.number:>6}  {answered:<7}  {took}  {call.method} {call.target}{fault}")
    for warning in call.warnings:
        typer.echo(f"{'':>6}  {warning['code']}: {warning['detail']}")
