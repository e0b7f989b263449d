"""Commands for the whole emulator: health, readiness, OpenAPI, reset, lifetimes and costs."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, CredentialFilter, Url, connected
from emulator.commands.failure import failed
from emulator.commands.output import AlwaysJson, AsJson, print_json


def health(url: Url = BASE_URL, *, as_json: AlwaysJson = False) -> None:  # noqa: ARG001 - see its help
    """Show the version, the vendors and the storage of the emulator, as JSON."""
    with connected(url) as client:
        typer.echo(client.health().model_dump_json(indent=1))


NOT_READY = 124
"""Exit code of ``wait`` at its timeout, as that of the command ``timeout``."""


def wait(
    *,
    timeout: Annotated[float, typer.Option(help="Longest time to wait, in seconds.", min=0)] = 60.0,
    as_json: AsJson = False,
    url: Url = BASE_URL,
) -> None:
    """Wait until the emulator is ready.

    The exit code is 124 if it is not ready before the timeout. A line on a terminal shows the progress.
    """
    with connected(url) as client:
        try:
            client.wait_until_ready(timeout, on_wait=_show_waiting if sys.stderr.isatty() else None)
        except TimeoutError as error:
            if as_json:
                print_json({"ready": False})
            raise failed(str(error), code=NOT_READY) from error
    if as_json:
        print_json({"ready": True})


def _show_waiting(seconds: float) -> None:
    typer.echo(f"\rwaiting for the emulator, {seconds:.0f} s", nl=False, err=True)


def openapi(
    vendor: Annotated[str, typer.Argument(help="Name of a vendor, such as faceplusplus.")],
    url: Url = BASE_URL,
    *,
    as_json: AlwaysJson = False,  # noqa: ARG001 - see its help
) -> None:
    """Print the OpenAPI document of a vendor's emulated API, as JSON."""
    with connected(url) as client:
        typer.echo(json.dumps(client.openapi(vendor), indent=1))


def reset(credential: CredentialFilter = None, url: Url = BASE_URL) -> None:
    """Delete everything stored for a credential, or everything in the emulator.

    This includes files, tasks, units, fault rules, webhooks, costs and calls. The clock, the progression, the
    lifetimes and the states of credentials are reset, too.
    """
    with connected(url, credential) as client:
        client.reset()


def lifetimes(
    vendor: Annotated[
        str | None, typer.Argument(help="Vendor to set lifetimes of; omit it to list all lifetimes.")
    ] = None,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=NUMBER]...",
            help="Lifetimes to set, such as url_seconds=5; `none` disables expiry.",
        ),
    ] = None,
    *,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset",
            help="Use the default lifetimes again. Without --credential, reset the defaults to the settings.",
        ),
    ] = False,
    as_json: AsJson = False,
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Set or list lifetimes, such as those of URLs, files, tasks and units.

    The name of a lifetime ends in its unit, such as url_seconds or file_days.
    """
    given = {}
    for each in wanted or ():
        name, _, number = each.partition("=")
        try:
            given[name] = None if number == "none" else float(number)
        except ValueError as error:
            raise typer.BadParameter(f"{each}: write NAME=NUMBER or NAME=none") from error
    with connected(url, credential) as client:
        if reset:
            found = client.reset_lifetimes()
        elif vendor is not None:
            found = client.set_lifetimes(vendor, **given)
        else:
            found = client.lifetimes()
    if as_json:
        print_json(found)
        return
    for name_of_vendor, settings in found.items():
        for name, lifetime in settings.items():
            typer.echo(f"{name_of_vendor:<14} {name:<20} {'none' if lifetime is None else f'{lifetime:g}'}")


def costs(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Reset the costs to zero.")] = False,
    since_start: Annotated[
        bool,
        typer.Option(
            "--since-start", help="Count all costs since the start of the server, and ignore resets."
        ),
    ] = False,
    as_json: AsJson = False,
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """Show what the calls would cost at the real vendors."""
    with connected(url, credential) as client:
        if forget:
            client.forget_costs()
            return
        found = client.costs(since_start=since_start)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for each in found.operations:
        money = ", ".join(f"{amount} {currency}" for currency, amount in each.amounts.items())
        billed = f"{each.calls} calls, {each.units} units" if each.units else f"{each.calls} calls"
        typer.echo(f"{each.vendor:<14} {each.operation:<20} {billed}  {money or 'no price is set'}")
    for currency, amount in found.totals.items():
        typer.echo(f"total {amount} {currency}")
