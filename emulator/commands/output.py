"""Output of commands, as text or as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AlwaysJson = Annotated[
    bool, typer.Option("--json", help="For scripts that add it to every command; the output is always JSON.")
]


def print_list(found: Iterable[Model], line: Callable[[Model], str], *, as_json: bool) -> None:
    """Print each of ``found`` as a line of text, or all as one JSON list."""
    if as_json:
        print_json([each.model_dump(mode="json") for each in found])
        return
    for each in found:
        typer.echo(line(each).rstrip())


def print_one(found: Model, line: Callable[[Model], str], *, as_json: bool) -> None:
    """Print ``found`` as text, or as one JSON object."""
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        typer.echo(line(found))


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show what the block does, on a terminal, while it runs. stdout stays free for the output."""
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def print_json(document: Any) -> None:
    """Print a JSON document."""
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
