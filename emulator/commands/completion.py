"""``face-emulator completion``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

PROGRAM = "face-emulator"
VARIABLE = "_FACE_EMULATOR_COMPLETE"
"""Variable that a completion script sets when it calls ``face-emulator`` for completions."""


@click.command()
@click.argument(
    "shell",
    type=click.Choice(["bash", "zsh", "fish", "powershell"]),
    help="Shell to print the script for: bash (4.4 or later), zsh, fish or powershell.",
)
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script that adds shell completion for commands, options and values.

    To load the script, add a line to the startup file of your shell. For bash, the line is
    `eval "$(face-emulator completion bash)"`. For zsh, replace `bash` with `zsh`. For fish, the line is
    `face-emulator completion fish | source`.
    """
    from click.shell_completion import get_completion_class

    shell_class = cast(
        "type[ShellComplete]", get_completion_class(shell)
    )  # the choices are Click's own shells
    click.echo(shell_class(context.find_root().command, {}, PROGRAM, VARIABLE).source())
