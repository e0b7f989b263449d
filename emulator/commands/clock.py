"""``face-emulator clock``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, Url, connected
from emulator.commands.failure import CallFailed
from emulator.commands.output import AsJson, print_json

if TYPE_CHECKING:
    from emulator.control.clock import ClockReading

group = typer.Typer(
    no_args_is_help=True,
    help="Read, freeze and move the clock. It decides when URLs, files and tasks expire.",
)


@group.command("now")
def read_clock(
    credential: Annotated[
        str | None,
        typer.Option(
            "--credential", "-c", help="Print the clock of this credential; omit it for the default."
        ),
    ] = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the time of the clock, and whether it is frozen."""
    with connected(url, credential) as client:
        _print(client.clock(), as_json=as_json)


@group.command()
def freeze(
    at: Annotated[
        str | None,
        typer.Argument(help="ISO 8601 date and time, UTC by default; omit it for the current time."),
    ] = None,
    credential: Credential = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Freeze the clock at the current time, or at another time."""
    with connected(url, credential) as client:
        _print(client.freeze(None if at is None else _moment(at)), as_json=as_json)


@group.command()
def run(credential: Credential = None, url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """Let a frozen clock run again, from the time at which it is frozen."""
    with connected(url, credential) as client:
        _print(client.run(), as_json=as_json)


@group.command()
def advance(
    seconds: Annotated[float, typer.Argument(help="Seconds to move the clock forward.", min=0)],
    credential: Credential = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Move the clock forward by a number of seconds."""
    with connected(url, credential) as client:
        _print(client.advance(seconds), as_json=as_json)


@group.command()
def travel(
    to: Annotated[str, typer.Argument(help="ISO 8601 date and time, UTC by default.")],
    credential: Credential = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Set the clock to a time.

    A frozen clock stays frozen, and a running clock keeps running.
    """
    with connected(url, credential) as client:
        _print(client.travel(_moment(to)), as_json=as_json)


@group.command("reset")
def reset_clock(credential: Credential = None, url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """Use the default clock again. Without --credential, reset the default clock to the settings."""
    with connected(url, credential) as client:
        _print(client.reset_clock(), as_json=as_json)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallFailed(
            f"{text} is not an ISO 8601 date and time; write it like 2026-01-01T00:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print(reading: ClockReading, *, as_json: bool) -> None:
    if as_json:
        print_json(reading.model_dump(mode="json"))
        return
    typer.echo(f"{reading.iso}{' (frozen)' if reading.frozen else ''}")
