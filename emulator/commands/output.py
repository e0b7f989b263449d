"""Output of commands, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


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


def print_json(document: Any) -> None:
    """Print a JSON document."""
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
