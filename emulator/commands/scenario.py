"""``face-emulator scenario``."""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.commands.connection import BASE_URL, Credential, Url, connected

group = typer.Typer(no_args_is_help=True, help="Load sets of faults and settings.")


@group.command("list")
def list_scenarios() -> None:
    """List the built-in scenarios."""
    from emulator.control.scenario import shipped_scenarios

    for found in shipped_scenarios().values():
        typer.echo(f"{found.name:<16} {found.description}")


@group.command("show")
def show_scenario(name: str, url: Url = BASE_URL) -> None:
    """Show a built-in scenario, as JSON."""
    with connected(url) as client:
        typer.echo(client.scenario(name).model_dump_json(indent=1, exclude_defaults=True))


@group.command("load")
def load_scenario(
    name: Annotated[str, typer.Argument(help="Name of a built-in scenario, or a file.")],
    credential: Credential = None,
    url: Url = BASE_URL,
) -> None:
    """Load a scenario."""
    from emulator.control.scenario import find_scenario

    with connected(url, credential) as client:
        loaded = client.load_scenario(find_scenario(name))
        typer.echo(f"{loaded.name}: {len(loaded.rules)} rules")


@group.command("unload")
def unload_scenario(name: str, credential: Credential = None, url: Url = BASE_URL) -> None:
    """Remove the rules that a scenario added."""
    with connected(url, credential) as client:
        client.unload_scenario(name)
