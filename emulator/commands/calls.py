"""``face-emulator calls``."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

from emulator.commands.connection import connected, credential_filter_option, url_option
from emulator.commands.failure import CallFailed
from emulator.commands.group import CommandGroup
from emulator.commands.output import always_json_option, json_option, print_json, print_one, working

if TYPE_CHECKING:
    from face_api_emulator.client.models import RecordedCall

group = CommandGroup(help="List, verify and export recorded calls.")


@group.command("list")
@click.option("--vendor", help="Only calls of this vendor's API.")
@click.option("--operation", help="Only calls of this operation.")
@click.option("--status", help="Only calls with this status: 404, 4xx, or `none` for a dropped connection.")
@click.option(
    "--since", type=float, help="Only calls at or after this time of the emulator's clock, in Unix seconds."
)
@click.option(
    "--until", type=float, help="Only calls before this time of the emulator's clock, in Unix seconds."
)
@click.option("--fault/--no-fault", default=None, help="Only calls with a fault, or only those without.")
@click.option("--warned/--no-warned", default=None, help="Only calls with warnings, or only those without.")
@click.option("--warning", help="Only calls with this kind of warning; `calls warnings` lists all kinds.")
@click.option("--last", type=int, help="Number of newest calls to list; omit it to list all.")
@click.option("--follow", is_flag=True, help="Keep printing new calls.")
@click.option("--json", "as_json", is_flag=True, help="Print each call as a JSON object on one line.")
@credential_filter_option
@url_option
def list_calls(
    *, last: int | None, follow: bool, as_json: bool, credential: str | None, url: str, **filters: Any
) -> None:
    """List recorded calls, with warnings about the client's mistakes."""
    given = {name: value for name, value in filters.items() if value is not None}
    with connected(url, credential) as client:
        newest = 0
        for call in client.calls(**given, **({} if last is None else {"last": last})):
            newest = call.number
            _print_call(call, as_json=as_json)
        for call in client.follow(**given, after=newest) if follow else ():
            _print_call(call, as_json=as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print each call as a JSON object on one line.")
@credential_filter_option
@url_option
def listen(*, as_json: bool, credential: str | None, url: str) -> None:
    """Print each call when it ends. Stop with Ctrl+C.

    For other filters than `--credential`, use `calls list --follow`.
    """
    with connected(url, credential) as client, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"listening at {url}; stop with Ctrl+C", err=True)
        for call in client.follow():
            _print_call(call, as_json=as_json)


@group.command("show")
@click.argument("number", type=int, help="Number of the call, from `calls list`.")
@url_option
@always_json_option
def show_call(*, number: int, url: str) -> None:
    """Show one call with its response, as JSON."""
    with connected(url) as client:
        print_json(asdict(client.call(number)))


@group.command("verify")
@click.argument(
    "match",
    default="{}",
    help='Filter as JSON, such as {"operation": "create_reshape", "status": 200}; omit it for all calls.',
)
@click.option(
    "--count",
    type=int,
    help="Exact number of calls. Without --count, --at-least and --at-most, at least 1 call must match.",
)
@click.option("--at-least", type=int, help="Smallest number of calls.")
@click.option("--at-most", type=int, help="Largest number of calls.")
@json_option
@credential_filter_option
@url_option
def verify_calls(
    *,
    match: str,
    count: int | None,
    at_least: int | None,
    at_most: int | None,
    as_json: bool,
    credential: str | None,
    url: str,
) -> None:
    """Check the number of calls that match a filter.

    If the number is not as expected, the exit code is 1. If too few calls match, the command also prints the
    call that comes closest to matching.
    """
    with connected(url, credential) as client:
        wanted = json.loads(match)
        if not isinstance(wanted, dict):
            raise CallFailed(f'{match} is not a JSON object; write a filter such as {{"status": 200}}')
        verdict = client.verify(count=count, at_least=at_least, at_most=at_most, **wanted)
    print_one(verdict, lambda found: found.message, as_json=as_json)
    if not verdict.ok:
        raise Exit(1)


@group.command("bodies")
@click.argument(
    "limit",
    type=click.IntRange(min=0),
    required=False,
    help="Largest number of bytes to keep, or 0 to keep none; omit it to show the calls with kept bodies.",
)
@url_option
@always_json_option
def keep_bodies(*, limit: int | None, url: str) -> None:
    """Keep the bodies of new calls in the emulator's memory, or show the calls whose bodies are kept."""
    with connected(url) as client:
        print_json(asdict(client.kept_bodies() if limit is None else client.keep_bodies(limit)))


@group.command("save")
@click.argument("number", type=int, help="Number of the call, from `calls list`.")
@click.argument("sha256", help="Digest of the picture or file, from `calls show`.")
@click.argument("file", type=click.Path(path_type=Path), help="File to write.")
@url_option
def save_bytes(*, number: int, sha256: str, file: Path, url: str) -> None:
    """Save a picture or file of a call whose bodies are kept."""
    with connected(url) as client:
        file.write_bytes(client.call_bytes(number, sha256))


@group.command("replay")
@click.argument("number", type=int, help="Number of the call, from `calls list`.")
@json_option
@url_option
def replay_call(*, number: int, as_json: bool, url: str) -> None:
    """Repeat a call whose bodies are kept."""
    with connected(url) as client:
        _print_call(client.replay_call(number), as_json=as_json)


@group.command("warnings")
@url_option
@json_option
def list_warnings(*, url: str, as_json: bool) -> None:
    """List all kinds of warnings, with advice."""
    with connected(url) as client:
        found = client.warnings()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(f"{each.code:<28} {each.when} {each.advice}")


@group.command("har")
@click.argument("file", type=click.Path(path_type=Path), help="File to write.")
@credential_filter_option
@url_option
def export_har(*, file: Path, credential: str | None, url: str) -> None:
    """Export recorded calls as an HTTP archive (HAR), which browsers can open."""
    with connected(url, credential) as client, working("exporting the calls"):
        file.write_text(json.dumps(client.har(), indent=1))


@group.command("forget")
@credential_filter_option
@url_option
def forget_calls(*, credential: str | None, url: str) -> None:
    """Delete the recorded calls of a credential, or all recorded calls."""
    with connected(url, credential) as client:
        client.forget_calls()


def _print_call(call: RecordedCall, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(call), ensure_ascii=False))
        return
    answered = "dropped" if call.status is None else str(call.status)
    fault = "" if call.fault is None else f"  [{call.fault['source']}]"
    took = f"{call.duration_ms:8.1f} ms"
    click.echo(f"{call.number:>6}  {answered:<7}  {took}  {call.method} {call.target}{fault}")
    for warning in call.warnings:
        click.echo(f"{'':>6}  {warning['code']}: {warning['detail']}")
