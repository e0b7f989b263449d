"""Commands about the whole emulator: health, reset, lifetimes, costs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, Url, connected


def health(url: Url = BASE_URL) -> None:
    """Show which emulator answers, and what runs where."""
    with connected(url) as client:
        typer.echo(client.health().model_dump_json(indent=1))


def ready(
    *,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 60.0,
    url: Url = BASE_URL,
) -> None:
    """Wait until an emulator is ready; the exit code is 1 if it takes longer."""
    with connected(url) as client:
        client.wait_until_ready(timeout)


def openapi(
    vendor: Annotated[str, typer.Argument(help="Name of a vendor, as in `health`.")], url: Url = BASE_URL
) -> None:
    """Print a vendor's API as it is emulated, as an OpenAPI document."""
    with connected(url) as client:
        typer.echo(json.dumps(client.openapi(vendor), indent=1))


def reset(credential: Credential = None, url: Url = BASE_URL) -> None:
    """Forget what a credential owns, or everything."""
    with connected(url, credential) as client:
        client.reset()


def lifetimes(
    vendor: Annotated[str | None, typer.Argument(help="Vendor to set; omit it to list all.")] = None,
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
            raise typer.BadParameter(f"{each}: give a number after the name, or `none`") from error
    with connected(url, credential) as client:
        if reset:
            found = client.reset_lifetimes()
        elif vendor is not None:
            found = client.set_lifetimes(vendor, **given)
        else:
            found = client.lifetimes()
    for name_of_vendor, settings in found.items():
        for name, lifetime in settings.items():
            typer.echo(f"{name_of_vendor:<14} {name:<20} {'none' if lifetime is None else f'{lifetime:g}'}")


def costs(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the costs, and count from zero.")] = False,
    since_start: Annotated[
        bool, typer.Option("--since-start", help="Count since the server started, forgotten costs too.")
    ] = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Show what the calls would have cost at the vendors."""
    with connected(url, credential) as client:
        if forget:
            client.forget_costs()
            return
        found = client.costs(since_start=since_start)
    for each in found.operations:
        money = ", ".join(f"{amount} {currency}" for currency, amount in each.amounts.items())
        billed = f"{each.calls} calls, {each.units} units" if each.units else f"{each.calls} calls"
        typer.echo(f"{each.vendor:<14} {each.operation:<20} {billed}  {money or 'no price is set'}")
    for currency, amount in found.totals.items():
        typer.echo(f"together {amount} {currency}")
