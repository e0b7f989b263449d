"""``face-emulator completion``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

PROGRAM = "face-emulator"
VARIABLE = "_FACE_EMULATOR_COMPLETE"
"""Variable in which the script of a shell asks ``face-emulator`` for completions."""


@click.command()
@click.argument(
    "shell",
    type=click.Choice(["bash", "zsh", "fish", "powershell"]),
    help="Shell to print the script for: bash (4.4 or later), zsh, fish or powershell.",
)
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script with which a shell completes commands, options and values.

    In bash, load the script with `eval "$(face-emulator completion bash)"`. For zsh, replace `bash` by
    `zsh`. In fish, load the script with `face-emulator completion fish | source`. Add the line to the
    start-up file of your shell.
    """
    from click.shell_completion import get_completion_class

    shell_class = cast(
        "type[ShellComplete]", get_completion_class(shell)
    )  # the choices are Click's own shells
    click.echo(shell_class(context.find_root().command, {}, PROGRAM, VARIABLE).source())
