"""``face-emulator faults``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from emulator.commands.connection import (
    connected,
    credential_filter_option,
    credential_match_option,
    url_option,
)
from emulator.commands.group import CommandGroup
from emulator.commands.output import json_option, print_json, print_list, print_one

group = CommandGroup(help="Manage fault rules, which make calls fail.")


@group.command("add")
@click.argument("effect", help="Name of an error or an effect, from `faults names`, or an effect as JSON.")
@click.option("--vendor", help="Only calls of this vendor's API.")
@click.option("--operation", help="Only calls of this operation.")
@click.option("--nth", type=int, help="Only the nth matching call of each credential.")
@click.option("--every", type=int, help="Only every nth matching call of each credential.")
@click.option(
    "--probability",
    type=float,
    help="Probability, 0 to 1, that the rule fires for a matching call; see --seed.",
)
@click.option(
    "--seed", type=int, default=0, help="Seed for --probability: the same seed selects the same calls."
)
@click.option("--body-contains", help="Only calls with this text in the request body.")
@click.option(
    "--header", multiple=True, help="NAME=REGEX: only calls with a request header that matches; repeatable."
)
@click.option("--count", type=int, help="Number of times that the rule fires before it is removed.")
@click.option("--ttl", type=float, help="Seconds until the rule expires, by the emulator's clock.")
@json_option
@credential_match_option
@url_option
def add_fault(
    *,
    effect: str,
    header: tuple[str, ...],
    count: int | None,
    ttl: float | None,
    as_json: bool,
    credential: str | None,
    url: str,
    **match: Any,
) -> None:
    """Add a fault rule, and print its id.

    Without options, the rule fires for every call that the effect can change.
    """
    match["headers"] = dict(each.partition("=")[::2] for each in header)
    with connected(url, credential) as client:
        wanted = json.loads(effect) if effect.startswith("{") else effect
        added = client.add_fault(wanted, count=count, ttl_s=ttl, **match)
        print_one(added, lambda rule: rule.id, as_json=as_json)


@group.command("list")
@credential_filter_option
@url_option
@json_option
def list_faults(*, credential: str | None, url: str, as_json: bool) -> None:
    """List the active rules, how often each fired, and how many calls it matched."""
    with connected(url, credential) as client:
        print_list(
            client.faults(),
            lambda rule: f"{rule.id}  fired {rule.fired} of {rule.matched}  {json.dumps(rule.rule)}",
            as_json=as_json,
        )


@group.command("remove")
@click.argument("rule_id", help="Id of the rule, from `faults list`.")
@url_option
def remove_fault(*, rule_id: str, url: str) -> None:
    """Remove a rule."""
    with connected(url) as client:
        client.remove_fault(rule_id)


@group.command("forget")
@credential_filter_option
@url_option
def forget_faults(*, credential: str | None, url: str) -> None:
    """Remove the rules of a credential, or all rules."""
    with connected(url, credential) as client:
        client.forget_faults()


@group.command("names")
@url_option
@json_option
def list_names(*, url: str, as_json: bool) -> None:
    """List the names of the effects and errors that a rule can use."""
    with connected(url) as client:
        errors, effects = client.errors(), client.effects()
    if as_json:
        print_json({"effects": list(effects), "errors": [asdict(error) for error in errors]})
        return
    for name in effects:
        click.echo(f"{'any vendor':<14} {name}")
    for error in errors:
        click.echo(f"{error.vendor:<14} {error.name:<28} {error.when}")


@group.command("operations")
@url_option
@json_option
def list_operations(*, url: str, as_json: bool) -> None:
    """List the operations of all vendors. Their names are the values of the option --operation."""
    with connected(url) as client:
        operations = client.operations()
    if as_json:
        print_json({vendor: asdict(found) for vendor, found in operations.items()})
        return
    for vendor, found in operations.items():
        for name in found.operations:
            is_task, is_picture = name in found.creating_tasks, name in found.taking_pictures
            takes = ["creates a task"] * is_task + ["receives a picture"] * is_picture
            click.echo(f"{vendor:<14} {name:<20} {', '.join(takes)}".rstrip())
