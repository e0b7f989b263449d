"""``face-emulator env``, which prints the environment variables that connect clients to the emulator."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from enum import StrEnum

import click

from emulator.commands.connection import connected, url_option


class Format(StrEnum):
    """The output format of ``env``."""

    SHELL = "shell"
    DOTENV = "dotenv"
    JSON = "json"
    GITHUB = "github"


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(Format, case_sensitive=False),
    default=Format.SHELL.value,
    help="Output format. `shell` is for `eval`, `github` for the file in $GITHUB_ENV.",
)
@url_option
@click.option("--json", "as_json", is_flag=True, help="The same as `--format json`.")
def env(*, format_: Format, url: str, as_json: bool) -> None:
    """Print the environment variables that connect clients to the running emulator.

    Use it as `eval "$(face-emulator env)"`. If the emulator serves TLS (`serve --tls`), the variables also
    make unmodified clients use the emulator as a proxy and trust its certificates.
    """
    from face_api_emulator.client.variables import variables_of

    with connected(url) as client:
        variables = variables_of(client, url, os.environ)
    click.echo(written(variables, Format.JSON if as_json else format_), nl=False)


def written(variables: Mapping[str, str], format_: Format) -> str:
    """Return the variables as text in a format."""
    if format_ is Format.JSON:
        return json.dumps(variables, indent=1) + "\n"
    quote = shlex.quote if format_ is Format.SHELL else _dotenv_quoted if format_ is Format.DOTENV else str
    export = "export " if format_ is Format.SHELL else ""
    return "".join(f"{export}{name}={quote(value)}\n" for name, value in variables.items())


def _dotenv_quoted(value: str) -> str:
    """Quote a value so that the common readers of dotenv files take it literally."""
    if not any(character in value for character in " '\"#$\\"):
        return value
    if "'" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
