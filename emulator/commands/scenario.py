"""``face-emulator scenario``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, CredentialFilter, Url, connected
from emulator.commands.failure import stopped
from emulator.commands.output import AlwaysJson, AsJson, print_list, print_one

group = typer.Typer(no_args_is_help=True, help="Load scenarios: sets of fault rules and settings.")


@group.command("list")
def list_scenarios(*, as_json: AsJson = False) -> None:
    """List the built-in scenarios."""
    from emulator.control.scenario import ScenarioUnreadable, shipped_scenarios
    from emulator.settings import VendorPackages
    from emulator.web.vendor import discover_vendors

    try:
        vendors = discover_vendors(VendorPackages().vendor_packages)
        shipped = shipped_scenarios(vendors)
    except (ScenarioUnreadable, ValueError) as error:
        raise stopped(error) from error
    print_list(shipped.values(), lambda found: f"{found.name:<16} {found.description}", as_json=as_json)


@group.command("show")
def show_scenario(
    name: Annotated[str, typer.Argument(help="Name of a built-in scenario.")],
    url: Url = BASE_URL,
    *,
    as_json: AlwaysJson = False,  # noqa: ARG001 - see its help
) -> None:
    """Show a built-in scenario, as JSON."""
    with connected(url) as client:
        typer.echo(client.scenario(name).model_dump_json(indent=1, exclude_defaults=True))


@group.command("load")
def load_scenario(
    name: Annotated[
        str, typer.Argument(help="Name of a built-in scenario, or path of a `.toml` or `.yaml` file.")
    ],
    credential: Credential = None,
    url: Url = BASE_URL,
    *,
    as_json: AsJson = False,
) -> None:
    """Load a scenario.

    It adds fault rules and sets the progression, lifetimes and credential states of the scenario.
    """
    from emulator.control.scenario import SUFFIXES, read_scenario

    with connected(url, credential) as client:
        # The server finds a built-in scenario by name, because it may have other vendors than this process.
        loaded = client.load_scenario(read_scenario(Path(name)) if name.endswith(SUFFIXES) else name)
        print_one(loaded, lambda found: f"{found.name}: {len(found.rules)} rules", as_json=as_json)


@group.command("unload")
def unload_scenario(
    name: Annotated[str, typer.Argument(help="Name of the scenario.")],
    credential: CredentialFilter = None,
    url: Url = BASE_URL,
) -> None:
    """Remove the rules of a scenario. The settings that it changed are kept."""
    with connected(url, credential) as client:
        client.unload_scenario(name)
