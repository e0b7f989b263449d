"""``face-emulator clock``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from emulator.commands.connection import connected, credential_option, url_option
from emulator.commands.failure import CallFailed
from emulator.commands.group import CommandGroup
from emulator.commands.output import json_option, print_json

if TYPE_CHECKING:
    from face_api_emulator.client.models import ClockReading

group = CommandGroup(
    help="Read, freeze and move the clock. It decides when URLs, files and tasks expire.",
)


@group.command("now")
@click.option("--credential", "-c", help="Credential to read; omit it for the default clock.")
@url_option
@json_option
def read_clock(*, credential: str | None, url: str, as_json: bool) -> None:
    """Print the time of the clock, and whether it is frozen."""
    with connected(url, credential) as client:
        _print(client.clock(), as_json=as_json)


@group.command()
@click.argument(
    "at", required=False, help="ISO 8601 date and time, UTC by default; omit it for the current time."
)
@credential_option
@url_option
@json_option
def freeze(*, at: str | None, credential: str | None, url: str, as_json: bool) -> None:
    """Freeze the clock at its current time, or at a given time."""
    with connected(url, credential) as client:
        _print(client.freeze(None if at is None else _moment(at)), as_json=as_json)


@group.command()
@credential_option
@url_option
@json_option
def run(*, credential: str | None, url: str, as_json: bool) -> None:
    """Start a frozen clock again, from the time that it shows."""
    with connected(url, credential) as client:
        _print(client.run(), as_json=as_json)


@group.command()
@click.argument("seconds", type=click.FloatRange(min=0), help="Seconds to move the clock forward.")
@credential_option
@url_option
@json_option
def advance(*, seconds: float, credential: str | None, url: str, as_json: bool) -> None:
    """Move the clock forward by a number of seconds."""
    with connected(url, credential) as client:
        _print(client.advance(seconds), as_json=as_json)


@group.command()
@click.argument("to", help="ISO 8601 date and time, UTC by default.")
@credential_option
@url_option
@json_option
def travel(*, to: str, credential: str | None, url: str, as_json: bool) -> None:
    """Set the clock to a time.

    A frozen clock stays frozen, and a running clock keeps running.
    """
    with connected(url, credential) as client:
        _print(client.travel(_moment(to)), as_json=as_json)


@group.command("reset")
@credential_option
@url_option
@json_option
def reset_clock(*, credential: str | None, url: str, as_json: bool) -> None:
    """Make a credential use the default clock again. Without --credential, reset the default clock."""
    with connected(url, credential) as client:
        _print(client.reset_clock(), as_json=as_json)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CallFailed(
            f"{text} is not an ISO 8601 date and time; write it as in 2026-01-01T00:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print(reading: ClockReading, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(reading))
        return
    click.echo(f"{reading.iso}{' (frozen)' if reading.frozen else ''}")
