"""Commands for the whole emulator: health, readiness, metrics, OpenAPI, reset, lifetimes and costs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from emulator.commands.connection import (
    connected,
    credential_filter_option,
    credential_option,
    url_option,
)
from emulator.commands.failure import failed
from emulator.commands.output import always_json_option, json_option, print_json, print_list


@click.command()
@url_option
@always_json_option
def health(*, url: str) -> None:
    """Show the version and the vendors of the emulator, and where it keeps its state, as JSON."""
    with connected(url) as client:
        print_json(asdict(client.health()))


@click.command()
@url_option
def metrics(*, url: str) -> None:
    """Print the metrics in the text format of Prometheus."""
    with connected(url) as client:
        click.echo(client.metrics(), nl=False)


NOT_READY = 124
"""Exit code of ``wait`` at its timeout. The command ``timeout`` uses the same code."""


@click.command()
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=60.0, help="Longest time to wait, in seconds."
)
@url_option
@json_option
def wait(*, timeout: float, url: str, as_json: bool) -> None:
    """Wait until the emulator is ready.

    The exit code is 124 if the emulator is not ready before the timeout. On a terminal, a line shows the
    seconds so far.
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
    click.echo(f"\rwaiting for the emulator, {seconds:.0f} s", nl=False, err=True)


@click.command()
@click.argument("vendor", help="Name of a vendor, such as faceplusplus.")
@url_option
@always_json_option
def openapi(*, vendor: str, url: str) -> None:
    """Print the OpenAPI document of a vendor's emulated API, as JSON."""
    with connected(url) as client:
        click.echo(json.dumps(client.openapi(vendor), indent=1))


@click.command()
@click.argument("vendor", required=False, help="Name of a vendor, such as faceplusplus; omit it for all.")
@click.option(
    "--mark", type=click.Choice(["CONFIRMED", "OBSERVED", "GUESS"]), help="Only facts with this mark."
)
@json_option
@url_option
def ledger(*, vendor: str | None, mark: str | None, as_json: bool, url: str) -> None:
    """List what the emulator copies from each API, with the source of each fact and how well it is known."""
    from face_api_emulator.client.models import Mark

    with connected(url) as client:
        print_list(
            client.ledger(vendor, None if mark is None else Mark(mark)),
            lambda fact: f"{fact.mark:<9}  {fact.vendor}, {fact.section}: {fact.fact} ({fact.source})",
            as_json=as_json,
        )


@click.command()
@credential_filter_option
@url_option
def reset(*, credential: str | None, url: str) -> None:
    """Delete everything stored for a credential, or everything in the emulator.

    This includes files, tasks, units, fault rules, webhooks, costs and calls. The clock, the progression, the
    lifetimes and the states of credentials are reset to their defaults.
    """
    with connected(url, credential) as client:
        client.reset()


@click.command()
@click.argument("vendor", required=False, help="Vendor of the lifetimes to set; omit it to list them all.")
@click.argument(
    "wanted",
    nargs=-1,
    metavar="[NAME=NUMBER]...",
    help="Lifetimes to set, such as url_seconds=5; `none` disables expiry.",
)
@click.option(
    "--reset",
    is_flag=True,
    help=(
        "Use the default lifetimes again. Without --credential, reset the defaults to those of the "
        "environment variables."
    ),
)
@json_option
@credential_option
@url_option
def lifetimes(
    *,
    vendor: str | None,
    wanted: tuple[str, ...],
    reset: bool,
    as_json: bool,
    credential: str | None,
    url: str,
) -> None:
    """Set or list lifetimes, such as those of URLs, files, tasks and units.

    The name of a lifetime ends with its unit of time, such as url_seconds or file_days.
    """
    given = {}
    for each in wanted:
        name, _, number = each.partition("=")
        try:
            given[name] = None if number == "none" else float(number)
        except ValueError as error:
            raise click.BadParameter(f"{each}: write NAME=NUMBER or NAME=none") from error
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
            click.echo(f"{name_of_vendor:<14} {name:<20} {'none' if lifetime is None else f'{lifetime:g}'}")


@click.command()
@click.option("--forget", is_flag=True, help="Reset the costs to zero.")
@click.option(
    "--since-start",
    is_flag=True,
    help="Count all costs since the start of the server, including those before a reset.",
)
@json_option
@credential_filter_option
@url_option
def costs(*, forget: bool, since_start: bool, as_json: bool, credential: str | None, url: str) -> None:
    """Show what the calls would cost at the real vendors."""
    with connected(url, credential) as client:
        if forget:
            client.forget_costs()
            return
        found = client.costs(since_start=since_start)
    if as_json:
        print_json(asdict(found))
        return
    for each in found.operations:
        money = ", ".join(f"{amount} {currency}" for currency, amount in each.amounts.items())
        billed = f"{each.calls} calls, {each.units} units" if each.units else f"{each.calls} calls"
        click.echo(f"{each.vendor:<14} {each.operation:<20} {billed}  {money or 'no price is set'}")
    for currency, amount in found.totals.items():
        click.echo(f"total {amount} {currency}")
