"""``face-emulator faults``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from emulator.commands.connection import (
    BASE_URL,
    CredentialFilter,
    CredentialMatch,
    Url,
    connected,
)
from emulator.commands.output import AsJson, print_json, print_list, print_one

group = typer.Typer(no_args_is_help=True, help="Manage fault rules, which make calls fail.")


@group.command("add")
def add_fault(
    effect: Annotated[
        str, typer.Argument(help="Name of an error or an effect, from `faults names`, or an effect as JSON.")
    ],
    *,
    vendor: Annotated[str | None, typer.Option(help="Only calls of this vendor's API.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only calls of this operation.")] = None,
    nth: Annotated[int | None, typer.Option(help="Only the nth matching call of each credential.")] = None,
    every: Annotated[
        int | None, typer.Option(help="Only every nth matching call of each credential.")
    ] = None,
    probability: Annotated[
        float | None,
        typer.Option(help="Probability, 0 to 1, that the rule fires for a matching call; see --seed."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed for --probability: the same seed selects the same calls.")
    ] = 0,
    body_contains: Annotated[
        str | None, typer.Option(help="Only calls with this text in the request body.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="NAME=REGEX: only calls with a matching request header; repeatable."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Number of times that the rule fires before it is removed.")
    ] = None,
    ttl: Annotated[
        float | None, typer.Option(help="Seconds until the rule expires, by the emulator's clock.")
    ] = None,
    as_json: AsJson = False,
    credential: CredentialMatch = None,
    url: Url = BASE_URL,
) -> None:
    """Add a fault rule, and print its id.

    Without options, the rule fires for every call where its effect is possible.
    """
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
    with connected(url, credential) as client:
        wanted = json.loads(effect) if effect.startswith("{") else effect
        added = client.add_fault(wanted, count=count, ttl_s=ttl, **match)
        print_one(added, lambda rule: rule.id, as_json=as_json)


@group.command("list")
def list_faults(credential: CredentialFilter = None, url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List the active rules, how often each fired, and how many calls it matched."""
    with connected(url, credential) as client:
        print_list(
            client.faults(),
            lambda rule: f"{rule.id}  fired {rule.fired} of {rule.matched}  {json.dumps(rule.rule)}",
            as_json=as_json,
        )


@group.command("remove")
def remove_fault(
    rule_id: Annotated[str, typer.Argument(help="Id of the rule, from `faults list`.")], url: Url = BASE_URL
) -> None:
    """Remove a rule."""
    with connected(url) as client:
        client.remove_fault(rule_id)


@group.command("forget")
def forget_faults(credential: CredentialFilter = None, url: Url = BASE_URL) -> None:
    """Remove the rules of a credential, or all rules."""
    with connected(url, credential) as client:
        client.forget_faults()


@group.command("names")
def list_names(url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List the names of the effects and errors that a rule can use."""
    with connected(url) as client:
        errors, effects = client.errors(), client.effects()
    if as_json:
        print_json({"effects": list(effects), "errors": [error.model_dump(mode="json") for error in errors]})
        return
    for name in effects:
        typer.echo(f"{'any vendor':<14} {name}")
    for error in errors:
        typer.echo(f"{error.vendor:<14} {error.name:<28} {error.when}")


@group.command("operations")
def list_operations(url: Url = BASE_URL, *, as_json: AsJson = False) -> None:
    """List the names of the operations of all vendors, for the option --operation."""
    with connected(url) as client:
        operations = client.operations()
    if as_json:
        print_json({vendor: found.model_dump(mode="json") for vendor, found in operations.items()})
        return
    for vendor, found in operations.items():
        for name in found.operations:
            is_task, is_picture = name in found.creating_tasks, name in found.taking_pictures
            takes = ["creates a task"] * is_task + ["receives a picture"] * is_picture
            typer.echo(f"{vendor:<14} {name:<20} {', '.join(takes)}".rstrip())
