"""Output of commands, as text or as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Model = TypeVar("Model", bound="DataclassInstance")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

always_json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    help="Accepted for consistency with other commands; the output is always JSON.",
)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show ``what`` on stderr while the block runs, if stderr is a terminal."""
    terminal = sys.stderr
    is_shown = terminal.isatty()
    if is_shown:
        terminal.write(f"{what} ...")
        terminal.flush()
    try:
        yield
    finally:
        if is_shown:
            terminal.write(f"\r{' ' * (len(what) + 4)}\r")
            terminal.flush()


def print_list(found: Iterable[Model], line: Callable[[Model], str], *, as_json: bool) -> None:
    """Print each of ``found`` as a line of text, or all as one JSON list."""
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(line(each).rstrip())


def print_one(found: Model, line: Callable[[Model], str], *, as_json: bool) -> None:
    """Print ``found`` as text, or as one JSON object."""
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(line(found))


def print_compact(found: Model) -> None:
    """Print the members that are not null, as JSON on one line."""
    members = {name: value for name, value in asdict(found).items() if value is not None}
    click.echo(json.dumps(members, ensure_ascii=False, separators=(",", ":")))


def print_json(document: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(document, indent=1, ensure_ascii=False))
