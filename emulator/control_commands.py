"""Commands that talk to a running emulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from emulator.control.client import Client
    from emulator.control.clock import ClockReading
    from emulator.control.journal import RecordedCall

# ruff: noqa: PLC0415 - a command imports what it needs, for the sake of a quick `--help`

Url = Annotated[str, typer.Option("--url", envvar="FACE_EMULATOR_URL", help="Where the emulator listens.")]
Credential = Annotated[
    str | None, typer.Option("--credential", "-c", help="Whose world it is about; everybody's, if left out.")
]
BASE_URL = "http://127.0.0.1:3468"

snapshot = typer.Typer(no_args_is_help=True, help="Keep everything that an emulator stores in one file.")
faults = typer.Typer(no_args_is_help=True, help="Have things go wrong.")
clock = typer.Typer(no_args_is_help=True, help="Tell the time, stop it and move it.")
tasks = typer.Typer(no_args_is_help=True, help="See and end asynchronous tasks.")
calls = typer.Typer(no_args_is_help=True, help="See what clients did.")
webhooks = typer.Typer(no_args_is_help=True, help="Have the ends of tasks announced.")
scenario = typer.Typer(no_args_is_help=True, help="Load sets of faults and settings.")
credentials = typer.Typer(no_args_is_help=True, help="Say which credentials are good, and which are not.")


class CallFailed(Exception):
    """The emulator did not do what it was asked."""


@snapshot.command()
def save(
    file: Annotated[Path, typer.Argument(help="Where the snapshot goes; replaced if it is there.")],
    url: Url = BASE_URL,
) -> None:
    """Write all state of a running emulator to FILE."""
    # Written beside and renamed, so that a download that breaks off leaves a former snapshot alone.
    unfinished = file.with_name(f"{file.name}.part")
    with _talking(url, None) as client:
        try:
            client.save_snapshot(unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


@snapshot.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `snapshot save` wrote.")], url: Url = BASE_URL
) -> None:
    """Replace all state of a running emulator by what FILE holds."""
    with _talking(url, None) as client:
        found = client.restore_snapshot(file)
    typer.echo(f"{found.documents} documents, {found.counters} counters and {found.blobs} blobs restored")


@calls.command("list")
def list_calls(
    *,
    vendor: Annotated[str | None, typer.Option(help="Only its calls.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only this operation.")] = None,
    status: Annotated[str | None, typer.Option(help="404, 4xx, or `none` for a dropped connection.")] = None,
    since: Annotated[float | None, typer.Option(help="Not before; seconds, by the clock.")] = None,
    until: Annotated[float | None, typer.Option(help="Before; seconds, by the clock.")] = None,
    fault: Annotated[bool | None, typer.Option(help="Only those that went wrong on purpose.")] = None,
    warned: Annotated[bool | None, typer.Option(help="Only those with warnings.")] = None,
    warning: Annotated[str | None, typer.Option(help="Only those with this warning.")] = None,
    last: Annotated[int | None, typer.Option(help="Only the newest so many.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with those to come.")] = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """List the last calls, and what the client did wrong in them."""
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
    with _talking(url, credential) as client:
        newest = 0
        for call in client.calls(**given, **({} if last is None else {"last": last})):
            newest = call.number
            _tell_call(call)
        for call in client.follow(**given, after=newest) if follow else ():
            _tell_call(call)


@calls.command("show")
def show_call(
    number: Annotated[int, typer.Argument(help="As `calls list` counts.")], url: Url = BASE_URL
) -> None:
    """Show all of one call, as JSON."""
    with _talking(url, None) as client:
        typer.echo(client.call(number).model_dump_json(indent=1))


@calls.command("verify")
def verify_calls(
    match: Annotated[
        str, typer.Argument(help='Which calls, as JSON: {"operation": "create_reshape", "status": 200}.')
    ] = "{}",
    *,
    count: Annotated[int | None, typer.Option(help="Exactly so many; one or more, if left out.")] = None,
    at_least: Annotated[int, typer.Option(help="So many or more.")] = 0,
    at_most: Annotated[int | None, typer.Option(help="So many or fewer.")] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Say whether as many calls match as should, and what comes closest; the exit code is 1 if not."""
    import json

    with _talking(url, credential) as client:
        wanted = json.loads(match)
        if not isinstance(wanted, dict):
            raise CallFailed(f"{match} is no JSON object, such as {{}}")
        verdict = client.verify(count=count, at_least=at_least, at_most=at_most, **wanted)
    typer.echo(verdict.message)
    if not verdict.ok:
        raise typer.Exit(1)


