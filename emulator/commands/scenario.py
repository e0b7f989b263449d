"""``face-emulator scenario``."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.commands.connection import (
    connected,
    credential_filter_option,
    url_option,
)
from emulator.commands.group import CommandGroup
from emulator.commands.output import always_json_option, json_option, print_json, print_list, print_one

FILES = (".toml", ".yaml", ".yml")
"""Suffixes of files with a scenario."""

group = CommandGroup(help="Load scenarios: sets of fault rules and settings.")


@group.command("list")
@url_option
@json_option
def list_scenarios(*, url: str, as_json: bool) -> None:
    """List the built-in scenarios."""
    with connected(url) as client:
        found = client.scenarios()
    print_list(found, lambda each: f"{each.name:<16} {each.description}", as_json=as_json)


@group.command("show")
@click.argument("name", help="Name of a built-in scenario.")
@url_option
@always_json_option
def show_scenario(*, name: str, url: str) -> None:
    """Show a built-in scenario, as JSON."""
    with connected(url) as client:
        print_json(client.scenario(name))


@group.command("load")
@click.argument("name", help="Name of a built-in scenario, or the path of a `.toml` or `.yaml` file.")
@click.option(
    "--credential",
    "-c",
    help="Load the scenario for this credential only; omit it to load it for all credentials.",
)
@url_option
@json_option
def load_scenario(*, name: str, credential: str | None, url: str, as_json: bool) -> None:
    """Load a scenario.

    The command adds the scenario's fault rules, and sets the progression, lifetimes and states of
    credentials that the scenario contains.
    """
    with connected(url, credential) as client:
        # The server looks up built-in scenarios, because its vendors may differ from those of this process.
        loaded = client.load_scenario(Path(name) if name.endswith(FILES) else name)
        print_one(loaded, lambda found: f"{found.name}: {len(found.rules)} rules", as_json=as_json)


@group.command("unload")
@click.argument("name", help="Name of the scenario.")
@credential_filter_option
@url_option
def unload_scenario(*, name: str, credential: str | None, url: str) -> None:
    """Remove the rules of a scenario. The settings that the scenario changed are kept."""
    with connected(url, credential) as client:
        client.unload_scenario(name)