@calls.command("warnings")
def list_warnings(url: Url = BASE_URL) -> None:
    """List every warning that a call can get."""
    with _talking(url, None) as client:
        for found in client.warnings():
            typer.echo(f"{found.code:<28} {found.when} {found.advice}")


@calls.command("har")
def export_har(
    file: Annotated[Path, typer.Argument(help="Where the archive goes.")],
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Write the last calls to FILE, for browsers' developer tools."""
    import json

    with _talking(url, credential) as client:
        file.write_text(json.dumps(client.har(), indent=1))


@calls.command("clear")
def clear_calls(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Forget the calls of a credential, or all."""
    with _talking(url, credential) as client:
        client.clear_calls()


@webhooks.command("add")
def add_endpoint(
    endpoint: Annotated[str, typer.Argument(help="Where webhooks are to go.")],
    secret: Annotated[str | None, typer.Option(help="`whsec_...`; made up, if left out.")] = None,
    timestamps: Annotated[
        Literal["machine", "clock"],
        typer.Option(help="`clock` for a receiver whose time is moved with the emulator's clock."),
    ] = "machine",
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Add an endpoint, and print its id and its secret."""
    with _talking(url, credential) as client:
        added = client.add_endpoint(endpoint, secret, timestamps)
        typer.echo(f"{added.id}  {added.secret}")


@webhooks.command("list")
def list_endpoints(credential: Credential = None, url: Url = BASE_URL) -> None:
    """List the endpoints."""
    with _talking(url, credential) as client:
        for found in client.endpoints():
            state = "" if found.disabled is None else f"  ({found.disabled})"
            typer.echo(f"{found.id}  {found.url}{state}")


@webhooks.command("remove")
def remove_endpoint(endpoint_id: str, url: Url = BASE_URL) -> None:
    """Remove an endpoint."""
    with _talking(url, None) as client:
        client.remove_endpoint(endpoint_id)


@webhooks.command("deliveries")
def list_deliveries(credential: Credential = None, url: Url = BASE_URL) -> None:
    """List what was delivered, and every attempt."""
    with _talking(url, credential) as client:
        for found in client.deliveries():
            typer.echo(f"{found.id}  {found.state}  {found.url}  {found.task}")
            for attempt in found.attempts:
                typer.echo(f"  {attempt.number}: {attempt.status or attempt.error}  {attempt.ms} ms")


@webhooks.command("plan")
def plan_webhooks(
    polls: Annotated[int | None, typer.Argument(help="So many are told that a task runs.")] = None,
    webhooks: Annotated[
        list[str] | None,
        typer.Argument(help="When each comes, such as `before_end after_end`; never, if none."),
    ] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Forget what is prescribed.")] = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Prescribe an order of polls and webhooks to a credential; without POLLS, tell what happened."""
    with _talking(url, credential) as client:
        if credential is None:
            raise CallFailed("a plan is one credential's: say whose with --credential")
        if clear:
            client.clear_plan()
        elif polls is not None:
            client.plan(polls, webhooks or ())
        else:
            found = client.planned()
            typer.echo(found.plan.model_dump_json(exclude_none=True))
            for task in found.tasks:
                typer.echo(f"{task.task}  {', '.join(task.steps)}")


@webhooks.command("replay")
def replay(delivery_id: str, url: Url = BASE_URL) -> None:
    """Send a delivery once more."""
    with _talking(url, None) as client:
        typer.echo(client.replay(delivery_id).state)


def lifetimes(
    vendor: Annotated[str | None, typer.Argument(help="Whose are set; tells all if left out.")] = None,
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=NUMBER]...", help="`url_seconds=5`, or `=none`.")
    ] = None,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the settings.")] = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Set how long URLs, files, tasks and units live."""
    given = {}
    for each in wanted or ():
        name, _, number = each.partition("=")
        try:
            given[name] = None if number == "none" else float(number)
        except ValueError as error:
            raise typer.BadParameter(f"{each}: a number comes after the name, or `none`") from error
    with _talking(url, credential) as client:
        if reset:
            found = client.reset_lifetimes()
        elif vendor is not None:
            found = client.set_lifetimes(vendor, **given)
        else:
            found = client.lifetimes()
    for whose, all_of_it in found.items():
        for name, lifetime in all_of_it.items():
            typer.echo(f"{whose:<14} {name:<20} {'none' if lifetime is None else f'{lifetime:g}'}")


def costs(
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Begin to count from nothing.")] = False,
    since_start: Annotated[
        bool, typer.Option("--since-start", help="Whatever was reset or cleared meanwhile.")
    ] = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Say what the calls would have cost at the vendors."""
    with _talking(url, credential) as client:
        if clear:
            client.clear_costs()
            return
        found = client.costs(since_start=since_start)
        for each in found.operations:
            money = ", ".join(f"{amount} {currency}" for currency, amount in each.amounts.items())
            billed = f"{each.calls} calls, {each.units} units" if each.units else f"{each.calls} calls"
            typer.echo(f"{each.vendor:<14} {each.operation:<20} {billed}  {money or 'no price is set'}")
        for currency, amount in found.totals.items():
            typer.echo(f"together {amount} {currency}")


@faults.command("add")
def add_fault(
    effect: Annotated[str, typer.Argument(help="An error, an effect with a name, or an effect as JSON.")],
    *,
    vendor: Annotated[str | None, typer.Option(help="Only its calls.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only this operation.")] = None,
    nth: Annotated[int | None, typer.Option(help="Only the nth call of a credential.")] = None,
    every: Annotated[int | None, typer.Option(help="Only each such call whose number it divides.")] = None,
    probability: Annotated[float | None, typer.Option(help="Only so many, as the seed says.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed takes other calls.")] = 0,
    body_contains: Annotated[str | None, typer.Option(help="Only calls with this text.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="NAME=REGEX: only calls with such a header; may be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="So often, and no more.")] = None,
    ttl: Annotated[float | None, typer.Option(help="For so many seconds by the clock.")] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Add a rule, and print its id."""
    import json

    match = {
        "vendor": vendor,
        "operation": operation,
        "nth": nth,
        "every": every,
        "probability": probability,
        "seed": seed,
        "body_contains": body_contains,
        "headers": dict(each.partition("=")[::2] for each in header or ()),
    }
    with _talking(url, credential) as client:
        wanted = json.loads(effect) if effect.startswith("{") else effect
        typer.echo(client.add_fault(wanted, count=count, ttl_s=ttl, **match).id)


@faults.command("list")
def list_faults(credential: Credential = None, url: Url = BASE_URL) -> None:
    """List the rules that may still fire."""
    import json

    with _talking(url, credential) as client:
        for rule in client.faults():
            typer.echo(f"{rule.id}  fired {rule.fired} of {rule.matched}  {json.dumps(rule.rule)}")


@faults.command("remove")
def remove_fault(rule_id: str, url: Url = BASE_URL) -> None:
    """Remove a rule."""
    with _talking(url, None) as client:
        client.remove_fault(rule_id)


@faults.command("clear")
def clear_faults(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Remove the rules of a credential, or all."""
    with _talking(url, credential) as client:
        client.clear_faults()


@faults.command("names")
def name_faults(url: Url = BASE_URL) -> None:
    """List every error of every vendor, and the effects that have a name."""
    with _talking(url, None) as client:
        errors = client.errors()
        for name in client.effects():
            typer.echo(f"{'any vendor':<14} {name}")
        for error in errors:
            typer.echo(f"{error.vendor:<14} {error.name:<28} {error.when}")


@faults.command("operations")
def list_operations(url: Url = BASE_URL) -> None:
    """List the operations of every vendor, as rules name them."""
    with _talking(url, None) as client:
        for vendor, found in client.operations().items():
            for name in found.operations:
                is_task, is_picture = name in found.creating_tasks, name in found.taking_pictures
                takes = ["creates a task"] * is_task + ["takes a picture"] * is_picture
                typer.echo(f"{vendor:<14} {name:<20} {', '.join(takes)}".rstrip())


@clock.command("now")
def read_clock(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Tell the time."""
    with _talking(url, credential) as client:
        _tell(client.clock())


@clock.command()
def freeze(
    at: Annotated[str | None, typer.Argument(help="ISO 8601; now, if left out.")] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Stop the clock."""
    with _talking(url, credential) as client:
        _tell(client.freeze(None if at is None else _moment(at)))


@clock.command()
def run(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Let the clock run on from where it is."""
    with _talking(url, credential) as client:
        _tell(client.run())


@clock.command()
def advance(
    seconds: Annotated[float, typer.Argument(min=0)], credential: Credential = None, url: Url = BASE_URL
) -> None:
    """Move the clock on."""
    with _talking(url, credential) as client:
        _tell(client.advance(seconds))


@clock.command()
def travel(
    to: Annotated[str, typer.Argument(help="ISO 8601.")], credential: Credential = None, url: Url = BASE_URL
) -> None:
    """Set the clock."""
    with _talking(url, credential) as client:
        _tell(client.travel(_moment(to)))


@clock.command("reset")
def reset_clock(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Go back to everybody's clock, or to the settings'."""
    with _talking(url, credential) as client:
        _tell(client.reset_clock())


@tasks.command("list")
def list_tasks(credential: Credential = None, url: Url = BASE_URL) -> None:
    """List the tasks as they really stand."""
    with _talking(url, credential) as client:
        for task in client.tasks():
            typer.echo(f"{task.id}  {task.kind}  {task.state}  {task.error or ''}".rstrip())


@tasks.command("show")
def show_task(task_id: str, url: Url = BASE_URL) -> None:
    """Show a task as it really stands, as JSON."""
    with _talking(url, None) as client:
        typer.echo(client.task(task_id).model_dump_json(indent=1))


@tasks.command("finish")
def finish_task(
    task_id: str,
    error: Annotated[str | None, typer.Option(help="With this error, by name.")] = None,
    url: Url = BASE_URL,
) -> None:
    """End a task, as soon as its work is done."""
    with _talking(url, None) as client:
        typer.echo(client.finish_task(task_id, error).state)


@tasks.command("progression")
def set_progression(
    mode: Annotated[
        str | None,
        typer.Argument(
            help="immediate, after_polls, after_seconds, manual, real, or `reset`; tells it if left out."
        ),
    ] = None,
    number: Annotated[float | None, typer.Argument(help="Of polls or of seconds.")] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Set when new tasks are over, as their clients see it."""
    with _talking(url, credential) as client:
        if mode is None:
            found = client.progression()
        elif mode == "reset":
            found = client.reset_progression()
        else:
            name = {"after_polls": "polls", "after_seconds": "seconds"}.get(mode)
            details = {} if name is None or number is None else {name: number}
            found = client.set_progression(mode, **details)
        typer.echo(found.model_dump_json(exclude_none=True))


@scenario.command("list")
def list_scenarios() -> None:
    """List the scenarios that come along."""
    from emulator.control.scenario import shipped_scenarios

    for found in shipped_scenarios().values():
        typer.echo(f"{found.name:<16} {found.description}")


@scenario.command("show")
def show_scenario(name: str, url: Url = BASE_URL) -> None:
    """Show a scenario that comes along, as JSON."""
    with _talking(url, None) as client:
        typer.echo(client.scenario(name).model_dump_json(indent=1, exclude_defaults=True))


@scenario.command("load")
def load_scenario(
    name: Annotated[str, typer.Argument(help="One that comes along, or a file.")],
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Load a scenario."""
    from emulator.control.scenario import find_scenario

    with _talking(url, credential) as client:
        loaded = client.load_scenario(find_scenario(name))
        typer.echo(f"{loaded.name}: {len(loaded.rules)} rules")


@scenario.command("unload")
def unload_scenario(name: str, credential: Credential = None, url: Url = BASE_URL) -> None:
    """Remove the rules that a scenario added."""
    with _talking(url, credential) as client:
        client.unload_scenario(name)


@credentials.command("list")
def list_credentials(url: Url = BASE_URL) -> None:
    """List the credentials that are listed, and what they are."""
    with _talking(url, None) as client:
        for found in client.credentials():
            typer.echo(f"{found.state:<14} {found.credential}")


@credentials.command("set")
def set_credential(
    listed: Annotated[str, typer.Argument(metavar="CREDENTIAL")],
    state: Annotated[
        str, typer.Argument(help="valid, revoked, expired, restricted, no_balance or other_region.")
    ],
    url: Url = BASE_URL,
) -> None:
    """Say what a credential is."""
    from emulator.web.credentials import CredentialState

    with _talking(url, None) as client:
        if state not in tuple(CredentialState):
            raise CallFailed(f"{state} is none of {', '.join(CredentialState)}")
        client.list_credential(listed, CredentialState(state))


@credentials.command("remove")
def remove_credential(
    listed: Annotated[str, typer.Argument(metavar="CREDENTIAL")], url: Url = BASE_URL
) -> None:
    """Take back what was said of a credential while the emulator ran."""
    with _talking(url, None) as client:
        client.unlist_credential(listed)


def health(url: Url = BASE_URL) -> None:
    """Say which emulator answers, and what runs where."""
    with _talking(url, None) as client:
        typer.echo(client.health().model_dump_json(indent=1))


def ready(
    *,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
    url: Url = BASE_URL,
) -> None:
    """Wait until an emulator is ready; the exit code is 1 if it takes longer."""
    with _talking(url, None) as client:
        client.wait_until_ready(timeout)


def openapi(
    vendor: Annotated[str, typer.Argument(help="As `health` names it.")], url: Url = BASE_URL
) -> None:
    """Print a vendor's API as it is emulated, as an OpenAPI document."""
    import json

    with _talking(url, None) as client:
        typer.echo(json.dumps(client.openapi(vendor), indent=1))


def reset(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Forget what a credential owns, or everything."""
    with _talking(url, credential) as client:
        client.reset()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallFailed(f"{text} is no moment of ISO 8601, such as 2026-01-01T00:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tell_call(call: RecordedCall) -> None:
    answered = "dropped" if call.status is None else str(call.status)
    fault = "" if call.fault is None else f"  [{call.fault['source']}]"
    took = f"{call.duration_ms:8.1f} ms"
    typer.echo(f"{call.number:>6}  {answered:<7}  {took}  {call.method} {call.path}{fault}")
    for warning in call.warnings:
        typer.echo(f"{'':>6}  {warning['code']}: {warning['detail']}")


def _tell(reading: ClockReading) -> None:
    typer.echo(f"{reading.iso}{' (it stands)' if reading.frozen else ''}")


@contextmanager
def _talking(url: str, credential: str | None) -> Iterator[Client]:
    """Yield a client of a running emulator, and tell the user what went wrong."""
    from pydantic import ValidationError

    from emulator.control.client import Client, ControlError
    from emulator.control.scenario import ScenarioUnreadable

    with _told(url):
        try:
            with Client(url, credential) as client:
                yield client
        except (ControlError, ScenarioUnreadable) as error:
            raise CallFailed(str(error)) from error
        except ValidationError as error:
            reasons = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise CallFailed("; ".join(reasons)) from error
        except ValueError as error:
            raise CallFailed(str(error)) from error


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Tell the user what went wrong, without a traceback."""
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        typer.echo(f"face-emulator: no emulator answers at {url} ({error})", err=True)
        raise typer.Exit(1) from error
    except (CallFailed, OSError) as error:
        typer.echo(f"face-emulator: {error}", err=True)
        raise typer.Exit(1) from error
